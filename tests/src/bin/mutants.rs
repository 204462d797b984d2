//! Takes protections out, one at a time, and sees their tests fail.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that people run")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use clap::Parser;
use pullgate_tests::mutants::{Protection, Suite, protections};

/// Take protections out, one at a time, and see their tests fail.
///
/// Works on a copy of the tree in the target folder. Every named test is run first as the tree is, and must pass. Exit
/// status: 0 when each test failed without its protection, 1 when one did not, 2 when it could not be tried.
#[derive(Parser)]
#[command(name = "mutants", after_help = "Examples:\n  mutants --list\n  mutants A031 A023\n  mutants")]
struct Arguments {
    /// Ids of the rows to try; all when none is named.
    ids: Vec<String>,
    /// Say what can be taken out, and try nothing.
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let wanted: Vec<&Protection> = protections()
        .filter(|one| arguments.ids.is_empty() || arguments.ids.iter().any(|id| id == one.id))
        .collect();
    if arguments.list {
        for one in &wanted {
            println!("{}  {}\n      {}: {}", one.id, one.without, one.file, one.test);
        }
        return ExitCode::SUCCESS;
    }
    match tried(&wanted) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(error) => {
            eprintln!("mutants: {error}");
            ExitCode::from(2)
        }
    }
}

/// How many protections could be taken out with nobody noticing.
fn tried(wanted: &[&Protection]) -> io::Result<usize> {
    if wanted.is_empty() {
        return Err(io::Error::other("no protection has this id; see --list"));
    }
    let copy = Copy::of_the_tree()?;
    println!("{} protections; every test as the tree is, first", wanted.len());
    copy.all_pass(wanted)?;
    let mut unnoticed = 0;
    for (n, one) in wanted.iter().enumerate() {
        print!("{:>3}/{} {} without {}: ", n + 1, wanted.len(), one.id, one.without);
        io::stdout().flush()?;
        match copy.without(one)? {
            Seen::Fails => println!("{} fails", one.test),
            Seen::Passes => {
                unnoticed += 1;
                println!("NOT NOTICED by {}", one.test);
            }
            Seen::NotBuilt(why) => {
                unnoticed += 1;
                println!("NOT BUILT\n{why}");
            }
        }
    }
    println!("{} of {} were noticed", wanted.len() - unnoticed, wanted.len());
    Ok(unnoticed)
}

/// What became of a test.
enum Seen {
    Fails,
    Passes,
    NotBuilt(String),
}

/// A copy of the tree, with a target folder of its own.
struct Copy {
    tree: PathBuf,
    target: PathBuf,
}

impl Copy {
    /// Files that are as they were keep their time, so that only what changed is built again.
    fn of_the_tree() -> io::Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        let copy = Self { tree: target.join("mutants/tree"), target: target.join("mutants/target") };
        let listed = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(root)
            .output()?;
        if !listed.status.success() {
            return Err(io::Error::other("git cannot list the files of the tree"));
        }
        let names = String::from_utf8_lossy(&listed.stdout);
        let names: BTreeSet<&str> = names.split('\0').filter(|name| root.join(name).is_file()).collect();
        for name in &names {
            let (from, to) = (fs::read(root.join(name))?, copy.tree.join(name));
            if fs::read(&to).is_ok_and(|there| there == from) {
                continue;
            }
            if let Some(folder) = to.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(to, from)?;
        }
        copy.remove_others(&copy.tree, &names)?;
        Ok(copy)
    }

    fn remove_others(&self, folder: &Path, names: &BTreeSet<&str>) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.strip_prefix(&self.tree).unwrap_or(&path).to_string_lossy().into_owned();
            if path.is_dir() {
                self.remove_others(&path, names)?;
            } else if !names.contains(name.as_str()) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    fn all_pass(&self, wanted: &[&Protection]) -> io::Result<()> {
        let mut by_suite: BTreeMap<Suite, Vec<&str>> = BTreeMap::new();
        for one in wanted {
            by_suite.entry(one.suite).or_default().push(one.test);
        }
        for (suite, tests) in by_suite {
            let (succeeded, output) = self.test(suite, &tests)?;
            let missing = tests.iter().find(|test| !ended(&output, test, "ok"));
            if let Some(test) = missing {
                return Err(io::Error::other(format!(
                    "{test} does not pass as the tree is\n{}",
                    last(&output)
                )));
            }
            if !succeeded {
                return Err(io::Error::other(last(&output)));
            }
        }
        Ok(())
    }

    fn without(&self, one: &Protection) -> io::Result<Seen> {
        let path = self.tree.join(one.file);
        let source = fs::read_to_string(&path)?;
        let changed = one.taken_out_of(&source).ok_or_else(|| {
            io::Error::other(format!("{}: its text does not stand once in {}", one.id, one.file))
        })?;
        fs::write(&path, changed)?;
        let tested = self.test(one.suite, &[one.test]);
        fs::write(&path, source)?;
        let (succeeded, output) = tested?;
        Ok(if ended(&output, one.test, "FAILED") {
            Seen::Fails
        } else if succeeded || ended(&output, one.test, "ok") {
            Seen::Passes
        } else {
            Seen::NotBuilt(last(&output))
        })
    }

    /// Whether all of `tests` passed, and what was printed.
    fn test(&self, suite: Suite, tests: &[&str]) -> io::Result<(bool, String)> {
        let output = Command::new("cargo")
            .arg("test")
            .args(suite.arguments())
            .args(["--locked", "--no-fail-fast", "--"])
            .args(tests)
            .current_dir(&self.tree)
            .env("CARGO_TARGET_DIR", &self.target)
            // What calls a protection that was taken out is unused, which is no fault here.
            .env("RUSTFLAGS", "--cap-lints=allow")
            .env_remove("RUST_BACKTRACE")
            .stdin(Stdio::null())
            .output()?;
        let text = [output.stdout, output.stderr].concat();
        Ok((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
    }
}

/// Tells whether the harness says of `test` that it ended so.
fn ended(output: &str, test: &str, how: &str) -> bool {
    output.lines().any(|line| {
        line.strip_prefix("test ")
            .is_some_and(|rest| rest.contains(test) && rest.ends_with(&format!("... {how}")))
    })
}

fn last(output: &str) -> String {
    let lines: Vec<&str> = output.lines().collect();
    lines.get(lines.len().saturating_sub(25)..).unwrap_or_default().join("\n")
}
