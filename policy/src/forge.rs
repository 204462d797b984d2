//! Forges: which token issuers are theirs, and which spellings of a name mean the same account or repository.

/// GitHub's OIDC issuer.
pub const GITHUB_ISSUER: &str = "https://token.actions.githubusercontent.com";
/// GitLab's OIDC issuer.
pub const GITLAB_ISSUER: &str = "https://gitlab.com";

/// Hosts of forges to which names of owners and repositories are one in any case.
const FOLDING: [&str; 4] = ["bitbucket.org", "codeberg.org", "github.com", "gitlab.com"];
/// The tenants of GitHub's enterprise cloud have each a host below this one.
const TENANTS: &str = ".ghe.com";

/// Tells whether tokens of this issuer are GitHub's for its workflows: the common one, that of an enterprise
/// (`…/ENTERPRISE`), or that of a tenant of ghe.com.
#[must_use]
pub fn is_github(issuer: &str) -> bool {
    is_github_com(issuer) || tenant(issuer).is_some()
}

/// The same of workflows on github.com.
#[must_use]
pub fn is_github_com(issuer: &str) -> bool {
    match issuer.strip_prefix(GITHUB_ISSUER) {
        Some("") => true,
        Some(rest) => rest.strip_prefix('/').is_some_and(is_label),
        None => false,
    }
}

/// The host of the tenant of ghe.com whose issuer this is.
fn tenant(issuer: &str) -> Option<&str> {
    let host = issuer.strip_prefix("https://")?;
    let host = host.strip_prefix("token.actions.").unwrap_or(host);
    is_tenant(host).then_some(host)
}

fn is_tenant(host: &str) -> bool {
    host.strip_suffix(TENANTS).is_some_and(is_label)
}

/// One label of a host's name, or the name of an enterprise.
fn is_label(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Tells whether two addresses of an owner or a repository are equal: byte for byte, or ignoring case where their forge
/// does.
#[must_use]
pub fn are_one(a: &str, b: &str) -> bool {
    a == b || (a.eq_ignore_ascii_case(b) && folds(a))
}

/// Tells whether `address` lies below a repository's: what follows it begins with a slash.
#[must_use]
pub fn is_below(address: &str, repository: &str) -> bool {
    below(address, repository).is_some_and(|head| are_one(head, repository))
}

/// As [`is_below`], ignoring case on every forge: where only case differs, the address may still be the repository's.
#[must_use]
pub fn may_be_below(address: &str, repository: &str) -> bool {
    below(address, repository).is_some_and(|head| head.eq_ignore_ascii_case(repository))
}

fn below<'a>(address: &'a str, repository: &str) -> Option<&'a str> {
    let (head, rest) = address.split_at_checked(repository.len())?;
    rest.starts_with('/').then_some(head)
}

/// Whether the forge at this address takes names in any case for one.
#[must_use]
pub fn folds(address: &str) -> bool {
    let Some((_, rest)) = address.split_once("://") else { return false };
    let host = rest.split('/').next().unwrap_or_default().to_ascii_lowercase();
    FOLDING.contains(&host.as_str()) || is_tenant(&host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn github_is_known_by_its_common_issuer_that_of_an_enterprise_and_that_of_a_tenant() {
        for issuer in [
            GITHUB_ISSUER,
            "https://token.actions.githubusercontent.com/acme-corp",
            "https://token.actions.acme.ghe.com",
            "https://acme.ghe.com",
        ] {
            assert!(is_github(issuer), "{issuer}");
        }
        for issuer in [
            "https://token.actions.githubusercontent.com/",
            "https://token.actions.githubusercontent.com/a/b",
            "https://token.actions.githubusercontent.com/a b",
            "https://token.actions.githubusercontent.com.evil/acme",
            "https://token.actions.githubusercontent.community",
            "http://token.actions.githubusercontent.com",
            "https://token.actions.ghe.com.evil",
            "https://token.actions..ghe.com",
            "https://token.actions.a.b.ghe.com",
            "https://ghe.com",
            "https://evilghe.com",
            "https://acme.ghe.com/login",
            "https://gitlab.com",
            "",
        ] {
            assert!(!is_github(issuer), "{issuer}");
        }
    }

    #[test]
    fn names_are_one_in_any_case_where_their_forge_has_it_so() {
        let acme = "https://github.com/Acme/App";
        for (other, one) in [
            ("https://github.com/Acme/App", true),
            ("https://github.com/acme/app", true),
            ("https://GitHub.com/ACME/APP", true),
            ("https://github.com/acme/app2", false),
            ("https://github.com/acme/ap", false),
            ("https://gitlab.com/acme/app", false),
        ] {
            assert_eq!(are_one(acme, other), one, "{other}");
        }
        assert!(are_one("https://acme.ghe.com/A/b", "https://acme.ghe.com/a/B"));
        for host in ["git.corp.example", "github.com.evil.example", "evilgithub.com", "a.b.ghe.com"] {
            assert!(!are_one(&format!("https://{host}/A/b"), &format!("https://{host}/a/b")), "{host}");
        }
        // Letters beyond ASCII are never folded.
        assert!(!are_one("https://github.com/\u{212a}", "https://github.com/k"));
    }

    #[test]
    fn what_lies_below_a_repository_follows_it_with_a_slash() {
        let app = "https://github.com/acme/app";
        for (address, below) in [
            ("https://github.com/ACME/app/.github/workflows/b.yml@refs/heads/main", true),
            ("https://github.com/acme/app-evil/.github/workflows/b.yml@refs/heads/main", false),
            ("https://github.com/acme/app", false),
            ("https://github.com/ac", false),
        ] {
            assert_eq!(is_below(address, app), below, "{address}");
        }
        let (address, own) = ("https://git.corp.example/A/b/w.yml", "https://git.corp.example/a/b");
        assert!(!is_below(address, own) && may_be_below(address, own));
    }
}
