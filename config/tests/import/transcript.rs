//! The transcript of `policy/README.md`: what is imported there is what the gate enforces.

use crate::judge::{Asked, GITHUB, Says, Signed};

const PAGE: &str = include_str!("../../../policy/README.md");

fn between<'a>(text: &'a str, begins: &str, ends: &str) -> &'a str {
    let (_, rest) = text.split_once(begins).unwrap();
    rest.split_once(ends).unwrap().0
}

#[test]
fn the_policy_of_kyverno_on_the_page_is_imported_and_enforced_as_it_says() {
    let (_, section) = PAGE.split_once("### A policy of Kyverno, imported and enforced").unwrap();
    let original = between(section, "```yaml\n", "```");
    let gate = Asked::default().file("verify-images.yaml", original).gate();
    let made = between(section, "$ cat policy.toml\n", "```");
    assert_eq!(gate.imported.policy, made, "{}", gate.imported.policy);
    let workflow = |repository: &str| {
        let san = format!("https://github.com/{repository}/.github/workflows/build-sign.yml@refs/heads/main");
        Signed::identity(GITHUB, &san)
    };
    let mut rows = 0;
    for row in section.lines().filter_map(|line| line.strip_prefix("| `")) {
        let (image, rest) = row.split_once("`, ").unwrap();
        let signed = match rest {
            _ if rest.starts_with("signed by this workflow") => vec![workflow("myorg/myrepo")],
            _ if rest.starts_with("signed by the workflow of another") => vec![workflow("other/myrepo")],
            _ => Vec::new(),
        };
        let expected = if rest.contains("| permit |") { Says::Permit } else { Says::Deny };
        assert_eq!(gate.says(image, &signed), expected, "{row}");
        rows += 1;
    }
    assert_eq!(rows, 5);
}
