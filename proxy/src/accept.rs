//! The media types that a client accepts. The list is part of a key in memory and in the store, and the client writes
//! it: the gate keeps only the set of types by which an upstream can choose (A608), and sends only that set.

use crate::limits;
use http::HeaderMap;
use http::header::ACCEPT;
use pullgate_policy::oci::media_type::{DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST};

/// A set of the types that an upstream can choose by, one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Accept(u16);

/// The client's list is over a limit: 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the list of media types is too long")]
pub struct AcceptTooLong;

/// The media types that registries answer a tag with, and the wildcards. The first four are what the gate serves.
const KNOWN: [&str; 11] = [
    OCI_MANIFEST,
    OCI_INDEX,
    DOCKER_MANIFEST,
    DOCKER_LIST,
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
    "application/vnd.oci.artifact.manifest.v1+json",
    "application/vnd.cncf.oras.artifact.manifest.v1+json",
    "application/json",
    "application/*",
    "*/*",
];
const MANIFESTS: u16 = 0b1111;

impl Default for Accept {
    /// All types that the gate serves: for its own requests, and for a client that names none of them.
    fn default() -> Self {
        Self(MANIFESTS)
    }
}

impl Accept {
    /// The client's list: several lines, one list. An answer depends on the set, not on the order, which Docker engine
    /// changes at random.
    ///
    /// # Errors
    /// [`AcceptTooLong`].
    pub fn of(headers: &HeaderMap) -> Result<Self, AcceptTooLong> {
        let values = || headers.get_all(ACCEPT).iter();
        let listed = || values().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
        let bytes: usize = values().map(http::HeaderValue::len).sum();
        if bytes > limits::ACCEPT_BYTES || listed().nth(limits::ACCEPT_TYPES).is_some() {
            return Err(AcceptTooLong);
        }
        Ok(Self::from_types(listed()))
    }

    /// This one type.
    #[must_use]
    pub fn only(media_type: &str) -> Self {
        Self::from_types(std::iter::once(media_type))
    }

    fn from_types<'a>(listed: impl Iterator<Item = &'a str>) -> Self {
        let set = listed.filter_map(bit).fold(0, |set, bit| set | bit);
        if set & MANIFESTS == 0 { Self::default() } else { Self(set) }
    }

    /// The types, in the order of their names.
    #[must_use]
    pub fn types(self) -> Vec<String> {
        let named = KNOWN.iter().enumerate().filter(|(at, _)| self.0 & (1 << at) != 0);
        let mut types: Vec<String> = named.map(|(_, name)| (*name).to_owned()).collect();
        types.sort_unstable();
        types
    }

    /// The set as text: the key of a row, of some hundred bytes at most.
    #[must_use]
    pub fn key(self) -> String {
        self.types().join(", ")
    }
}

/// The bit of a type that is listed. A type with weight 0 is refused by the client; registries ignore other weights and
/// parameters.
fn bit(listed: &str) -> Option<u16> {
    let mut parts = listed.split(';').map(str::trim);
    let name = parts.next()?;
    let refused = parts.any(|part| {
        let weight = part.split_once('=').filter(|(key, _)| key.trim().eq_ignore_ascii_case("q"));
        weight.is_some_and(|(_, weight)| weight.trim().parse::<f32>().is_ok_and(|weight| weight <= 0.0))
    });
    let at = KNOWN.iter().position(|known| known.eq_ignore_ascii_case(name))?;
    (!refused).then_some(1 << at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[&str]) -> Accept {
        let headers = lines.iter().map(|line| (ACCEPT, line.parse().unwrap())).collect();
        Accept::of(&headers).unwrap()
    }

    #[test]
    fn a608_a_list_is_the_set_of_types_that_an_upstream_can_choose_by() {
        let docker = of(&[&format!("{OCI_INDEX}, {DOCKER_LIST},{DOCKER_MANIFEST}, {OCI_MANIFEST}, */*")]);
        assert_eq!(docker.types(), ["*/*", DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST]);
        let same = [
            &["application/x1, */*", OCI_MANIFEST, OCI_INDEX, DOCKER_LIST, DOCKER_MANIFEST][..],
            &[&format!("{OCI_INDEX};q=0.5,{OCI_MANIFEST} ; a=b,{DOCKER_LIST},{DOCKER_MANIFEST},*/*;q=0.1")],
            &[&format!("*/*,*/*,{DOCKER_LIST},{OCI_INDEX},{OCI_INDEX},{OCI_MANIFEST},{DOCKER_MANIFEST}")],
        ];
        for lines in same {
            assert_eq!(of(lines), docker, "{lines:?}");
        }
        for (line, types) in [
            (OCI_MANIFEST.to_owned(), vec![OCI_MANIFEST]),
            (OCI_MANIFEST.to_uppercase(), vec![OCI_MANIFEST]),
            (format!("{OCI_INDEX};q=0, {OCI_MANIFEST};q=0.0"), vec![]),
            (format!("{OCI_INDEX};q=0, {OCI_MANIFEST}"), vec![OCI_MANIFEST]),
        ] {
            let expected = if types.is_empty() {
                Accept::default().types()
            } else {
                types.iter().map(|one| (*one).to_owned()).collect()
            };
            assert_eq!(of(&[&line]).types(), expected, "{line}");
        }
    }

    #[test]
    fn a_client_that_names_no_manifest_is_asked_for_with_all_that_the_gate_serves() {
        for lines in [&[][..], &[""], &["text/html"], &["*/*"], &["application/json, application/x"]] {
            assert_eq!(of(lines), Accept::default(), "{lines:?}");
        }
        assert_eq!(
            Accept::default().key(),
            [DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST].join(", ")
        );
    }

    #[test]
    fn a608_a_list_over_its_limit_is_refused_and_one_at_it_is_not() {
        let of_types =
            |count: usize| HeaderMap::from_iter([(ACCEPT, vec!["a/b"; count].join(",").parse().unwrap())]);
        assert!(Accept::of(&of_types(limits::ACCEPT_TYPES)).is_ok());
        assert_eq!(Accept::of(&of_types(limits::ACCEPT_TYPES + 1)), Err(AcceptTooLong));
        let of_bytes = |first: usize, second: usize| {
            HeaderMap::from_iter([first, second].map(|bytes| (ACCEPT, "a".repeat(bytes).parse().unwrap())))
        };
        assert!(Accept::of(&of_bytes(1, limits::ACCEPT_BYTES - 1)).is_ok());
        assert_eq!(Accept::of(&of_bytes(1, limits::ACCEPT_BYTES)), Err(AcceptTooLong));
    }
}
