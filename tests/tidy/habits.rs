//! What surrounds the code: jobs of CI, spelling, width of comments.

use std::collections::BTreeSet;

use crate::tree::{assert_none, files, read};

/// Columns of a comment: `rustfmt` wraps code at fewer, and comments not at all.
const COLUMNS: usize = 125;

#[test]
fn the_jobs_of_ci_are_the_steps_of_tests_run() {
    let (script, workflow) = (read("tests/run"), read(".github/workflows/ci.yml"));
    let (_, steps) = script.split_once("ALL_STEPS=(").unwrap();
    let steps: BTreeSet<&str> = steps.split(')').next().unwrap().split(' ').collect();
    let jobs = workflow.lines().filter_map(|line| line.trim().strip_prefix("steps: "));
    let run: BTreeSet<&str> =
        jobs.flat_map(|names| names.split(' ')).filter(|name| !name.is_empty()).collect();
    assert_eq!(run, steps);
}

#[test]
fn the_page_on_contributing_says_how_long_each_step_takes() {
    let (script, page) = (read("tests/run"), read("CONTRIBUTING.md"));
    let (_, steps) = script.split_once("ALL_STEPS=(").unwrap();
    let steps = steps.split(')').next().unwrap().split(' ');
    let missing: Vec<_> =
        steps.filter(|step| !page.contains(&format!("`{step}`"))).map(str::to_owned).collect();
    assert_none("a step of tests/run without its time in CONTRIBUTING.md", &missing);
}

#[test]
fn comments_fit_a_terminal() {
    let mut findings = Vec::new();
    for file in files(&[".rs"]) {
        for (number, line) in file.text.lines().enumerate() {
            if line.trim_start().starts_with("//") && line.chars().count() > COLUMNS {
                findings.push(format!("{}:{}: {} columns", file.path, number + 1, line.chars().count()));
            }
        }
    }
    assert_none("a comment that is too wide", &findings);
}

/// A sleep is too short on a busy machine and too long on any other: tests wait for what is to happen, or say that
/// nothing is to.
#[test]
fn suites_wait_for_conditions_and_never_for_a_time() {
    let folders = ["tests/suites/", "tests/field/", "tests/real_clients/"];
    let mut findings = Vec::new();
    for file in
        files(&[".rs"]).into_iter().filter(|file| folders.iter().any(|one| file.path.starts_with(one)))
    {
        for (number, line) in file.text.lines().enumerate() {
            if line.contains(concat!("sle", "ep(")) || line.contains(concat!("time::sle", "ep")) {
                findings.push(format!("{}:{}: {}", file.path, number + 1, line.trim()));
            }
        }
    }
    assert_none("tests/src/waiting.rs has what a test waits with", &findings);
}

/// Characters of a test's name.
const NAME_MAX: usize = 80;

#[test]
fn names_of_tests_are_short_enough_to_read() {
    let mut findings = Vec::new();
    for file in files(&[".rs"]) {
        for (number, line) in file.text.lines().enumerate() {
            let Some((_, rest)) = line.split_once("fn ") else { continue };
            let name = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
            if name.len() > NAME_MAX {
                findings.push(format!("{}:{}: {}", file.path, number + 1, name.len()));
            }
        }
    }
    assert_none("too long a name", &findings);
}

/// What fingers do most.
const MISSPELT: [&str; 39] = [
    "accomodate",
    "aggresive",
    "alreaddy",
    "apparant",
    "assymmetric",
    "authenticaton",
    "becuase",
    "begining",
    "beleive",
    "catagory",
    "certifcate",
    "concurent",
    "configuraton",
    "convinient",
    "definately",
    "dependancy",
    "descripter",
    "enviroment",
    "existance",
    "experiance",
    "explaination",
    "folowing",
    "gaurd",
    "heirarchy",
    "implementaion",
    "independant",
    "initalise",
    "lenght",
    "maintainance",
    "necesary",
    "occured ",
    "paralel ",
    "permanant",
    "privelege",
    "recieve",
    "repositry",
    "seperate",
    "signatrue",
    "successfull ",
];

#[test]
fn words_are_spelt_as_in_a_dictionary() {
    let mut findings = Vec::new();
    for file in files(&[".rs", ".md", ".toml", ".yml", "/run"]) {
        if file.path.ends_with("tidy/habits.rs") {
            continue;
        }
        for (number, line) in file.text.lines().enumerate() {
            let line = line.to_ascii_lowercase();
            for word in MISSPELT.iter().filter(|word| line.contains(**word)) {
                findings.push(format!("{}:{}: {word}", file.path, number + 1));
            }
        }
    }
    assert_none("misspelt", &findings);
}
