//! `tests/ATTACKS.md`: every attack has its tests, and every test that names an attack stands there.

use std::collections::{BTreeMap, BTreeSet};

use pullgate_tests::mutants::{Protection, protections};

use crate::tree::{assert_made, assert_none, files, read};

const TABLE: &str = "tests/ATTACKS.md";
/// Under this heading stands what the command `mutants` takes out.
const TAKEN_OUT: &str = "## Protections that were taken out";

type Tests = BTreeMap<String, BTreeSet<(String, String)>>;

/// Every test by the attack ids in its name, with its file.
fn tests_by_id() -> Tests {
    let mut found = Tests::new();
    for file in files(&[".rs"]) {
        let mut marked = false;
        for line in file.text.lines().map(str::trim) {
            marked |= line == "#[test]" || line.starts_with("#[tokio::test");
            let name = line
                .trim_start_matches("async ")
                .strip_prefix("fn ")
                .and_then(|rest| rest.split(['(', '<']).next());
            if let Some(name) = name {
                let in_macro = file.text.contains("proptest!");
                if marked || in_macro {
                    for id in ids(name) {
                        found.entry(id).or_default().insert((file.path.clone(), name.to_owned()));
                    }
                }
                marked = false;
            }
        }
    }
    found
}

/// `a021_a022_…` names A021 and A022.
fn ids(name: &str) -> Vec<String> {
    let is_id = |part: &&str| {
        part.len() == 4 && part.starts_with('a') && part[1..].bytes().all(|byte| byte.is_ascii_digit())
    };
    name.split('_').filter(is_id).map(str::to_ascii_uppercase).collect()
}

/// The third cell: files, and the tests in each.
fn cell(tests: &BTreeSet<(String, String)>) -> String {
    let mut by_file: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (file, name) in tests {
        by_file.entry(file).or_default().push(format!("`{name}`"));
    }
    by_file
        .iter()
        .map(|(file, names)| format!("`{file}`: {}", names.join(", ")))
        .collect::<Vec<_>>()
        .join("; ")
}

/// The three cells of a row.
fn row(line: &str) -> Option<(&str, &str, &str)> {
    let rest = line.strip_prefix("| A")?;
    let id = line.get(2..6).filter(|_| rest.get(3..6) == Some(" | "))?;
    let (claim, tests) = line.get(9..)?.split_once(" | ")?;
    Some((id, claim, tests.strip_suffix(" |")?))
}

#[test]
fn the_table_of_attacks_names_every_test_and_every_test_stands_in_it() {
    let tests = tests_by_id();
    let text = read(TABLE);
    let mut listed = BTreeSet::new();
    let mut findings = Vec::new();
    let mut made = String::new();
    let (rows, _) = text.split_once(TAKEN_OUT).unwrap_or((&text, ""));
    for line in rows.lines() {
        let Some((id, claim, cells)) = row(line) else {
            made.push_str(line);
            made.push('\n');
            continue;
        };
        if !listed.insert(id.to_owned()) {
            findings.push(format!("{id} stands twice"));
        }
        let cells = match tests.get(id) {
            Some(tests) => cell(tests),
            None => {
                if !cells.starts_with("later: ") {
                    findings.push(format!("{id} has no test, and does not say \"later: \" and why"));
                }
                cells.to_owned()
            }
        };
        made.push_str(&format!("| {id} | {claim} | {cells} |\n"));
    }
    findings.extend(
        tests
            .keys()
            .filter(|id| !listed.contains(*id))
            .map(|id| format!("{id} has tests and no row: {:?}", tests[id])),
    );
    findings.extend(protections().filter_map(|one| not_true(one, &tests)));
    let made = format!("{}\n\n{}", made.trim_end(), taken_out());
    assert_none(TABLE, &findings);
    assert_made(TABLE, &made);
}

/// A document that names a test as the proof of a sentence names one that is there.
#[test]
fn a_test_that_a_document_names_is_there() {
    let tests: BTreeSet<String> = tests_by_id().into_values().flatten().map(|(_, name)| name).collect();
    let mut findings = Vec::new();
    for file in files(&[".md"]) {
        for word in file.text.split('`').skip(1).step_by(2) {
            let is_name = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            if is_name && !ids(word).is_empty() && word.len() > 12 && !tests.contains(word) {
                findings.push(format!("{}: {word}", file.path));
            }
        }
    }
    assert_none("a test that is not there", &findings);
}

/// A protection can be taken out only where its text stands, and its test must be one of its row.
fn not_true(one: &Protection, tests: &Tests) -> Option<String> {
    if one.taken_out_of(&read(one.file)).is_none() {
        return Some(format!("{}: the text to take out does not stand once in {}", one.id, one.file));
    }
    let known = tests.values().flatten().any(|(_, name)| name == one.test);
    (!known).then(|| format!("{}: no test is called {}", one.id, one.test))
}

fn taken_out() -> String {
    let mut text = format!(
        "{TAKEN_OUT}\n\n`cargo run -p pullgate-tests --bin mutants` takes each of these out of a copy of the tree and sees \
         its test fail\n(`--list` says what, an id tries one).\n\n| id | without | test that fails |\n|---|---|---|\n"
    );
    for one in protections() {
        text.push_str(&format!("| {} | {} (`{}`) | `{}` |\n", one.id, one.without, one.file, one.test));
    }
    text
}

#[test]
fn a_test_name_can_name_several_attacks() {
    assert_eq!(ids("a021_a022_what_is_a_claim"), ["A021", "A022"]);
    assert!(ids("what_is_permitted_is_served").is_empty());
    assert_eq!(row("| A021 | a claim | later: because |"), Some(("A021", "a claim", "later: because")));
    assert_eq!(row("| id | claim | tests |"), None);
}
