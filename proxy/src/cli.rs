//! The command line: what people type, what they read, and the exit codes.
//!
//! Only this module and those below it write to standard output and standard error; the library logs.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};

use pullgate_policy::oci::Image;

use self::paint::Paint;

mod audit;
mod check;
mod configuration;
mod debug_bundle;
mod demo;
mod doctor;
mod explain;
mod heaps;
mod init;
mod node;
mod node_config;
mod paint;
mod policy;
mod progress;
mod report;
mod serve;
mod survey;
mod trust;
mod verify;

const EXAMPLES: &str = "\
Examples:
  pullgate demo                                        see it work, on this machine alone
  pullgate check --config pullgate.toml                what is wrong with the files, all of it
  pullgate init                                        files for this machine, to begin with
  pullgate serve --config pullgate.toml                the gate
  pullgate doctor                                      can a pull of this node go around it
  pullgate audit search --config pullgate.toml --since 24h --verdict deny
                                                       what was refused, to whom, and why
  pullgate verify --config pullgate.toml ghcr.io/myorg/app:v1
                                                       would it be permitted, and why (not)
  curl -si http://127.0.0.1:5000/v2/ghcr.io/myorg/app/manifests/v1
                                                       ask a running gate, as a runtime does

Exit codes: 0 yes, 1 no, 2 usage or configuration, 3 undecided.";

const SERVE_EXAMPLES: &str = "\
Without --config: loopback only, the well-known public registries, the built-in trust roots,
warn mode: every image is served, with a warning where no policy permits it; state under the
user's data folder.

SIGTERM drains, SIGHUP reloads; a changed file reloads too. A reload with a fault keeps the
configuration in force.

Examples:
  pullgate serve                                       try it: nothing is refused yet
  pullgate serve --config /etc/pullgate/pullgate.toml

Exit codes: 0 drained, 1 it cannot run, 2 faults in the files, or another process holds the
state folder.";

const VERIFY_EXAMPLES: &str = "\
IMAGE is what people write: alpine, ghcr.io/myorg/app:v1, localhost:5000/app@sha256:…. It is
judged now, by evidence fetched now; neither a running gate nor its state is touched.

Examples:
  pullgate verify --config pullgate.toml ghcr.io/myorg/app:v1
  pullgate verify --config pullgate.toml --format json ghcr.io/myorg/app:v1 | jq '.images[].verdict'
  pullgate verify --explain unknown-authority          what a code means, and what to do

Exit codes: 0 permit, 1 deny, 2 usage or configuration, 3 undecided; of several images the worst
counts: 2 before 3 before 1 before 0.";

const CHECK_EXAMPLES: &str = "\
Examples:
  pullgate check --config pullgate.toml
  pullgate check --config pullgate.toml --strict       in CI: a warning fails too
  pullgate check --config pullgate.toml --against alpine --against ghcr.io/myorg/app
                                                       which scope governs, and what it asks for

Exit codes: 0 clean (warnings too, unless --strict), 2 faults.";

const TRUST_EXAMPLES: &str = "\
A trust table says which certificate authorities, logs and timestamp authorities count. The
built-in ones are `sigstore` (public good) and `github`; `[trust.NAME]` in the policy file adds
others: a pinned `trusted_root`, or a `tuf` repository that is refreshed.

  fresh      its TUF metadata is current
  expired    its metadata has expired; it counts until `max_age` has passed
  stale      it is too old: signatures that it alone could prove are undecided
  missing    it was never fetched: the same
  snapshot   built into this release, not refreshed yet
  pinned     a file, which does not expire

Examples:
  pullgate trust --config pullgate.toml                every table, its age and its next refresh
  pullgate trust refresh --config pullgate.toml        bring them up to date now
  pullgate trust refresh --config pullgate.toml corp --from /media/usb/tuf
                                                       at a site without network

Exit codes: 0 every table that an authority uses counts, 2 usage or configuration, 3 one does not.
Those of `refresh`: its own --help.";

const DEMO_EXAMPLES: &str = "\
Starts a registry of recorded images, really signed by cosign, puts the gate before it with a
policy of its own, pulls each image by tag, by digest and by HEAD, and prints the outcomes.
Then it goes on serving, for your own client.

