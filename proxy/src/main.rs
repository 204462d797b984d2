//! The program: reads the command line, runs the command, ends with its exit code.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    pullgate::cli::run(pullgate::cli::Cli::parse())
}
