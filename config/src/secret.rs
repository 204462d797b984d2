//! Secrets: never shown, never written (A171), and overwritten in memory when the last holder drops them (A548).

use std::fmt;

use zeroize::Zeroizing;

/// A secret from a file. Its bytes are overwritten when it is dropped. It cannot be compared, since the time of a
/// comparison reveals a part of it (A549):
///
/// ```compile_fail,E0369
/// let [one, other] = ["a", "b"].map(|text| pullgate_config::Secret::new(text.to_owned()));
/// let _ = one == other;
/// ```
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text, for the one place that sends it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The text of a file of ours for people elsewhere: what may be a secret is struck out.
#[must_use]
pub fn without_secrets(text: &str) -> String {
    masked(text)
}

/// The text of a file as it may be shown beside a diagnostic: possible secrets are struck out byte by byte, so that
/// every position stays the same. It goes by the text alone, since a file with a syntax fault has no values yet (A415).
pub(crate) fn masked(text: &str) -> String {
    text.split_inclusive('\n').map(masked_line).collect()
}

fn masked_line(line: &str) -> String {
    const WORDS: [&str; 7] =
        ["auth", "identitytoken", "passwd", "password", "registrytoken", "secret", "token"];
    let secret_key = |key: &str| {
        let key = key.trim().trim_matches(['"', '\'']);
        let last =
            key.rsplit(['.', ' ', ',', '{', '"', '\'']).next().unwrap_or_default().to_ascii_lowercase();
        WORDS.iter().any(|word| last == *word || last.ends_with(&format!("_{word}")))
    };
    // From the first `=` behind such a key to the end of the line.
    let mut from = line.len();
    for (at, _) in line.match_indices('=') {
        if line.get(..at).is_some_and(secret_key) {
            from = at + 1;
            break;
        }
    }
    let userinfo = line.find("://").and_then(|start| {
        let rest = line.get(start + 3..)?;
        let end = rest.find(['/', '"', '\'']).unwrap_or(rest.len());
        rest.get(..end)?.rfind('@').map(|at| start + 3..start + 3 + at)
    });
    let hidden = |at: usize| at >= from || userinfo.as_ref().is_some_and(|range| range.contains(&at));
    line.char_indices()
        .map(
            |(at, c)| {
                if hidden(at) && c != '\n' && c != '\r' { "*".repeat(c.len_utf8()) } else { c.to_string() }
            },
        )
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a415_what_may_be_a_secret_is_struck_out_and_places_stay() {
        for (line, shown) in [
            ("password = \"hunter2\"\n", "password =**********\n"),
            ("x = { username = \"a\", password = 'h' }", "x = { username = \"a\", password =******"),
            ("identitytoken=ü\nnext = 1\n", "identitytoken=**\nnext = 1\n"),
            ("\"password\" = 1", "\"password\" =**"),
            ("credentials.password = 1", "credentials.password =**"),
            ("url = \"https://me:pw@host/v2\"", "url = \"https://*****@host/v2\""),
            ("password_file = \"pw.txt\"", "password_file = \"pw.txt\""),
            ("token_hosts = [\"a\"]", "token_hosts = [\"a\"]"),
            ("htpasswd = \"users\"", "htpasswd = \"users\""),
            ("auth_token = \"x\"", "auth_token =****"),
            ("evidence = \"r.io/x@y\"", "evidence = \"r.io/x@y\""),
        ] {
            assert_eq!(masked(line), shown);
            assert_eq!(masked(line).len(), line.len());
        }
    }

    /// Looks where it was: no other place tells whether it is still there.
    #[cfg(target_os = "linux")]
    #[test]
    fn a548_a_secret_that_is_dropped_is_overwritten() {
        use std::os::unix::fs::FileExt as _;
        let memory = std::fs::File::open("/proc/self/mem").unwrap();
        let canary = "canary-7d1e-".repeat(20);
        let secret = Secret::new(canary.clone());
        let place = u64::try_from(secret.reveal().as_ptr().addr()).unwrap();
        let mut found = vec![0; canary.len()];
        memory.read_exact_at(&mut found, place).unwrap();
        assert_eq!(found, canary.as_bytes());
        drop(secret);
        memory.read_exact_at(&mut found, place).unwrap();
        assert!(!String::from_utf8_lossy(&found).contains("canary-7d1e-"));
    }

    #[test]
    fn a171_a_secret_does_not_show_itself() {
        let secret = Secret::new("hunter2".to_owned());
        assert!(!format!("{secret:?}").contains("hunter2"));
        assert_eq!(secret.reveal(), "hunter2");
    }
}