Examples:
  pullgate demo
  pullgate demo --once && echo as it should be         exits after the table";

const AUDIT_EXAMPLES: &str = "\
Reads `audit.db` in the gate's `state`, beside the running gate or from a copy, and never writes it. Run it as the gate's
user, or on a copy that you may read.

Examples:
  pullgate audit show --config pullgate.toml 7f3c00d1e2a4
                                                       a developer was refused; here is the id
  pullgate audit search --config pullgate.toml --since 24h --verdict deny
  pullgate audit export --config pullgate.toml --since 30d > month.jsonl

Exit codes: 0 found, 1 nothing found, 2 usage, or the log cannot be read.";

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  pullgate completions bash > /etc/bash_completion.d/pullgate
  pullgate completions zsh > ~/.zfunc/_pullgate
  pullgate completions fish > ~/.config/fish/completions/pullgate.fish";

const MAN_EXAMPLES: &str = "\
Examples:
  pullgate man | man -l -                              the program
  pullgate man verify | man -l -                       one of its commands
  pullgate man > /usr/local/share/man/man1/pullgate.1

Exit codes: 0 printed, 2 no such command.";

const NODE_CONFIG_EXAMPLES: &str = "\
Without --write, --undo or --check it prints the files, each below its path. It writes nothing
where a pull could still go around the gate, and says how.

Examples:
  pullgate node-config containerd                      what it would be
  pullgate node-config containerd --write              from now on this node asks the gate alone
  pullgate node-config containerd --check              is it still so
  pullgate node-config containerd --undo               as it was before
  pullgate node-config podman --write --gate https://gate.example:5000

Exit codes: 0 done, or closed; 1 a way around, or a file cannot be written; 2 usage.";

/// A registry mirror that only lets signed images through.
#[derive(Debug, Parser)]
#[command(name = "pullgate", version, about, after_help = EXAMPLES, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Search the pull log: clients, images, signers, and the line that refused
    #[command(after_help = AUDIT_EXAMPLES)]
    Audit(audit::Arguments),
    /// Read the configuration and the policy, and report every fault
    #[command(after_help = CHECK_EXAMPLES)]
    Check(check::Arguments),
    /// Print the completions of a shell
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Gather what somebody who helps wants to see, without secrets
    #[command(after_help = debug_bundle::EXAMPLES)]
    DebugBundle(debug_bundle::Arguments),
    /// Show the gate at work on this machine, without network or configuration
    #[command(after_help = DEMO_EXAMPLES)]
    Demo {
        /// Exit after the table: 0 when each outcome is the expected one, 1 otherwise
        #[arg(long)]
        once: bool,
    },
    /// Tell whether a pull of this node can go around the gate, and how
    #[command(after_help = doctor::EXAMPLES)]
    Doctor(doctor::Arguments),
    /// Write a configuration and a policy for this machine, which refuse nothing yet
    #[command(after_help = init::EXAMPLES)]
    Init(init::Arguments),
    /// Print a manual page, as roff
    #[command(after_help = MAN_EXAMPLES)]
    Man {
        /// The command that it is about; without one, the program
        command: Option<String>,
    },
    /// Print or install the mirror configuration of a runtime
    #[command(after_help = NODE_CONFIG_EXAMPLES)]
    NodeConfig(node_config::Arguments),
    /// Try a policy on past pulls, or on the verdicts that a site expects
    #[command(after_help = policy::EXAMPLES)]
    Policy {
        #[command(subcommand)]
        command: policy::Command,
    },
    /// Tell who pulled what, signed by whom, and what a stricter policy would refuse
    #[command(after_help = report::EXAMPLES)]
    Report(report::Arguments),
    /// Run the gate
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(ConfigArgument),
    /// Show who signed images, and the policy that would admit exactly these signers
    #[command(after_help = survey::EXAMPLES)]
    Survey(survey::Arguments),
    /// Show the trust tables, or bring them up to date
    #[command(after_help = TRUST_EXAMPLES)]
    Trust(trust::Arguments),
    /// Judge images now, and say why
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify(verify::Arguments),
}

