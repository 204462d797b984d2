//! What code may look like.

use crate::tree::{assert_none, files, read};

/// Where code lies that ships.
const OURS: [&str; 7] = [
    "policy/src/",
    "policy/verify/src/",
    "config/src/",
    "proxy/upstream/src/",
    "proxy/store/src/",
    "proxy/audit/src/",
    "proxy/src/",
];

/// Lines of a file: about 150 is usual.
const LINES_MAX: usize = 400;

#[test]
fn files_are_short_enough_to_proof_read() {
    let mut findings = Vec::new();
    for file in files(&[".rs"]) {
        let lines = file.text.lines().count();
        if lines > LINES_MAX {
            findings.push(format!("{} has {lines} lines", file.path));
        }
    }
    assert_none("too long", &findings);
}

#[test]
fn no_work_is_left_marked_and_no_test_is_switched_off() {
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    let switch = concat!("#[ign", "ore");
    let mut findings = Vec::new();
    for file in files(&[".rs", ".toml", ".sh", ".md", ".yml", "/run"]) {
        for (number, line) in file.text.lines().enumerate() {
            let off = file.path.ends_with(".rs") && line.contains(switch);
            if off || marks.iter().any(|mark| line.contains(mark)) {
                findings.push(format!("{}:{}: {}", file.path, number + 1, line.trim()));
            }
        }
    }
    assert_none("work to come belongs to the tracker", &findings);
}

#[test]
fn nothing_names_the_machine_it_was_written_on() {
    let marks = [concat!("/wo", "rk/"), concat!("/ho", "me/"), concat!("/Us", "ers/"), concat!("/ro", "ot/")];
    let mut findings = Vec::new();
    for file in files(&[".rs", ".toml", ".sh", ".md", ".yml", ".json", "/run", "Containerfile", ".service"]) {
        for (number, line) in file.text.lines().enumerate() {
            // A path begins a word; in `frame/work/` it does not.
            let begins = |at: usize| {
                line[..at]
                    .chars()
                    .next_back()
                    .is_none_or(|c| !c.is_alphanumeric() && !matches!(c, '-' | '_' | '.' | '/'))
            };
            if marks.iter().any(|mark| line.match_indices(mark).any(|(at, _)| begins(at))) {
                findings.push(format!("{}:{}: {}", file.path, number + 1, line.trim()));
            }
        }
    }
    assert_none("a path of somebody's machine", &findings);
}

#[test]
fn a549_secrets_are_compared_by_the_cryptography_library_alone() {
    let findings: Vec<_> = files(&[".rs"])
        .into_iter()
        .filter(|file| file.path.starts_with("policy/src/seal") && !file.path.contains("tests"))
        .filter(|file| file.text.contains("mac ==") || file.text.contains("== mac"))
        .map(|file| file.path)
        .collect();
    assert_none("compares a seal byte by byte", &findings);
    // Passwords go to bcrypt, signatures to the library; what is remembered is found by a keyed hash.
    let compared = ["password", "token", "signature", "secret", "hash"]
        .map(|word| [format!("{word} =="), format!("== {word}"), format!("{word} !="), format!("!= {word}")])
        .concat();
    let at_the_door = |path: &str| {
        path.starts_with("proxy/src/clients")
            || path.starts_with("policy/verify/src/token")
            || path.ends_with("/jwk.rs")
            || path.starts_with("config/src")
            || path.starts_with("proxy/upstream/src/credentials")
    };
    let findings: Vec<_> = files(&[".rs"])
        .into_iter()
        .filter(|file| at_the_door(&file.path) && !file.path.contains("tests"))
        .filter(|file| compared.iter().any(|text| file.text.contains(text.as_str())))
        .map(|file| file.path)
        .collect();
    assert_none("compares what a client shows byte by byte", &findings);
    // Anywhere: what a secret reveals goes to who sends it or hashes it, and is held against nothing.
    let against = ["==", "!=", ".eq(", ".ne(", ".cmp(", "starts_with(", "ends_with(", "matches!("];
    let ours = OURS;
    let findings: Vec<_> = files(&[".rs"])
        .into_iter()
        .filter(|file| {
            ours.iter().any(|folder| file.path.starts_with(folder)) && !file.path.contains("tests")
        })
        .flat_map(|file| {
            // What stands behind this is a test.
            let code = file.text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
            let lines = code.lines().filter(|line| line.contains(".reveal()")).map(str::trim);
            let found = lines.filter(|line| against.iter().any(|text| line.contains(text)));
            found.map(|line| format!("{}: {line}", file.path)).collect::<Vec<_>>()
        })
        .collect();
    assert_none("holds a secret against something", &findings);
}

/// A panic's message goes to the log: what could put a body or a secret into one is not written outside tests, and the lints
/// that forbid the rest are in force.
#[test]
fn a548_no_panic_of_ours_can_tell_of_a_body() {
    let manifest = read("Cargo.toml");
    for lint in
        ["unwrap_used", "expect_used", "indexing_slicing", "string_slice", "panic", "todo", "unimplemented"]
    {
        assert!(manifest.lines().any(|line| line == format!("{lint} = \"deny\"")), "{lint}");
    }
    let words = ["assert!(", "assert_eq!(", "assert_ne!(", "unreachable!(", "panic!(", "dbg!("];
    let ours = OURS;
    let mut findings = Vec::new();
    for file in files(&[".rs"]) {
        if !ours.iter().any(|folder| file.path.starts_with(folder)) || file.path.contains("tests") {
            continue;
        }
        let code = file.text.split("#[cfg(test)]").next().unwrap_or_default();
        let mut before = "";
        for (number, line) in code.lines().enumerate() {
            // What is asserted of constants is asserted by the compiler.
            let of_constants = [before, line].iter().any(|line| line.starts_with("const _: () ="));
            before = line;
            let is_code = !of_constants && !line.trim_start().starts_with("//");
            if is_code && words.iter().any(|word| line.contains(word)) {
                findings.push(format!("{}:{}: {}", file.path, number + 1, line.trim()));
            }
        }
    }
    assert_none("may panic with what it was given", &findings);
}

#[test]
fn a548_the_shipped_unit_leaves_no_core() {
    assert!(read("deploy/systemd/pullgate.service").lines().any(|line| line == "LimitCORE=0"));
}
