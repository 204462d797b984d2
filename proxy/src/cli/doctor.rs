//! `pullgate doctor`: whether a pull of this node can go around the gate, and how.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use pullgate_policy::oci::Registry;

use self::report::{Cured, Report};
use super::node::{Finding, Gate, Node, Runtime, Way, Weight, in_force, present, ways_around};
use super::paint::Paint;
use super::{Exit, Format, complain, failed, print};

mod asked;
mod images;
mod listener;
mod probe;
mod report;
mod textfile;

pub(super) const EXAMPLES: &str = "\
Reads what each runtime of this node reads (containerd, CRI-O, podman, Docker, BuildKit, K3s, RKE2)
and says where a pull could go around the gate, with what closes it. It changes nothing.

With --probe it asks each runtime for an image that the gate always refuses, and looks whether the
runtime shows the gate's words. With --config it judges the images that are on the node already.

Examples:
  pullgate doctor                                      is every way around closed, by the files
  pullgate doctor --probe --config /etc/pullgate/pullgate.toml
                                                       and in fact, and of the images that are there
  pullgate doctor --gate https://gate.example:5000     nodes that ask a gate elsewhere
  pullgate doctor --probe --textfile /var/lib/node_exporter/textfile/pullgate.prom
                                                       from a timer, for Prometheus
  pullgate doctor --format json | jq -r '.findings[].cure'

Exit codes: 0 closed; 1 a way around; 2 it could not be told, or usage.";

/// The arguments of `doctor`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Look at this one too, where nothing shows that the node has it
    #[arg(value_enum, value_name = "RUNTIME")]
    runtimes: Vec<Runtime>,
    /// The gate, as the runtimes reach it; again for each more
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:5000", value_parser = Gate::parse)]
    gate: Vec<Gate>,
    /// Where the node's files are mounted
    #[arg(long, value_name = "FOLDER", default_value = "/")]
    root: PathBuf,
    /// This finding is closed by other means, such as egress filtering: it is shown, and does not count
    #[arg(long, value_name = "CODE", value_parser = ways(), hide_possible_values = true)]
    accept: Vec<Way>,
    /// Ask each runtime for the canary, which the gate always refuses
    #[arg(long)]
    probe: bool,
    /// Ask by this program and its arguments, to which the image is added, in place of the runtime's own
    #[arg(long, value_name = "COMMAND", requires = "probe")]
    pull_with: Option<String>,
    /// Ask for the canary of this registry too
    #[arg(long = "registry", value_name = "REGISTRY", requires = "probe")]
    registries: Vec<Registry>,
    /// Judge the images on the node by this configuration
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Write what came of it to this file (`NAME.prom`), for the textfile collector of node_exporter
    #[arg(long, value_name = "FILE", value_parser = textfile::name)]
    textfile: Option<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// The codes, for shells too.
fn ways() -> impl TypedValueParser<Value = Way> {
    let way = |text: String| Way::find(&text).ok_or("no such code");
    PossibleValuesParser::new(Way::ALL.iter().map(|way| way.as_str())).try_map(way)
}

/// Looks, and asks where it is told to.
pub(super) async fn run(arguments: &Arguments) -> Exit {
    let node = Node::at(&arguments.root);
    let mut runtimes = present(&node);
    runtimes.extend(arguments.runtimes.iter().copied());
    let mut report = Report::of(&arguments.gate, &runtimes);
    for runtime in &runtimes {
        report.findings.extend(files(*runtime, &node, &arguments.gate));
    }
    clear(&arguments.gate, &runtimes, &mut report);
    if arguments.probe {
        probe::all(arguments, &node, &runtimes, &mut report).await;
    }
    if let Some(path) = &arguments.config
        && let Err(exit) = images::judged(path, &node, &runtimes, &mut report).await
    {
        return exit;
    }
    report.settle(&arguments.accept);
    if let Some(path) = &arguments.textfile
        && let Err(error) = textfile::write(path, &report, jiff::Timestamp::now())
    {
        failed(&error);
        return Exit::Usage;
    }
    match arguments.format {
        Format::Json => print(&format!("{}\n", serde_json::to_string_pretty(&report).unwrap_or_default())),
        Format::Text => print(&report.text(Paint::of(&io::stdout()))),
    }
    if runtimes.is_empty() {
        let root = pullgate_policy::text::escape(&arguments.root.display().to_string());
        complain(&format!("error: no runtime is found under {root}; name one: pullgate doctor RUNTIME\n"));
        return Exit::Usage;
    }
    report.exit()
}

/// What the runtime's files leave open, each with its cure: a way that is gone once `node-config` has written its files is
/// closed by that.
fn files(runtime: Runtime, node: &Node, gates: &[Gate]) -> Vec<Cured> {
    let Some(gate) = gates.first() else { return Vec::new() };
    let (now, made) = (ways_around(runtime, node, gates), in_force(runtime, node, gates));
    let texts = runtime.files().iter().map(|file| (node.join(file.path), file.text(gate)));
    let left = ways_around(runtime, &node.with(texts), gates);
    // It writes nothing where that would leave another way open.
    let first = if left.iter().any(|one| one.way.weight() != Weight::Told) { "the rest, then " } else { "" };
    let by_files = now.into_iter().map(|finding| {
        let ours = !left.contains(&finding) && !runtime.files().is_empty();
        let cure =
            if ours { format!("{first}{}", written(runtime, gate)) } else { finding.way.cure().to_owned() };
        Cured::new(finding, cure)
    });
    let again = |finding: Finding| {
        let cure = format!("mend the files, then restart: {}", runtime.afterwards());
        let cure = if runtime == Runtime::Containerd { finding.way.cure().to_owned() } else { cure };
        Cured::new(finding, cure)
    };
    by_files.chain(made.into_iter().map(again)).collect()
}

fn written(runtime: Runtime, gate: &Gate) -> String {
    let at = gate.to_string();
    let named = if at == "http://127.0.0.1:5000" { String::new() } else { format!(" --gate {at}") };
    format!("pullgate node-config {} --write{named}", runtime.as_str())
}

/// Over plain HTTP beyond this machine, whoever reads the wire has what containerd and Docker hand to a gate that asks.
fn clear(gates: &[Gate], runtimes: &BTreeSet<Runtime>, report: &mut Report) {
    let hands = |runtime: &Runtime| !matches!(runtime, Runtime::CriO | Runtime::Podman);
    let plain = gates.iter().filter(|gate| gate.scheme() == "http" && !gate.is_loopback());
    for (gate, runtime) in
        plain.flat_map(|gate| runtimes.iter().filter(|one| hands(one)).map(move |one| (gate, *one)))
    {
        let says = format!("hands the pull secrets of images to {gate} in the clear, if that asks who pulls");
        report.add(Finding { runtime: Some(runtime), way: Way::CredentialsInClear, path: None, says });
    }
}
