//! Feeds every reader of bytes with what almost is one of its texts.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that people run")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use pullgate_tests::fuzz::{Budget, Finding, TARGETS, Target};

/// Feed everything that reads bytes from outside with inputs that are almost right.
///
/// No panic, no case over its time or its memory, and what each target says of its own: two readers read alike, what was
/// changed after signing does not count, no secret is shown, nobody is asked but who was named. A finding is written to
/// tests/fixtures/fuzz, where the suites run it from then on. Exit status: 0 without a finding, 1 with one.
#[derive(Parser)]
#[command(
    name = "fuzz",
    after_help = "Examples:\n  fuzz --list\n  fuzz manifest bundle --seconds 600 --seed 7\n  fuzz route --input FILE"
)]
struct Arguments {
    /// Targets; all where none is named.
    targets: Vec<String>,
    /// Name the targets, and feed none.
    #[arg(long)]
    list: bool,
    /// How long each target is fed; else it is fed --inputs.
    #[arg(long)]
    seconds: Option<u64>,
    /// How many inputs each target gets.
    #[arg(long, default_value_t = 2_000)]
    inputs: u64,
    /// Where the inputs come from: the same for the same seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// One input, from a file.
    #[arg(long)]
    input: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.list {
        TARGETS.iter().for_each(|target| println!("{}", target.name));
        return ExitCode::SUCCESS;
    }
    if let Some(unknown) = arguments.targets.iter().find(|name| Target::named(name).is_none()) {
        eprintln!("fuzz: no target is called {unknown}; see --list");
        return ExitCode::from(2);
    }
    let wanted = |target: &&Target| {
        arguments.targets.is_empty() || arguments.targets.iter().any(|name| name == target.name)
    };
    // Findings are told in their own words.
    std::panic::set_hook(Box::new(|_| {}));
    let found = TARGETS.iter().filter(wanted).filter(|target| !fed(target, &arguments)).count();
    if found == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

/// Whether nothing was found.
fn fed(target: &Target, arguments: &Arguments) -> bool {
    let budget = match arguments.seconds {
        Some(seconds) => Budget::Time(Duration::from_secs(seconds)),
        None => Budget::Inputs(arguments.inputs),
    };
    let fed = match &arguments.input {
        None => target.feed(arguments.seed, budget),
        Some(file) => match std::fs::read(file) {
            Ok(input) => alone(target, &input).map(|()| 1),
            Err(error) => {
                eprintln!("fuzz: {}: {error}", file.display());
                return false;
            }
        },
    };
    match fed {
        Ok(inputs) => {
            println!("{:<14} {inputs} inputs, nothing found", target.name);
            true
        }
        Err(finding) => {
            let kept = target
                .keep(&finding)
                .map_or_else(|error| error.to_string(), |file| file.display().to_string());
            println!(
                "{:<14} FOUND: {}\n  cargo run -p pullgate-tests --bin fuzz -- {} --input {kept}",
                target.name, finding.what, target.name
            );
            false
        }
    }
}

/// What is made once is made for the seeds first.
fn alone(target: &Target, input: &[u8]) -> Result<(), Finding> {
    (target.seeds)().iter().try_for_each(|seed| target.one(seed))?;
    target.measured(input)
}
