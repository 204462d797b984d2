//! For random sets of originals no repository is governed less than before: what the gate permits, the originals admit, by
//! matchers of their own that were written from what each system compares.

use crate::judge::{Asked, Gate, Says, Signed, indented, key, yaml};

/// Numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % most
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

/// How many sets of each system; most can be said.
const SETS: usize = 12;

const REPOSITORIES: [&str; 14] = [
    "docker.io/library/a",
    "docker.io/library/app",
    "docker.io/acme/a",
    "docker.io/acme/app",
    "reg.io/a",
    "reg.io/ab",
    "reg.io/acme",
    "reg.io/acme/a",
    "reg.io/acme/app",
    "reg.io/acme/app/deep",
    "reg.io/acme/open",
    "reg.io/other/a",
    "reg.io/other/app",
    "other.io/acme/app",
];

/// Who may have signed: nobody, one of two, both.
const SIGNED: [&[&str]; 4] = [&[], &["one"], &["two"], &["one", "two"]];

/// What an original asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asks {
    Key(&'static str),
    Nothing,
    Rejects,
}

impl Asks {
    fn met(self, signed: &[&str]) -> bool {
        match self {
            Self::Key(name) => signed.contains(&name),
            Self::Nothing => true,
            Self::Rejects => false,
        }
    }
}

const ASKS: [Asks; 5] = [Asks::Key("one"), Asks::Key("two"), Asks::Key("one"), Asks::Nothing, Asks::Rejects];

/// Holds the gate to what the originals say.
fn held(gate: &Gate, originals: &str, admits: impl Fn(&str, &[&str]) -> bool) {
    for repository in REPOSITORIES {
        for names in SIGNED {
            let signed: Vec<Signed> = names.iter().map(|name| Signed::key(name)).collect();
            let says = gate.says(&format!("{repository}:v1"), &signed);
            let admitted = admits(repository, names);
            assert!(
                says == Says::Deny || admitted,
                "{repository} signed by {names:?} is {says:?}:\n{originals}\n{}",
                gate.imported.policy
            );
        }
    }
}

/// Whether a glob matches the whole of a text; `single` stands for what `*` matches.
fn globbed(glob: &[char], text: &[char], single: fn(char) -> bool) -> bool {
    match glob {
        [] => text.is_empty(),
        ['*', '*', rest @ ..] => (0..=text.len()).any(|at| globbed(rest, &text[at..], single)),
        ['*', rest @ ..] => {
            let most = text.iter().take_while(|c| single(**c)).count();
            (0..=most).any(|at| globbed(rest, &text[at..], single))
        }
        ['?', rest @ ..] => !text.is_empty() && globbed(rest, &text[1..], single),
        [c, rest @ ..] => text.first() == Some(c) && globbed(rest, &text[1..], single),
    }
}

fn chars(text: &str) -> Vec<char> {
    text.chars().collect()
}

#[test]
fn whatever_policies_of_the_controller_overlap_none_is_lost() {
    const GLOBS: [&str; 16] = [
        "**",
        "reg.io/**",
        "reg.io/acme/*",
        "reg.io/acme/**",
        "reg.io/a*",
        "reg.io/*/app*",
        "reg.io/acme/app@sha256:*",
        "reg.io/acme/app",
        "docker.io/**",
        "index.docker.io/**",
        "index.docker.io/library/*",
        "*",
        "*/*",
        "reg.io/**/app*",
        "reg.io/acme/open*",
        "reg.io/*/*:*",
    ];
    let mut random = Random(7);
    let mut said = 0;
    for _ in 0..SETS {
        let policies: Vec<(Vec<&str>, Asks)> = (0..=random.below(3))
            .map(|_| ((0..=random.below(2)).map(|_| *random.of(&GLOBS)).collect(), *random.of(&ASKS)))
            .collect();
        let text: String = policies.iter().enumerate().map(|(at, policy)| controller(at, policy)).collect();
        let Ok(imported) = yaml(&text).import() else { continue };
        said += 1;
        held(&Gate::of(imported), &text, |repository, signed| {
            let name = repository.replace("docker.io/", "index.docker.io/");
            let name = chars(&format!("{name}@sha256:{}", "0a1f".repeat(16)));
            // What a pattern without a registry is taken for there.
            let whole = |glob: &str| match glob {
                "*" => "index.docker.io/library/*".to_owned(),
                "*/*" => "index.docker.io/*/*".to_owned(),
                glob => glob.to_owned(),
            };
            let governs =
                |globs: &[&str]| globs.iter().any(|glob| globbed(&chars(&whole(glob)), &name, |c| c != '/'));
            let matching: Vec<Asks> =
                policies.iter().filter(|(globs, _)| governs(globs)).map(|(_, asks)| *asks).collect();
            !matching.is_empty() && matching.iter().all(|asks| asks.met(signed))
        });
    }
    assert!(said >= SETS / 3, "{said}");
}

fn controller(at: usize, (globs, asks): &(Vec<&str>, Asks)) -> String {
    let images: String = globs.iter().map(|glob| format!("  - glob: \"{glob}\"\n")).collect();
    let authority = match asks {
        Asks::Key(name) => format!("  - key:\n      data: |\n{}", indented(&key(name), 8)),
        Asks::Nothing => "  - static: {action: pass}\n".to_owned(),
        Asks::Rejects => "  - static: {action: fail}\n".to_owned(),
    };
    format!(
        "apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {{name: p{at}}}\nspec:\n  \
         images:\n{images}  authorities:\n{authority}---\n"
    )
}

