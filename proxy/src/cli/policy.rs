//! `pullgate policy`: a policy is tried before it is in force.

use super::Exit;

mod diff;
mod import;
mod pulled;
mod test;

pub(super) const EXAMPLES: &str = "\
Both commands judge kept content: the manifests of past pulls and their evidence. They use the
function that judges pulls, and do not disturb a running gate. They make no request without --fetch
or --record; where content was not kept, the outcome is reported as unknown.

Examples:
  pullgate policy diff --config pullgate.toml next.toml
                                                       what would change, by image and client
  pullgate policy test --config pullgate.toml expected.toml
                                                       does it still decide as expected?
  pullgate policy import /etc/containers/policy.json
                                                       start from the policy of another system";

/// What is done with a policy.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Judge past pulls again by another policy, and show what would change
    #[command(after_help = diff::EXAMPLES)]
    Diff(diff::Arguments),
    /// Make a policy of those of another system
    #[command(after_help = import::EXAMPLES)]
    Import(import::Arguments),
    /// Compare a policy with the verdicts that a site expects
    #[command(after_help = test::EXAMPLES)]
    Test(test::Arguments),
}

/// Runs it.
pub(super) async fn run(command: Command) -> Exit {
    match command {
        Command::Diff(arguments) => diff::run(&arguments).await,
        Command::Import(arguments) => import::run(&arguments),
        Command::Test(arguments) => test::run(&arguments).await,
    }
}
