//! `pullgate policy`: a policy is tried before it is in force.

use super::Exit;

mod diff;
mod pulled;
mod test;

pub(super) const EXAMPLES: &str = "\
A policy is judged again on what the gate has kept: the manifests and the evidence of what was
pulled. It is the function that judges pulls; nobody is asked, and a running gate is not touched.
What was not kept is unknown, and is said to be.

Examples:
  pullgate policy diff --config pullgate.toml next.toml
                                                       what would change, by image and client
  pullgate policy test --config pullgate.toml expected.toml
                                                       does it still say what it must?";

/// What is done with a policy.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Tell what another policy would say of what was pulled
    #[command(after_help = diff::EXAMPLES)]
    Diff(diff::Arguments),
    /// Hold a policy to what is expected of it
    #[command(after_help = test::EXAMPLES)]
    Test(test::Arguments),
}

/// Runs it.
pub(super) async fn run(command: Command) -> Exit {
    match command {
        Command::Diff(arguments) => diff::run(&arguments).await,
        Command::Test(arguments) => test::run(&arguments).await,
    }
}
