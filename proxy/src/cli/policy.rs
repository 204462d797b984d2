//! `pullgate policy`: a policy is tried before it is in force.

use super::Exit;

mod diff;
mod pulled;
mod test;

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
