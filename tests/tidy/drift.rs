//! What documents say about the code, held to the code: figures, paths, names of types, bounds of transport.

use std::collections::BTreeSet;

use crate::documents::rows_of_limits;
use crate::tree::{assert_made, assert_none, files, read, root};

/// The part of a document between a line and the next heading.
fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let (_, rest) = text.split_once(&format!("\n{heading}\n")).unwrap();
    rest.split("\n## ").next().unwrap()
}

/// The cells of each row of a table, its heads left out.
fn rows(text: &str) -> Vec<Vec<&str>> {
    let lines = text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("|---"));
    lines.map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect()).collect()
}

/// Numbers with two digits or more: 37,738 and 3.5.
fn numbers(text: &str) -> Vec<&str> {
    let of_number = |c: char| c.is_ascii_digit() || matches!(c, '.' | ',');
    let words = text.split(|c: char| !of_number(c)).map(|word| word.trim_matches(['.', ',']));
    words.filter(|word| word.bytes().filter(u8::is_ascii_digit).count() > 1).collect()
}

#[test]
fn figures_of_the_first_page_stand_where_it_says() {
    let (page, measured) = (read("README.md"), read("benches/BENCHMARKING.md"));
    let mut findings = Vec::new();
    for row in rows(section(&page, "## What it claims")).into_iter().skip(1) {
        let [claim, figure, from] = row.as_slice() else { panic!("{row:?}") };
        if from.contains("benches/run") {
            let said = format!("{claim} {figure}");
            let missing = numbers(&said).into_iter().filter(|number| !measured.contains(number));
            findings.extend(missing.map(|number| format!("{number}: {claim}")));
        }
    }
    assert_none("a figure that no measurement has", &findings);
    let count = |text: &str, start: &str| text.lines().filter(|line| line.starts_with(start)).count();
    let attacks = read("tests/ATTACKS.md");
    let doors = count(section(&attacks, "## Side doors to content"), "| A");
    assert!(page.contains(&format!("{doors} side doors")), "{doors}");
    let security = read("SECURITY.md");
    let (measured, _) =
        section(&security, "## What one request can cost").split_once("<!-- /amplify -->").unwrap();
    let costs = rows(measured).len() - 1;
    assert!(page.contains(&format!("{costs} rows")), "{costs}");
}

/// Words between backticks that begin with a folder of ours.
#[test]
fn paths_in_documents_lead_somewhere() {
    let folders = ["policy/", "config/", "proxy/", "tests/", "benches/", "deploy/", ".ci/", ".github/"];
    let pages = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"];
    let mut findings = Vec::new();
    for page in pages {
        for word in read(page).split('`').skip(1).step_by(2) {
            let path = word.split([' ', ':']).next().unwrap();
            let ours = folders.iter().any(|folder| path.starts_with(folder));
            if ours && !path.contains("NAME") && !root().join(path).exists() {
                findings.push(format!("{page}: {path}"));
            }
        }
    }
    assert_none("a path to nothing", &findings);
}

#[test]
fn words_of_the_code_are_names_of_types() {
    let page = read("CONTRIBUTING.md");
    let (_, words) = page.split_once("\n**In the code**").unwrap();
    let words = words.split("\n## ").next().unwrap();
    let code: String = files(&[".rs"]).into_iter().map(|file| file.text).collect();
    let declared: BTreeSet<&str> = code
        .lines()
        .filter_map(|line| line.split_once("struct ").or_else(|| line.split_once("enum ")))
        .filter_map(|(_, rest)| rest.split(|c: char| !c.is_alphanumeric()).next())
        .collect();
    let is_type = |word: &&str| word.starts_with(|c: char| c.is_ascii_uppercase());
    let named = words
        .lines()
        .filter(|line| line.starts_with("| "))
        .flat_map(|line| line.split('`').skip(1).step_by(2));
    let findings: Vec<_> =
        named.filter(is_type).filter(|name| !declared.contains(name)).map(str::to_owned).collect();
    assert_none("a word that is the name of nothing", &findings);
}

#[test]
fn every_crate_says_what_an_attack_id_is() {
    let roots = files(&["lib.rs"])
        .into_iter()
        .filter(|file| file.path.contains("src/lib.rs") || file.path == "benches/lib.rs");
    let findings: Vec<_> =
        roots.filter(|file| !file.text.contains("tests/ATTACKS.md")).map(|file| file.path).collect();
    assert_none("does not introduce attack ids", &findings);
}

#[test]
fn the_sigstore_library_is_named_in_two_modules() {
    let part = concat!("sigstore", "_");
    let named = ["bundle", "crypto", "merkle", "trust_root", "tsa", "tuf", "types", "verify"]
        .map(|name| format!("{part}{name}::"));
    let findings: Vec<_> = files(&[".rs"])
        .into_iter()
        .filter(|file| file.path.starts_with("policy/verify/src/"))
        .filter(|file| {
            !["backend", "refresh"]
                .iter()
                .any(|room| file.path["policy/verify/src/".len()..].starts_with(room))
        })
        .filter(|file| named.iter().any(|name| file.text.contains(name)))
        .map(|file| file.path)
        .collect();
    assert_none("names the Sigstore library", &findings);
}

