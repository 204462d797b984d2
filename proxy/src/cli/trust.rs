//! `pullgate trust`: what is believed about signers and logs, where it is from, and how old it is.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use pullgate_config::{Config, TrustLocation, TrustSource};
use pullgate_policy::text;
use serde::Serialize;

use super::paint::Paint;
use super::{Exit, Format, complain, configuration, print};
use crate::clock::Clock;
use crate::trust::{self, Copies, Keep, Status};

mod shown;

const REFRESH_EXAMPLES: &str = "\
Without a name: every table that has a TUF repository. What is fetched is verified from the
pinned root, kept under `state`, and taken by a running gate within seconds; run it as the
gate's user. What is refused changes nothing.

A site without network: copy the repository (metadata at the top, targets/ below it) where it
can be reached, carry the folder over, and name it with --from.

Examples:
  pullgate trust refresh --config pullgate.toml
  pullgate trust refresh --config pullgate.toml corp --from /media/usb/tuf

Exit codes: 0 up to date, 1 refused or not to be had, 2 usage or configuration.";

/// The arguments of `trust`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    /// The configuration file; without it the built-in defaults
    #[arg(long, short, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text, global = true)]
    format: Format,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Show every trust table; the default
    Show,
    /// Bring trust tables up to date now, from their TUF repositories or from a folder
    #[command(after_help = REFRESH_EXAMPLES)]
    Refresh {
        /// The tables; by default all that have a TUF repository
        #[arg(value_name = "NAME")]
        names: Vec<String>,
        /// A folder with the files of the TUF repository, in place of its URL
        #[arg(long, value_name = "FOLDER")]
        from: Option<PathBuf>,
    },
}

/// Shows or refreshes.
pub(super) async fn run(arguments: &Arguments) -> Exit {
    let config = match configuration::usable(arguments.config.as_deref()) {
        Ok(loaded) => loaded.config,
        Err(exit) => return exit,
    };
    match &arguments.action {
        None | Some(Action::Show) => show(&config, arguments.format),
        Some(Action::Refresh { names, from }) => match chosen(&config, names, from.as_ref()) {
            Ok(sources) => refresh(&config, &sources, from.as_ref(), arguments.format).await,
            Err(why) => {
                complain(&format!("{}: {why}\n", Paint::of(&io::stderr()).bad("error")));
                Exit::Usage
            }
        },
    }
}

/// The shape of `trust --format json`.
#[derive(Serialize)]
struct Shown<'a> {
    version: u32,
    trust: &'a [Status],
}

fn show(config: &Config, format: Format) -> Exit {
    let now = Clock::system().now();
    let statuses = trust::survey(&config.policy, &Copies::of(&config.state, Keep::No), now);
    match format {
        Format::Json => {
            let shown = Shown { version: 1, trust: &statuses };
            print(&format!("{}\n", serde_json::to_string_pretty(&shown).unwrap_or_default()));
        }
        Format::Text => print(&shown::render(&statuses, now, Paint::of(&io::stdout()))),
    }
    let unusable = |status: &Status| !status.used_by.is_empty() && !status.state.counts();
    if statuses.iter().any(unusable) { Exit::Undecided } else { Exit::Success }
}

/// The tables that are meant.
fn chosen<'a>(
    config: &'a Config,
    names: &[String],
    from: Option<&PathBuf>,
) -> Result<Vec<&'a TrustSource>, String> {
    let refreshed = config.policy.sources.iter().filter(|source| source.refresh.is_some());
    let listed: Vec<String> = refreshed.clone().map(|source| text::escape(source.name.as_str())).collect();
    let named = |name: &String| {
        let found = refreshed.clone().find(|source| source.name.as_str() == name);
        found.ok_or_else(|| {
            let name = text::escape(name);
            format!("no trust table \"{name}\" has a TUF repository; these have: {}", listed.join(", "))
        })
    };
    let chosen: Vec<&TrustSource> = if names.is_empty() {
        refreshed.clone().collect()
    } else {
        names.iter().map(named).collect::<Result<_, _>>()?
    };
    if from.is_some() && chosen.len() != 1 {
        return Err(format!("a folder holds one repository: name its table, one of {}", listed.join(", ")));
    }
    Ok(chosen)
}

/// The shape of `trust refresh --format json`.
#[derive(Serialize)]
struct Refreshed {
    version: u32,
    refreshed: Vec<One>,
}

#[derive(Serialize)]
struct One {
    name: String,
    /// `ok`, or the code of the failure.
    result: &'static str,
    why: Option<String>,
    /// The versions of root, timestamp, snapshot and targets.
    versions: Option<[u64; 4]>,
    expires: Option<jiff::Timestamp>,
}

async fn refresh(config: &Config, sources: &[&TrustSource], from: Option<&PathBuf>, format: Format) -> Exit {
    let copies = Copies::of(&config.state, Keep::Yes);
    let mut refreshed = Vec::new();
    for source in sources {
        let one = one(&copies, source, from).await;
        if format == Format::Text {
            print(&shown::line(&one, Paint::of(&io::stdout())));
        }
        refreshed.push(one);
    }
    let exit = if refreshed.iter().all(|one| one.result == "ok") { Exit::Success } else { Exit::No };
    if format == Format::Json {
        let refreshed = Refreshed { version: 1, refreshed };
        print(&format!("{}\n", serde_json::to_string_pretty(&refreshed).unwrap_or_default()));
    }
    exit
}

async fn one(copies: &Copies, source: &TrustSource, from: Option<&PathBuf>) -> One {
    let name = text::escape(source.name.as_str());
    let bad = |result, why: String| One {
        name: name.clone(),
        result,
        why: Some(text::escape(&why)),
        versions: None,
        expires: None,
    };
    let Some(how) = &source.refresh else { return bad("internal", "it is not refreshed".to_owned()) };
    // A copy that does not verify sets no minimum version; the next one replaces it.
    let kept = copies.read(&source.name, how).ok().flatten().map(|(kept, _)| Arc::new(kept));
    let location = from.map_or_else(|| how.location.clone(), |folder| TrustLocation::Folder(folder.clone()));
    let now = Clock::system().now();
    match trust::fetch(source, &location, kept, now).await {
        Ok(kept) => match copies.write(&source.name, &kept, now) {
            Ok(()) => {
                let all = kept.versions();
                let versions = Some([all.root, all.timestamp, all.snapshot, all.targets]);
                One { name, result: "ok", why: None, versions, expires: Some(all.expires) }
            }
            Err(error) => bad("storage", format!("it cannot be kept: {error}")),
        },
        Err(failure) => bad(failure.code(), failure.to_string()),
    }
}