#[test]
fn whatever_rules_of_kyverno_overlap_none_is_lost() {
    const PATTERNS: [&str; 12] = [
        "*",
        "reg.io/*",
        "reg.io/acme/*",
        "reg.io/a*",
        "reg.io/*/app:*",
        "reg.io/acme/app:*",
        "reg.io/acme/app:v1",
        "docker.io/*",
        "docker.io/library/a*",
        "reg.io/acme/app",
        "ghcr.*",
        "reg.io/acme/a?p*",
    ];
    const SKIPS: [&str; 6] = [
        "reg.io/acme/open*",
        "reg.io/acme/*",
        "reg.io/a*",
        "reg.io/acme/app:*",
        "docker.io/library/*",
        "docker.io/acme/*",
    ];
    let mut random = Random(11);
    let mut said = 0;
    for _ in 0..SETS {
        let rules: Vec<(Vec<&str>, Vec<&str>, &str)> = (0..=random.below(2))
            .map(|_| {
                let patterns = (0..=random.below(2)).map(|_| *random.of(&PATTERNS)).collect();
                let skips = (0..random.below(2)).map(|_| *random.of(&SKIPS)).collect();
                (patterns, skips, *random.of(&["one", "two"]))
            })
            .collect();
        let text: String = rules.iter().enumerate().map(|(at, rule)| rule_of_kyverno(at, rule)).collect();
        let Ok(imported) = yaml(&text).import() else { continue };
        said += 1;
        held(&Gate::of(imported), &text, |repository, signed| {
            // By tag and by digest; the library is written without its name.
            let name = repository.replace("docker.io/library/", "docker.io/");
            let names = [repository, &name]
                .map(|name| [format!("{name}:v1"), format!("{name}@sha256:{}", "0".repeat(64))]);
            names.concat().iter().all(|image| {
                let matches = |patterns: &[&str]| {
                    patterns.iter().any(|one| globbed(&chars(one), &chars(image), |_| true))
                };
                rules.iter().all(|(patterns, skips, key)| {
                    !matches(patterns) || matches(skips) || signed.contains(key)
                })
            })
        });
    }
    assert!(said >= SETS / 3, "{said}");
}

fn rule_of_kyverno(at: usize, (patterns, skips, name): &(Vec<&str>, Vec<&str>, &str)) -> String {
    let list = |all: &[&str]| all.iter().map(|one| format!("'{one}'")).collect::<Vec<_>>().join(", ");
    format!(
        "apiVersion: kyverno.io/v1\nkind: ClusterPolicy\nmetadata: {{name: p{at}}}\nspec:\n  \
         validationFailureAction: Enforce\n  rules:\n  - name: r\n    verifyImages:\n    - imageReferences: [{}]\n      \
         skipImageReferences: [{}]\n      attestors:\n      - entries:\n        - keys:\n            publicKeys: |\n{}---\n",
        list(patterns),
        list(skips),
        indented(&key(name), 14)
    )
}

#[test]
fn whatever_scopes_of_policy_json_nest_none_is_lost() {
    const SCOPES: [&str; 12] = [
        "",
        "reg.io",
        "reg.io/acme",
        "reg.io/acme/app",
        "reg.io/acme/app:v1",
        "reg.io/acme/app:v2",
        "docker.io",
        "docker.io/acme",
        "docker.io/library/a",
        "docker.io/a",
        "*.io",
        "reg.io/a",
    ];
    let keys = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/import/keys");
    let mut random = Random(13);
    let mut said = 0;
    for _ in 0..SETS {
        let default = *random.of(&ASKS);
        let mut scopes: Vec<(&str, Asks)> =
            (0..=random.below(5)).map(|_| (*random.of(&SCOPES), *random.of(&ASKS))).collect();
        scopes.sort_unstable_by_key(|(scope, _)| *scope);
        scopes.dedup_by_key(|(scope, _)| *scope);
        let list = |asks: Asks| match asks {
            Asks::Key(name) => format!(
                r#"[{{"type": "sigstoreSigned", "keyPath": "{keys}/{name}.pub", "signedIdentity": {{"type": "matchRepository"}}}}]"#
            ),
            Asks::Nothing => r#"[{"type": "insecureAcceptAnything"}]"#.to_owned(),
            Asks::Rejects => r#"[{"type": "reject"}]"#.to_owned(),
        };
        let written: Vec<String> =
            scopes.iter().map(|(scope, asks)| format!("\"{scope}\": {}", list(*asks))).collect();
        let text = format!(
            r#"{{"default": {}, "transports": {{"docker": {{{}}}}}}}"#,
            list(default),
            written.join(",\n")
        );
        let Ok(imported) = Asked::default().file("policy.json", text.as_str()).import() else { continue };
        said += 1;
        held(&Gate::of(imported), &text, |repository, signed| {
            // By each tag of which something is said, and by another.
            ["v1", "v2", "v3"].iter().all(|tag| {
                let found =
                    |name: &str| scopes.iter().find(|(scope, _)| *scope == name).map(|(_, asks)| *asks);
                let mut names = vec![format!("{repository}:{tag}"), repository.to_owned()];
                let mut rest = repository;
                while let Some((above, _)) = rest.rsplit_once('/') {
                    names.push(above.to_owned());
                    rest = above;
                }
                names.extend(rest.match_indices('.').map(|(at, _)| format!("*{}", rest.split_at(at).1)));
                names.push(String::new());
                names.iter().find_map(|name| found(name)).unwrap_or(default).met(signed)
            })
        });
    }
    assert!(said >= SETS / 3, "{said}");
}