/// Constants of these types are bounds or waits.
const BOUNDS: [&str; 6] = ["Duration", "i64", "u32", "u64", "usize", "NonZeroUsize"];
/// But these, which are names and forms.
const NO_BOUNDS: [&str; 4] = ["COLUMNS", "RECORDED", "STATEMENT", "VERSION"];

/// A constant of a package that touches the network or the disk.
struct Bound {
    name: String,
    value: String,
    says: String,
    file: String,
}

fn bounds() -> (Vec<Bound>, Vec<String>) {
    let (mut found, mut unsaid) = (Vec::new(), Vec::new());
    let rows = rows_of_limits();
    for file in files(&[".rs"]) {
        let has_row = |name: &str| file.path.ends_with("/limits.rs") && rows.contains(name);
        let ours = file.path.starts_with("proxy/") && file.path.contains("src/");
        if !ours || file.path.contains("tests") || file.path.contains("/cli/demo") {
            continue;
        }
        let code = file.text.split("#[cfg(test)]").next().unwrap();
        let mut says = String::new();
        for (at, line) in code.lines().map(str::trim).enumerate() {
            if let Some(text) = line.strip_prefix("///") {
                says = format!("{says}{text}");
            } else if let Some((name, kind)) = constant(line) {
                let shown_above = has_row(&name.to_ascii_lowercase());
                if BOUNDS.contains(&kind) && !NO_BOUNDS.contains(&name) && !shown_above {
                    let rest: String = code.lines().skip(at).collect::<Vec<_>>().join(" ");
                    let value = rest.split_once('=').and_then(|(_, rest)| rest.split_once(';')).unwrap().0;
                    if says.is_empty() {
                        unsaid.push(format!("{}: {name}", file.path));
                    }
                    found.push(Bound {
                        name: name.to_ascii_lowercase(),
                        value: shown(value.trim()),
                        says: says.trim().replace(['[', ']'], "").replace('|', "\\|"),
                        file: file.path.clone(),
                    });
                }
                says.clear();
            } else if !line.starts_with("#[") {
                says.clear();
            }
        }
    }
    found.sort_by(|a, b| (&a.file, &a.name).cmp(&(&b.file, &b.name)));
    (found, unsaid)
}

/// The name and the type of a constant.
fn constant(line: &str) -> Option<(&str, &str)> {
    let at = line.find("const ").filter(|at| *at == 0 || line.starts_with("pub"))?;
    let (name, rest) = line[at + "const ".len()..].split_once(": ")?;
    let kind = rest.split([' ', ';', '=']).next()?;
    Some((name, kind.rsplit("::").next()?))
}

/// A value as people read it: `Duration::from_secs(60)` is 60 s.
fn shown(value: &str) -> String {
    let inner = |start: &str| value.strip_prefix(start)?.strip_suffix(')').and_then(product);
    if let Some(seconds) = inner("Duration::from_secs(") {
        return match seconds {
            n if n % 86_400 == 0 => format!("{} d", n / 86_400),
            n if n % 3_600 == 0 => format!("{} h", n / 3_600),
            n => format!("{n} s"),
        };
    }
    if let Some(millis) = inner("Duration::from_millis(") {
        return format!("{millis} ms");
    }
    match product(value) {
        Some(n) if value.contains("1024") && n % (1 << 20) == 0 => format!("{} MiB", n >> 20),
        Some(n) if value.contains("1024") && n % 1024 == 0 => format!("{} KiB", n >> 10),
        Some(n) => n.to_string(),
        None => format!("`{value}`"),
    }
}

fn product(value: &str) -> Option<u64> {
    value
        .split('*')
        .map(|factor| factor.trim().replace('_', "").parse::<u64>().ok())
        .try_fold(1, |n, factor| Some(n * factor?))
}

#[test]
fn every_bound_of_transport_stands_in_the_page_on_security() {
    let (bounds, unsaid) = bounds();
    assert_none("a constant that does not say what it bounds", &unsaid);
    let text = read("SECURITY.md");
    let (before, rest) = text.split_once("<!-- constants -->\n").unwrap();
    let (_, after) = rest.split_once("<!-- /constants -->").unwrap();
    let mut table = String::from("| bound | value | of what | in |\n|---|---|---|---|\n");
    for Bound { name, value, says, file } in bounds {
        table.push_str(&format!("| `{name}` | {value} | {says} | `{file}` |\n"));
    }
    assert_made("SECURITY.md", &format!("{before}<!-- constants -->\n\n{table}\n<!-- /constants -->{after}"));
}

#[test]
fn values_are_shown_as_people_read_them() {
    let shown_as = [
        ("Duration::from_secs(60 * 60)", "1 h"),
        ("Duration::from_millis(250)", "250 ms"),
        ("64 * 1024 * 1024", "64 MiB"),
        ("1_000", "1000"),
        ("limits::A / 2", "`limits::A / 2`"),
    ];
    for (value, expected) in shown_as {
        assert_eq!(shown(value), expected);
    }
    assert_eq!(constant("pub(super) const A: u64 = 1;"), Some(("A", "u64")));
    assert_eq!(constant("let constant = 1;"), None);
}
