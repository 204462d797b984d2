//! What is struck out of every page: what looks like a secret, and each text of the files that hold some.

use std::collections::BTreeSet;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::limits::NODE_FILE_BYTES;

const STRUCK: &str = "[struck out]";
/// Bytes of a word that is looked for: a shorter one stands in many texts that are none.
const WORD_BYTES: usize = 6;

/// Knows what must not be shown.
#[derive(Debug, Default)]
pub(super) struct Scrub {
    /// The longest first.
    words: Vec<String>,
}

impl Scrub {
    /// Every word of these texts, as it stands and as base64 would hide it.
    pub(super) fn of(secrets: impl IntoIterator<Item = String>) -> Self {
        let mut words = BTreeSet::new();
        for secret in secrets {
            for word in secret.split(|c: char| c.is_whitespace() || "\"',{}[]".contains(c)) {
                words.extend(parts(word));
                let decoded = STANDARD.decode(word).ok().and_then(|bytes| String::from_utf8(bytes).ok());
                words.extend(decoded.iter().flat_map(|text| parts(text)));
            }
        }
        words.retain(|word| word.len() >= WORD_BYTES && !is_key(word));
        let mut words: Vec<_> = words.into_iter().collect();
        words.sort_by_key(|word| std::cmp::Reverse(word.len()));
        Self { words }
    }

    /// A page without them.
    pub(super) fn text(&self, text: &str) -> String {
        let mut private = false;
        text.split_inclusive('\n').map(|line| self.line(line, &mut private)).collect()
    }

    fn line(&self, line: &str, private: &mut bool) -> String {
        // A key may stand in a log as it stands in a file.
        let begins = line.contains("-----BEGIN") && line.contains("PRIVATE KEY");
        let inside = *private || begins;
        *private = inside && !line.contains("-----END");
        if inside {
            return format!("{STRUCK}\n");
        }
        let mut line = line.to_owned();
        for word in &self.words {
            line = line.replace(word, STRUCK);
        }
        shaped(&line)
    }
}

/// A word, and what stands behind its last colon: `user:password`, `https://user:password@host`.
fn parts(word: &str) -> Vec<String> {
    let bare = word.split_once("://").map_or(word, |(_, rest)| rest);
    let before = bare.rsplit_once('@').map_or(bare, |(user, _)| user);
    let last = before.split_once(':').map(|(_, password)| password.to_owned());
    last.into_iter().chain([word.to_owned(), before.to_owned()]).collect()
}

/// Words of a docker config or of PEM that are no secrets, and stand everywhere.
fn is_key(word: &str) -> bool {
    matches!(
        word.trim_end_matches(':'),
        "-----BEGIN"
            | "-----END"
            | "auths"
            | "credHelpers"
            | "credsStore"
            | "identitytoken"
            | "password"
            | "PRIVATE"
            | "registrytoken"
            | "username"
    ) || word.parse::<pullgate_policy::oci::Registry>().is_ok() && word.contains('.')
}

/// What looks like a secret, wherever it came from: the user of a URL, the word behind `Bearer` and its like, a token in
/// three parts, the value behind a key that says so.
fn shaped(line: &str) -> String {
    const SCHEMES: [&str; 3] = ["bearer", "basic", "digest"];
    const KEYS: [&str; 9] =
        ["apikey", "api_key", "auth", "authorization", "cookie", "passwd", "password", "secret", "token"];
    let mut shown = String::with_capacity(line.len());
    let mut strike = false;
    for word in line.split_inclusive(|c: char| c.is_whitespace() || ",;&?\"'{}".contains(c)) {
        let bare = word.trim_end_matches(|c: char| c.is_whitespace() || ",;&?\"'{}".contains(c));
        let end = word.get(bare.len()..).unwrap_or_default();
        let lower = bare.to_ascii_lowercase();
        let (key, value) = match bare.find(['=', ':']) {
            Some(at) => (lower.get(..at).unwrap_or_default(), bare.get(at + 1..).unwrap_or_default()),
            None => (lower.as_str(), ""),
        };
        let says = KEYS
            .iter()
            .any(|one| key == *one || key.ends_with(&format!("_{one}")) || key.ends_with(&format!("-{one}")));
        let is_token = bare.starts_with("eyJ") && bare.matches('.').count() == 2;
        let user = bare
            .find("://")
            .and_then(|at| bare.get(at..))
            .is_some_and(|rest| rest.split(['/', '?']).nth(2).is_some_and(|host| host.contains('@')));
        if bare.is_empty() {
            shown.push_str(word);
            continue;
        }
        let scheme = SCHEMES.contains(&lower.as_str());
        if is_token || user || (strike && !scheme && !matches!(bare, "=" | ":")) {
            shown.push_str(STRUCK);
            strike = false;
        } else if says && !value.is_empty() {
            shown.push_str(&format!("{key}={STRUCK}"));
            // `authorization: Basic …` has one word more.
            strike = SCHEMES.contains(&value.to_ascii_lowercase().as_str());
        } else {
            shown.push_str(bare);
            strike = scheme || says || (strike && matches!(bare, "=" | ":"));
        }
        shown.push_str(end);
    }
    shown
}

/// The texts of these files, as far as they can be read.
pub(super) fn texts(paths: &[PathBuf]) -> Vec<String> {
    use std::io::Read as _;
    let read = |path: &PathBuf| {
        let mut bytes = Vec::new();
        std::fs::File::open(path).ok()?.take(NODE_FILE_BYTES).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    };
    paths.iter().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a171_what_looks_like_a_secret_is_struck_out_and_what_does_not_stays() {
        for (line, shown) in [
            ("authorization: Bearer abc.def", "authorization: Bearer [struck out]"),
            ("Authorization: Basic bWU6cHc=\n", "Authorization: Basic [struck out]\n"),
            ("\"authorization\":\"Bearer abc\"", "\"authorization\":\"Bearer [struck out]\""),
            ("GET /t?access_token=abc&x=1", "GET /t?access_token=[struck out]&x=1"),
            ("url https://me:pw@host/v2 x", "url [struck out] x"),
            ("jwt eyJhbGci.eyJzdWIi.c2ln", "jwt [struck out]"),
            ("password = hunter2", "password = [struck out]"),
            ("{\"password\": \"hunter2\", \"a\": 1}", "{\"password\": \"[struck out]\", \"a\": 1}"),
            ("x-api-key=1", "x-api-key=1"),
            ("a plain line: ghcr.io/org/app@sha256:00 403", "a plain line: ghcr.io/org/app@sha256:00 403"),
            ("pullgate_cache_total{cache=\"tags\"} 3", "pullgate_cache_total{cache=\"tags\"} 3"),
            ("url https://host/a@b", "url https://host/a@b"),
        ] {
            assert_eq!(shaped(line), shown);
        }
    }

    #[test]
    fn a171_each_word_of_a_secret_file_is_struck_out_as_it_stands_and_decoded() {
        let auth = STANDARD.encode("robot:hunter2-canary");
        let scrub = Scrub::of([
            format!("{{\"auths\":{{\"ghcr.io\":{{\"auth\":\"{auth}\"}}}}}}"),
            "canary-password\n".to_owned(),
            "https://u:canary-url@host".to_owned(),
        ]);
        let text = format!("{auth} hunter2-canary canary-password canary-url ghcr.io auths\n");
        let struck = [STRUCK; 4].join(" ");
        assert_eq!(scrub.text(&text), format!("{struck} ghcr.io auths\n"));
        let key = "a\n-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\nb\n";
        assert_eq!(scrub.text(key), format!("a\n{0}b\n", format!("{STRUCK}\n").repeat(3)));
    }
}
