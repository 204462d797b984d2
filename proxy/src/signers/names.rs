//! Names of signers: the policy's name of a key, else words of an identity.

use super::{KeyNames, Who};

/// Characters of a name that is made of an identity.
const NAME_LENGTH: usize = 60;

/// The names that were given: two signers never have one, however alike they are.
#[derive(Debug, Default)]
pub struct Names(Vec<(Who, String)>);

impl Names {
    /// The name of a signer; of another signer whose words are the same, with a number behind it.
    pub fn of(&mut self, who: &Who, keys: &dyn KeyNames) -> String {
        if let Some((_, name)) = self.0.iter().find(|(known, _)| known == who) {
            return name.clone();
        }
        let made = made(who, keys);
        let taken = |name: &str| self.0.iter().any(|(_, known)| known == name);
        let numbered = (2_usize..).map(|n| format!("{made}-{n}"));
        let name = std::iter::once(made.clone()).chain(numbered).find(|name| !taken(name));
        let name = name.unwrap_or_else(|| made.clone());
        self.0.push((who.clone(), name.clone()));
        name
    }
}

/// The name of an authority for a signer: letters, digits and dashes, so that it is a bare key of TOML.
fn made(who: &Who, keys: &dyn KeyNames) -> String {
    match who {
        Who::Key(fingerprint) => match keys.find(fingerprint) {
            Some((name, _)) => plain(name),
            None => plain(fingerprint),
        },
        Who::Certificate { ca, subject, .. } => plain(&format!("{ca}-{subject}")),
        Who::Notation { trust, subject } => plain(&format!("{trust}-{subject}")),
        Who::Identity { trust, name, .. } => {
            let words = name.split_once("://").map_or(name.as_str(), |(_, rest)| rest);
            // A workflow by its repository and file; the branch tells two of them apart.
            let words = words.replace("/.github/workflows/", "/").replace(".yml@refs/heads/", "-");
            let words = words.replace(".yaml@refs/heads/", "-");
            let words = words
                .split_once('/')
                .filter(|(host, _)| host.contains('.'))
                .map_or(words.as_str(), |(_, path)| path);
            match trust.as_str() {
                "sigstore" => plain(words),
                trust => plain(&format!("{trust}-{words}")),
            }
        }
    }
}

fn plain(text: &str) -> String {
    let mut name = String::new();
    for c in text.chars().take(NAME_LENGTH) {
        match c {
            c if c.is_ascii_alphanumeric() => name.push(c.to_ascii_lowercase()),
            _ if name.ends_with('-') || name.is_empty() => {}
            _ => name.push('-'),
        }
    }
    let name = name.trim_end_matches('-');
    if name.is_empty() { "signer".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signers::PolicyKeys;

    #[test]
    fn two_signers_never_have_one_name() {
        let who = |name: &str| Who::Identity {
            trust: "sigstore".to_owned(),
            issuer: "https://issuer.example".to_owned(),
            name: name.to_owned(),
            claims: std::collections::BTreeMap::new(),
        };
        let (keys, mut names) = (PolicyKeys::default(), Names::default());
        let given = ["me@a.example", "me-a@example", "me@a.example", "me@a-example"]
            .map(|name| names.of(&who(name), &keys));
        assert_eq!(given, ["me-a-example", "me-a-example-2", "me-a-example", "me-a-example-3"]);
    }

    #[test]
    fn a_name_is_a_bare_key_of_toml_whatever_it_is_made_of() {
        for (text, name) in [
            ("Release Key.v2", "release-key-v2"),
            ("", "signer"),
            ("--", "signer"),
            ("\u{1b}[31m\"]\n", "31m"),
            (&"x".repeat(500), &"x".repeat(NAME_LENGTH)),
        ] {
            assert_eq!(plain(text), *name);
        }
    }
}
