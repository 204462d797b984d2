//! Judges many bundles by the gate's verifier and by sigstore-go, and reports where they differ.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that people run")]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use pullgate_tests::differ::{DIFFERENCES, Side, run};

/// Compare the gate's verifier with sigstore-go.
///
/// Recordings and minted bundles are changed part by part, and judged by both. Exit status: 0 when they differ in
/// nothing but the deliberate differences, 1 when in something else (each such case is written to a file), 2 when the
/// reference cannot be asked: `tests/run tools` builds it.
#[derive(Parser)]
#[command(
    name = "differ",
    after_help = "Examples:\n  differ\n  differ --cases 100000 --seed 7\n  differ --list"
)]
struct Arguments {
    /// How many.
    #[arg(long, default_value_t = 2000)]
    cases: usize,
    /// Where to begin: the same seed makes the same cases.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The reference's program.
    #[arg(long, default_value = "target/tools/bin/differ")]
    reference: PathBuf,
    /// Where cases that differ are written.
    #[arg(long, default_value = "target/differ")]
    out: PathBuf,
    /// Say what the deliberate differences are, and try nothing.
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.list {
        for one in DIFFERENCES {
            println!("{}\n      {}", who(one.refused_by), one.reason);
        }
        return ExitCode::SUCCESS;
    }
    let told = match run(&arguments.reference, arguments.cases, arguments.seed, &arguments.out) {
        Ok(told) => told,
        Err(error) => {
            eprintln!("differ: {}: {error}", arguments.reference.display());
            return ExitCode::from(2);
        }
    };
    println!("{} cases, seed {}", arguments.cases, arguments.seed);
    println!("both accept {}, both refuse {}", told.accepted, told.refused);
    for (count, one) in told.deliberate.iter().zip(DIFFERENCES).filter(|(count, _)| **count > 0) {
        println!("{count:>6}  {}: {}", who(one.refused_by), one.reason);
    }
    for path in &told.unlisted {
        println!("DIFFERS: {}", path.display());
    }
    if told.unlisted.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

fn who(side: Side) -> String {
    match side {
        Side::Ours(code, words) => format!("refused here alone, {code} \"{words}\""),
        Side::OurRoot(words) => format!("the root is refused here alone, \"{words}\""),
        Side::Reference(words) => format!("refused by the reference alone, \"{words}\""),
    }
}
