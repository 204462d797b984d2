//! The pages, each by itself: what cannot be had says why, and costs nothing else.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use pullgate_config::{Config, Style, without_secrets};
use serde_json::Value;

use super::scrubbed::{self, Scrub};
use super::{Arguments, Page};
use crate::audit::Word;
use crate::audit::read::{Filter, ReadError, Reader, Step};
use crate::cli::configuration;
use crate::cli::node::program::{self, Ended};
use crate::cli::node::{Gate, Node, in_force, present, ways_around};

/// Refusals that are shown, the newest.
const REFUSALS: usize = 200;
/// Lines of the log that are shown, the last.
const LOG_LINES: usize = 500;
/// Time for an answer of the admin port.
const ANSWER: Duration = Duration::from_secs(10);
/// Bytes of it that are read.
const ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// All pages, and what is struck out of them.
pub(super) async fn all(arguments: &Arguments) -> (Vec<Page>, Scrub) {
    let loaded = configuration::load(arguments.config.as_deref());
    let config = loaded.as_ref().ok().map(|loaded| &loaded.config);
    let says = match &loaded {
        Ok(loaded) => loaded.warnings.render(Style::Plain),
        Err(faults) => faults.render(Style::Plain),
    };
    let admin = config.map(|config| config.admin.address.to_string());
    let pages = vec![
        Page { name: "versions.txt", text: versions() },
        Page { name: "configuration.txt", text: configured(arguments, config) },
        Page { name: "check.txt", text: format!("{says}\n") },
        Page { name: "health.json", text: asked(admin.as_deref(), "/readyz").await },
        Page { name: "metrics.txt", text: asked(admin.as_deref(), "/metrics").await },
        Page { name: "refusals.jsonl", text: refusals(config).await },
        Page { name: "doctor.txt", text: looked_at(arguments, config) },
        Page { name: "log.txt", text: log(arguments) },
    ];
    (pages, Scrub::of(secrets(arguments, config)))
}

/// The texts of files that may hold secrets, and the variables whose names say so.
fn secrets(arguments: &Arguments, config: Option<&Config>) -> Vec<String> {
    let shown = pages_shown(arguments, config);
    let read = config.map(|config| config.watched.clone()).unwrap_or_default();
    let mut files: Vec<PathBuf> =
        read.into_iter().chain(config.and_then(|config| config.seal_key_file.clone())).collect();
    // What a configuration with faults names is as secret.
    files.extend(arguments.config.iter().chain(&shown).flat_map(|path| named_in(path)));
    files.retain(|path| !shown.contains(path));
    let variables = env::vars_os().filter_map(|(name, value)| {
        let name = name.to_string_lossy().to_ascii_uppercase();
        let words = ["AUTH", "HEADERS", "KEY", "PASS", "PROXY", "SECRET", "TOKEN"];
        words.iter().any(|word| name.contains(word)).then(|| value.to_string_lossy().into_owned())
    });
    // `NAME=VALUE,NAME=VALUE` is how headers are listed.
    let values = variables.flat_map(|value| {
        let behind =
            value.split(',').map(|one| one.split_once('=').map_or(one, |(_, value)| value).to_owned());
        behind.collect::<Vec<_>>()
    });
    scrubbed::texts(&files).into_iter().chain(values).collect()
}

/// Files that a text names between quotes, from its own folder.
fn named_in(path: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let words = text.split('"').skip(1).step_by(2);
    let folder = path.parent().unwrap_or(Path::new(""));
    let files = words.map(|word| folder.join(word)).filter(|path| path.is_file());
    files.filter(|path| path.extension().is_none_or(|ending| ending != "toml")).collect()
}

/// The configuration and the policies: TOML, in which no secret is allowed.
fn pages_shown(arguments: &Arguments, config: Option<&Config>) -> Vec<PathBuf> {
    let read = config.map(|config| config.watched.clone()).unwrap_or_default();
    let mut shown: Vec<_> =
        read.into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "toml")).collect();
    shown.extend(arguments.config.clone());
    shown.sort();
    shown.dedup();
    shown
}

fn configured(arguments: &Arguments, config: Option<&Config>) -> String {
    let mut text = String::new();
    let shown = pages_shown(arguments, config);
    for path in &shown {
        let page = fs::read_to_string(path)
            .map_or_else(|error| format!("cannot be read: {error}\n"), |text| without_secrets(&text));
        let _ = writeln!(text, "# ---- {}\n{page}", path.display());
    }
    for path in config.into_iter().flat_map(|config| &config.watched).filter(|path| !shown.contains(path)) {
        let size =
            fs::metadata(path).map_or_else(|error| error.to_string(), |is| format!("{} bytes", is.len()));
        let _ = writeln!(text, "# ---- {}: {size}, not shown", path.display());
    }
    if text.is_empty() { "the built-in defaults\n".to_owned() } else { text }
}

