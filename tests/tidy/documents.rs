//! Documents that the code holds true.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use crate::tree::{assert_made, assert_none, files, read, root};

#[test]
fn every_reason_code_is_in_the_table_of_codes() {
    let mut text = String::from(
        "# Reason codes\n\nThe stable codes of `reasons[]` in the pull log, of `pullgate verify` and of `pullgate verify --explain CODE`. \
         A code never changes its meaning and is never used again for another. Made from `policy/src/code.rs`.\n\n\
         | code | cause | cure |\n|---|---|---|\n",
    );
    let mut codes: Vec<_> = pullgate_policy::code::Code::ALL.to_vec();
    codes.sort_by_key(|code| code.as_str());
    for code in codes {
        let cell = |text: &str| text.replace('|', "\\|");
        writeln!(text, "| `{code}` | {} | {} |", cell(code.cause()), cell(code.cure())).unwrap();
    }
    assert_made("policy/CODES.md", &text);
}

#[test]
fn every_diagnostic_has_a_heading_and_every_heading_a_diagnostic() {
    let text = read("config/README.md");
    let (_, diagnostics) = text.split_once("\n## Diagnostics\n").unwrap();
    let diagnostics = diagnostics.split("\n## ").next().unwrap();
    let headings: BTreeSet<_> = diagnostics
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .map(|line| line.trim_matches('`'))
        .collect();
    let codes: BTreeSet<_> = pullgate_config::Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(headings, codes);
}

#[test]
fn every_limit_stands_in_the_table_of_limits() {
    let rows = rows_of_limits();
    let limits = |file: &str| -> BTreeSet<String> {
        let code = read(file);
        let names = code.lines().filter_map(|line| line.strip_prefix("pub const ")?.split_once(':'));
        // A unit is no limit.
        names.map(|(name, _)| name.to_ascii_lowercase()).filter(|name| name != "mib").collect()
    };
    let mut all = BTreeSet::new();
    for file in LIMITS {
        let limits = limits(file);
        if BEFORE_TRANSPORT.contains(&file) {
            let missing: Vec<_> = limits.difference(&rows).cloned().collect();
            assert_none(&format!("a limit of {file} without a row in SECURITY.md"), &missing);
        }
        all.extend(limits);
    }
    let unknown: Vec<_> = rows.difference(&all).cloned().collect();
    assert_none("a row in SECURITY.md without a limit", &unknown);
}

/// The limits of each package.
const LIMITS: [&str; 6] = [
    "policy/src/limits.rs",
    "config/src/limits.rs",
    "proxy/upstream/src/limits.rs",
    "proxy/store/src/limits.rs",
    "proxy/audit/src/limits.rs",
    "proxy/src/limits.rs",
];

/// Those of content and of files: all of them have a row of their own. Of the others what has none stands in the table of
/// constants (`drift.rs`).
const BEFORE_TRANSPORT: [&str; 2] = ["policy/src/limits.rs", "config/src/limits.rs"];

/// The names in the table of limits.
pub(crate) fn rows_of_limits() -> BTreeSet<String> {
    let page = read("SECURITY.md");
    let (table, _) = page.split_once("<!-- constants -->").unwrap();
    table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(name, _)| name.to_owned())
        .collect()
}

#[test]
fn relative_links_in_documents_lead_somewhere() {
    let mut findings = Vec::new();
    for file in files(&[".md"]) {
        let folder = root().join(&file.path).parent().map(Path::to_owned).unwrap();
        for target in links(&file.text) {
            let path = target.split('#').next().unwrap_or_default();
            if !path.is_empty()
                && !path.contains("://")
                && !path.starts_with("mailto:")
                && !folder.join(path).exists()
            {
                findings.push(format!("{}: {target}", file.path));
            }
        }
    }
    assert_none("a link to nothing", &findings);
}

/// The targets of `[text](target)`, outside of code.
fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        // Every other piece between backticks is code.
        let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join("code");
        if !fenced {
            let targets = prose.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
            found.extend(targets.map(|(target, _)| target.trim().to_owned()));
        }
    }
    found
}

#[test]
fn links_in_code_are_no_links() {
    let text = "see [a](b.md) and `[c](d.md)`\n```\n[e](f.md)\n```\n[`g`](h.md#i)\n";
    assert_eq!(links(text), ["b.md", "h.md#i"]);
}

#[test]
fn each_case_of_other_projects_is_run_by_a_test_or_says_why_not() {
    let tests: BTreeSet<String> = files(&[".rs"])
        .iter()
        .flat_map(|file| file.text.lines().map(str::trim))
        .filter_map(|line| {
            line.trim_start_matches("async ").strip_prefix("fn ")?.split('(').next().map(str::to_owned)
        })
        .collect();
    let page = read("tests/fixtures/COVERAGE.md");
    let (table, kinds) = page.split_once("\n## Kinds of case").unwrap();
    let made = kinds.lines().filter_map(|line| line.trim_matches('|').rsplit_once(" | "));
    let made = made.flat_map(|(_, tests)| tests.split('`').skip(1).step_by(2));
    let missing: Vec<_> = made.filter(|name| !tests.contains(*name)).map(str::to_owned).collect();
    assert_none("a kind of case whose test is not there", &missing);
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| source"))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    let wrong: Vec<String> = rows
        .iter()
        .filter(|row| match row.as_slice() {
            [_, _, _, by] => {
                let named = by.strip_prefix('`').and_then(|by| by.strip_suffix('`'));
                !by.starts_with("out of reach: ") && !named.is_some_and(|name| tests.contains(name))
            }
            _ => true,
        })
        .map(|row| row.join(" | "))
        .collect();
    assert_none("a row without a test or a reason", &wrong);
    let cases: BTreeSet<_> = rows.iter().map(|row| row.iter().take(2).collect::<Vec<_>>()).collect();
    assert_eq!((cases.len(), rows.len()), (320, 320), "a case is lost, or stands there twice");
}

#[test]
fn what_one_request_can_cost_stands_in_the_page_on_security() {
    let text = read("SECURITY.md");
    let (before, rest) = text.split_once("<!-- amplify -->\n").unwrap();
    let (_, after) = rest.split_once("<!-- /amplify -->").unwrap();
    let table = pullgate_tests::amplify::table();
    assert_made("SECURITY.md", &format!("{before}<!-- amplify -->\n\n{table}\n<!-- /amplify -->{after}"));
}

#[test]
fn what_bounds_each_party_stands_in_the_page_on_security() {
    let text = read("SECURITY.md");
    let (before, rest) = text.split_once("<!-- bounds -->\n").unwrap();
    let (_, after) = rest.split_once("<!-- /bounds -->").unwrap();
    let table = pullgate_tests::amplify::bounds();
    assert_made("SECURITY.md", &format!("{before}<!-- bounds -->\n\n{table}\n<!-- /bounds -->{after}"));
}
