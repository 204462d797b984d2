//! Kills a gate under load, again and again, on one state folder.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that people run")]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use pullgate_tests::clients::tool;
use pullgate_tests::kills::{Run, Seen};

/// Kill a gate under load at random moments, start it again on the same state, and look at everything.
///
/// It dies while clients pull, in the middle of a reload, and before it is ready; at times the end of the pull log is cut
/// off too. After each kill the databases are whole, every file is what its name says, and permits and grants rest on what
/// was signed; after each start nothing is left over, no unsigned digest is served by any route, no byte is wrong and every
/// permitted image pulls. Exit status: 0 when all of it held, 1 when not, with the round's seed, and the folder is kept.
#[derive(Parser)]
#[command(
    name = "kills",
    after_help = "Examples:\n  kills --rounds 300\n  kills --seed 7 --rounds 12\n  kills --gate target/release/pullgate"
)]
struct Arguments {
    /// How often the gate is killed.
    #[arg(long, default_value_t = 300)]
    rounds: u32,
    /// Where moments and pulls come from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The program; the one that cargo built where none is named.
    #[arg(long)]
    gate: Option<PathBuf>,
}

fn main() -> ExitCode {
    let Arguments { rounds, seed, gate } = Arguments::parse();
    let gate = match gate.map_or_else(tool::gate, Ok) {
        Ok(gate) => gate,
        Err(error) => {
            eprintln!("kills: {error}");
            return ExitCode::from(2);
        }
    };
    let tell = |round: u32, seen: &Seen| {
        if round.is_multiple_of(10) || round == rounds {
            println!(
                "{round}/{rounds}: {} answers, {} of them whole and right; {} kills cut answers off; slowest start {} ms",
                seen.answers,
                seen.whole,
                seen.in_flight,
                seen.slowest.as_millis()
            );
        }
    };
    match (Run { rounds, seed, gate }).run(tell) {
        Ok(seen) => {
            println!(
                "seed {seed}: {rounds} kills, {} of them with answers under way, {} before it was ready, {} in a reload; \
                 {} records cut off and counted; up to {} permits stored; nothing was wrong",
                seen.in_flight, seen.before_ready, seen.in_reload, seen.torn, seen.permits
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("kills: {error}");
            ExitCode::from(1)
        }
    }
}