fn versions() -> String {
    let mut text = format!("pullgate {}\n", env!("CARGO_PKG_VERSION"));
    for path in ["/proc/version", "/etc/os-release"] {
        let _ = writeln!(text, "{}", fs::read_to_string(path).unwrap_or_default().trim_end());
    }
    text.push_str("variables that are set:");
    let prefixes = ["OTEL_", "PULLGATE_", "SSL_", "RUST_"];
    let mut names: Vec<_> = env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned()).collect();
    names.retain(|name| {
        prefixes.iter().any(|prefix| name.starts_with(prefix))
            || name.to_ascii_uppercase().ends_with("_PROXY")
    });
    names.sort();
    names.iter().for_each(|name| {
        let _ = write!(text, " {}", pullgate_policy::text::escape(name));
    });
    text.push('\n');
    text
}

async fn asked(admin: Option<&str>, path: &str) -> String {
    let Some(admin) = admin else { return "the configuration cannot be read\n".to_owned() };
    let ask = async {
        let request = Request::builder().uri(format!("http://{admin}{path}")).body(Empty::<Bytes>::new())?;
        let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
        let body = Limited::new(client.request(request).await?.into_body(), ANSWER_BYTES)
            .collect()
            .await?
            .to_bytes();
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(String::from_utf8_lossy(&body).into_owned())
    };
    match tokio::time::timeout(ANSWER, ask).await {
        Ok(Ok(text)) => text,
        Ok(Err(error)) => format!("{admin} does not answer: {error}\n"),
        Err(_elapsed) => format!("{admin} does not answer in time\n"),
    }
}

/// Of each record what says why, and nothing that a client sent but the repository that it asked for.
async fn refusals(config: Option<&Config>) -> String {
    let Some(config) = config else { return String::new() };
    match newest(&config.state.join("audit.db")).await {
        Ok(lines) => lines,
        Err(error) => format!("the pull log cannot be read: {error}\n"),
    }
}

const KEPT: [&str; 16] = [
    "cache",
    "count",
    "digest",
    "failed",
    "gate",
    "ground",
    "id",
    "kind",
    "method",
    "milliseconds",
    "policy",
    "repository",
    "status",
    "time",
    "upstream",
    "verdict",
];

fn kept(line: &str) -> Option<String> {
    let record: Value = serde_json::from_str(line).ok()?;
    let fields = record.as_object()?;
    let mut shown: serde_json::Map<_, _> = fields
        .iter()
        .filter(|(key, _)| KEPT.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let reasons = fields.get("reasons").and_then(Value::as_array).into_iter().flatten();
    let codes: Vec<Value> = reasons.filter_map(|reason| reason.get("code").cloned()).collect();
    shown.insert("codes".to_owned(), Value::Array(codes));
    Some(format!("{}\n", Value::Object(shown)))
}

async fn newest(file: &Path) -> Result<String, ReadError> {
    let mut search = Reader::open(file).await?.search(Filter::default()).await?;
    let (mut lines, mut count) = (String::new(), 0);
    while count < REFUSALS {
        match search.step().await? {
            Step::Nothing => {}
            Step::End => break,
            Step::Found(found) if found.record.verdict == Word::Permit => {}
            Step::Found(found) => {
                count += 1;
                lines.extend(kept(&found.line));
            }
        }
    }
    Ok(lines)
}

/// What `doctor` says of the files of this node, for the gate of this configuration.
fn looked_at(arguments: &Arguments, config: Option<&Config>) -> String {
    let node = Node::at(&arguments.root);
    let address =
        config.map_or_else(|| "127.0.0.1:5000".to_owned(), |config| config.listen.address.to_string());
    let address = address.replace("0.0.0.0:", "127.0.0.1:").replace("[::]:", "127.0.0.1:");
    let scheme = if config.is_some_and(|config| config.listen.tls.is_some()) { "https" } else { "http" };
    let Ok(gate) = Gate::parse(&format!("{scheme}://{address}")) else { return String::new() };
    let mut text = format!("for a gate at {gate}\n");
    for runtime in present(&node) {
        let gates = std::slice::from_ref(&gate);
        let _ = writeln!(text, "{}", runtime.as_str());
        for finding in [ways_around(runtime, &node, gates), in_force(runtime, &node, gates)].concat() {
            let _ = writeln!(text, "  {} {} {finding}", finding.way.weight().as_str(), finding.way.as_str());
        }
    }
    text
}

/// The last lines of a file, or of the unit's journal.
fn log(arguments: &Arguments) -> String {
    let text = match &arguments.log {
        Some(path) => fs::read(path)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .map_err(|error| error.to_string()),
        None => journal(),
    };
    match text {
        Ok(text) => {
            let lines: Vec<_> = text.lines().collect();
            let last = lines.get(lines.len().saturating_sub(LOG_LINES)..).unwrap_or_default();
            last.iter().map(|line| format!("{line}\n")).collect()
        }
        Err(why) => format!("no log: {why}\n"),
    }
}

fn journal() -> Result<String, String> {
    let count = LOG_LINES.to_string();
    let words = ["journalctl", "-u", "pullgate", "-n", &count, "-o", "cat", "--no-pager"].map(str::to_owned);
    match program::run(&words) {
        Ok(Ended::Succeeded(said)) => Ok(said),
        Ok(Ended::Failed(said)) => Err(said.trim().to_owned()),
        Ok(Ended::TooLate) => Err("journalctl did not end in time".to_owned()),
        Err(error) => Err(format!("journalctl: {error}")),
    }
}
