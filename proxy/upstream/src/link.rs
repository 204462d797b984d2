//! `Link` headers (RFC 8288): where a list goes on.

use crate::limits;
use http::header::LINK;
use http::{HeaderMap, Uri};
use percent_encoding::percent_decode_str;

use crate::origin::Origin;

/// The next page, by the headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// This was the last one.
    None,
    /// It has this path and query, at the same endpoint.
    Page(String),
    /// There is one, where the gate does not go (A144).
    Refused,
}

impl Next {
    /// Reads the link with the relation `next`. Only one at the same endpoint and with the list's own path is followed.
    pub(super) fn of(headers: &HeaderMap, list: &str, home: Option<&Origin>) -> Self {
        let mut targets = Vec::new();
        for value in headers.get_all(LINK) {
            match value.to_str().ok().and_then(next_targets) {
                Some(found) => targets.extend(found),
                None => return Self::Refused,
            }
        }
        match targets.as_slice() {
            [] => Self::None,
            [target] => page(target, list, home).map_or(Self::Refused, Self::Page),
            [_, _, ..] => Self::Refused,
        }
    }
}

fn page(target: &str, list: &str, home: Option<&Origin>) -> Option<String> {
    let relative = if target.starts_with('?') { format!("{list}{target}") } else { target.to_owned() };
    let plain = relative.bytes().all(|byte| byte.is_ascii_graphic()) && !relative.starts_with("//");
    let url: Uri = relative.parse().ok().filter(|_| plain)?;
    if url.authority().is_some() && Origin::of(&url).as_ref() != Some(home?) {
        return None;
    }
    let path = percent_decode_str(url.path()).decode_utf8().ok()?;
    let query = url.query().filter(|query| query.len() <= limits::TARGET_BYTES)?;
    (path == list).then(|| format!("{list}?{query}"))
}

/// The targets of all links with the relation `next`; nothing if the header is outside the grammar.
fn next_targets(text: &str) -> Option<Vec<String>> {
    let mut found = Vec::new();
    let mut rest = text.trim_matches([' ', '\t', ',']);
    while !rest.is_empty() {
        let (target, after) = rest.strip_prefix('<')?.split_once('>')?;
        let end = end_of_link(after);
        let (parameters, after) = after.split_at_checked(end)?;
        if parameters.split(';').any(is_next) {
            found.push(target.to_owned());
        }
        rest = after.trim_start_matches([' ', '\t', ',']);
    }
    Some(found)
}

/// Where the parameters of a link end: at a comma that is not quoted.
fn end_of_link(text: &str) -> usize {
    let mut quoted = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => return at,
            _ => {}
        }
    }
    text.len()
}

fn is_next(parameter: &str) -> bool {
    let Some((key, value)) = parameter.split_once('=') else { return false };
    let mut relations = value.trim().trim_matches('"').split_ascii_whitespace();
    key.trim().eq_ignore_ascii_case("rel") && relations.any(|relation| relation.eq_ignore_ascii_case("next"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(values: &[&str]) -> Next {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(LINK, value.parse().unwrap());
        }
        let home = Origin::of(&"https://r.io:5000".parse().unwrap());
        Next::of(&headers, "/v2/a/referrers/sha256:00", home.as_ref())
    }

    #[test]
    fn a_next_page_at_the_same_endpoint_is_found() {
        let expected = Next::Page("/v2/a/referrers/sha256:00?n=2&last=x".to_owned());
        for text in [
            "</v2/a/referrers/sha256:00?n=2&last=x>; rel=\"next\"",
            "</v2/a/referrers/sha256:00?n=2&last=x>;rel=next",
            "</v2/a/referrers/sha256:00?n=2&last=x>; title=\"a, b\"; REL=\"last Next\"",
            "</v2/a/referrers/sha256%3A00?n=2&last=x>; rel=\"next\"",
            "<https://r.io:5000/v2/a/referrers/sha256:00?n=2&last=x>; rel=\"next\"",
            "<?n=2&last=x>; rel=\"next\"",
            "<https://docs.io/>; rel=\"help\", </v2/a/referrers/sha256:00?n=2&last=x>; rel=\"next\"",
        ] {
            assert_eq!(next(&[text]), expected, "{text}");
        }
        assert_eq!(next(&["<https://docs.io/>; rel=help", "<?n=2&last=x>; rel=next"]), expected);
    }

    #[test]
    fn a144_a_next_page_anywhere_else_is_refused() {
        for target in [
            "https://r.io/v2/a/referrers/sha256:00?n=2",
            "http://r.io:5000/v2/a/referrers/sha256:00?n=2",
            "https://evil.example/v2/a/referrers/sha256:00?n=2",
            "https://x@r.io:5000/v2/a/referrers/sha256:00?n=2",
            "//r.io:5000/v2/a/referrers/sha256:00?n=2",
            "file:///v2/a/referrers/sha256:00?n=2",
            "/v2/b/referrers/sha256:00?n=2",
            "/v2/a/referrers/sha256:01?n=2",
            "/v2/b/../a/referrers/sha256:00?n=2",
            "/v2/a/referrers/sha256:00",
            "",
            "n=2",
            "/v2/a/referrers/sha256:00?n= 2",
        ] {
            assert_eq!(next(&[&format!("<{target}>; rel=\"next\"")]), Next::Refused, "{target}");
        }
        assert_eq!(next(&[&format!("<?{}>; rel=next", "a".repeat(limits::TARGET_BYTES + 1))]), Next::Refused);
        for text in ["<?a>; rel=next, <?b>; rel=next", "nonsense", "<?a", "<?a>; rel=next, x"] {
            assert_eq!(next(&[text]), Next::Refused, "{text}");
        }
    }

    #[test]
    fn other_relations_are_no_next_page() {
        for text in
            ["<?a>; rel=\"prev\"", "<?a>", "<?a>; rel=nextish", "<?a>; title=\"rel=next\"; rel=prev", ""]
        {
            assert_eq!(next(&[text]), Next::None, "{text}");
        }
        assert_eq!(next(&[]), Next::None);
    }
}