/// `--config`.
#[derive(Debug, Args)]
struct ConfigArgument {
    /// The configuration file; without it the built-in defaults
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// `--format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For programs; proxy/README.md describes it
    Json,
    /// For people
    Text,
}

/// The exit codes of all commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    /// Yes.
    Success,
    /// No.
    No,
    /// The command line or the configuration.
    Usage,
    /// No verdict.
    Undecided,
}

impl Exit {
    /// The worse of two exit codes: an outcome that a caller may take for success must not hide a worse one.
    fn worse(self, other: Self) -> Self {
        let rank = |exit: Self| match exit {
            Self::Success => 0,
            Self::No => 1,
            Self::Undecided => 2,
            Self::Usage => 3,
        };
        if rank(other) > rank(self) { other } else { self }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Success => 0,
            Exit::No => 1,
            Exit::Usage => 2,
            Exit::Undecided => 3,
        })
    }
}

/// Runs a command.
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    let exit = match cli.command {
        Command::Audit(arguments) => with_runtime(audit::run(&arguments)),
        Command::Check(arguments) => check::run(&arguments),
        Command::Completions { shell } => completions(shell),
        Command::DebugBundle(arguments) => with_runtime(debug_bundle::run(&arguments)),
        Command::Demo { once } => {
            let lasting = if once { demo::Lasting::Once } else { demo::Lasting::UntilInterrupted };
            with_runtime(async {
                demo::run(lasting, Paint::of(&io::stdout())).await.unwrap_or_else(|fault| failed(&fault))
            })
        }
        Command::Doctor(arguments) => with_runtime(doctor::run(&arguments)),
        Command::Init(arguments) => init::run(&arguments),
        Command::Man { command } => man(command.as_deref()),
        Command::NodeConfig(arguments) => node_config::run(&arguments),
        Command::Policy { command } => with_runtime(policy::run(command)),
        Command::Report(arguments) => with_runtime(report::run(&arguments)),
        Command::Serve(ConfigArgument { config }) => {
            heaps::settle();
            with_runtime(serve::run(config))
        }
        Command::Survey(arguments) => with_runtime(survey::run(&arguments)),
        Command::Trust(arguments) => with_runtime(trust::run(&arguments)),
        Command::Verify(arguments) => match &arguments.explain {
            Some(code) => explain::run(code),
            None => with_runtime(verify::run(&arguments)),
        },
    };
    exit.into()
}

fn completions(shell: clap_complete::Shell) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "pullgate", &mut script);
    print(&String::from_utf8_lossy(&script));
    Exit::Success
}

fn man(command: Option<&str>) -> Exit {
    let mut program = Cli::command();
    program.build();
    let about = match command {
        None => Some(&program),
        Some(name) => program.find_subcommand(name),
    };
    let Some(about) = about else {
        complain(&format!(
            "{}: no such command; `pullgate help` lists them\n",
            Paint::of(&io::stderr()).bad("error")
        ));
        return Exit::Usage;
    };
    let mut page = Vec::new();
    match clap_mangen::Man::new(about.clone()).render(&mut page) {
        Ok(()) => {
            print(&String::from_utf8_lossy(&page));
            Exit::Success
        }
        Err(error) => failed(&error),
    }
}

fn with_runtime(work: impl Future<Output = Exit>) -> Exit {
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(work),
        Err(error) => failed(&error),
    }
}

/// Writes to standard output. A closed pipe is not reported.
fn print(text: &str) {
    let _ = put(text);
}

/// Writes to standard output; fails when the pipe is closed, so that the caller can stop.
fn put(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush())
}

/// Writes to standard error.
fn complain(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Reports an error with what led to it.
fn failed(error: &(dyn std::error::Error + 'static)) -> Exit {
    let mut line = format!("{}: {error}", Paint::of(&io::stderr()).bad("error"));
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(&format!(": {error}"));
        cause = error.source();
    }
    line.push('\n');
    complain(&line);
    Exit::No
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn of_several_outcomes_the_worst_counts() {
        let order = [Exit::Success, Exit::No, Exit::Undecided, Exit::Usage];
        for (i, a) in order.into_iter().enumerate() {
            for (j, b) in order.into_iter().enumerate() {
                assert_eq!(a.worse(b), order[i.max(j)]);
            }
        }
    }
}
