//! The canary: an image that the gate refuses whatever its policy says, asked for through each runtime.
//!
//! Its registry is one that does not exist but for this command: whoever asks it has gone around the gate, and is seen. For
//! podman and CRI-O, which refuse a registry that is not listed, it is Docker Hub.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use pullgate_policy::text;

use super::Arguments;
use super::asked::{self, Answer};
use super::listener::Listener;
use super::report::{Probe, Report};
use crate::cli::node::program::{self, Ended, installed};
use crate::cli::node::{Finding, Gate, Node, Runtime, Way};
use crate::limits::CLOCK_APART;
use crate::route::{CANARY, CANARY_REFUSED};

/// The canary's tag. A digest alone would not do: a mirror may be asked for digests only.
pub(super) const TAG: &str = "probe";
/// Bytes of a runtime's words in the report.
const SHOWN_BYTES: usize = 300;

/// Asks the gate, then each runtime for the canary of each registry.
pub(super) async fn all(
    arguments: &Arguments,
    node: &Node,
    runtimes: &BTreeSet<Runtime>,
    report: &mut Report,
) {
    let mut answers = Vec::new();
    for gate in &arguments.gate {
        let answer = asked::gate(gate).await;
        told(gate, answer, report);
        answers.push(answer);
    }
    let there = answers.iter().any(|answer| matches!(answer, Answer::Refuses(_) | Answer::Listens));
    let gates = if there { Gates::There } else { Gates::Away };
    for runtime in runtimes {
        match command(arguments, node, *runtime) {
            None => {
                let says = "no program is here by which to ask it".to_owned();
                report.add(Finding { runtime: Some(*runtime), way: Way::NotProbed, path: None, says });
            }
            Some(words) => one(arguments, *runtime, (&words, gates), report).await,
        }
    }
}

/// Whether a gate is there to refuse the canary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gates {
    There,
    Away,
}

/// What the gate said to this command itself.
fn told(gate: &Gate, answer: Answer, report: &mut Report) {
    let mut add = |way, says| report.add(Finding { runtime: None, way, path: None, says });
    match answer {
        Answer::Silent => add(Way::GateUnreachable, format!("{gate} does not answer")),
        Answer::Odd => {
            add(Way::GateUnreachable, format!("{gate} does not refuse the canary: is it the gate?"))
        }
        Answer::Listens | Answer::Refuses(None) => {}
        Answer::Refuses(Some(time)) => {
            if let Some(apart) = apart(time, Timestamp::now()) {
                let says = format!("the clocks of {gate} and of this node are {} s apart", apart.as_secs());
                add(Way::Clock, says);
            }
        }
    }
}

/// How far two clocks are apart, where that is too far.
fn apart(one: Timestamp, other: Timestamp) -> Option<Duration> {
    let apart = one.duration_since(other).unsigned_abs();
    (apart > CLOCK_APART).then_some(apart)
}

/// What asks a runtime for an image, without the image.
fn command(arguments: &Arguments, node: &Node, runtime: Runtime) -> Option<Vec<String>> {
    if let Some(command) = &arguments.pull_with {
        return Some(command.split_whitespace().map(str::to_owned).collect());
    }
    // A node that is mounted somewhere has no runtime to ask.
    if !node.is_here() {
        return None;
    }
    let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
    let crictl = |socket: &str| {
        installed("crictl")
            .then(|| words(&["crictl", "--runtime-endpoint", &format!("unix://{socket}"), "pull"]))
            .flatten()
    };
    match runtime {
        // `ctr` reads no configuration of the CRI, and so says nothing of it.
        Runtime::Containerd => crictl("/run/containerd/containerd.sock"),
        Runtime::CriO => crictl("/run/crio/crio.sock"),
        Runtime::K3s if installed("k3s") => words(&["k3s", "crictl", "pull"]),
        Runtime::K3s | Runtime::Rke2 => crictl("/run/k3s/containerd/containerd.sock"),
        Runtime::Podman => ["podman", "buildah"]
            .into_iter()
            .find(|name| installed(name))
            .and_then(|name| words(&[name, "pull"])),
        Runtime::Docker => installed("docker").then(|| words(&["docker", "pull"])).flatten(),
        Runtime::Buildkit => None,
    }
}

async fn one(
    arguments: &Arguments,
    runtime: Runtime,
    (words, gates): (&[String], Gates),
    report: &mut Report,
) {
    let listed = matches!(runtime, Runtime::CriO | Runtime::Podman);
    let mut registries: Vec<String> = arguments.registries.iter().map(ToString::to_string).collect();
    let listener = if listed { None } else { Listener::start().await.ok() };
    match &listener {
        Some(listener) => registries.insert(0, listener.registry()),
        None if registries.is_empty() => registries.push("docker.io".to_owned()),
        None => {}
    }
    for registry in registries {
        let image = format!("{registry}/{CANARY}:{TAG}");
        let command: Vec<String> = words.iter().cloned().chain([image.clone()]).collect();
        let ended = tokio::task::spawn_blocking(move || program::run(&command)).await;
        let own = listener.as_ref().filter(|listener| image.starts_with(&listener.registry()));
        let came = own.map_or(0, Listener::came);
        let (way, shown) = match ended {
            Ok(Ok(ended)) => judged(ended, came, gates),
            Ok(Err(error)) => (Some(Way::NotProbed), error.to_string()),
            Err(error) => (Some(Way::NotProbed), error.to_string()),
        };
        let shown = text::escape(&text::line(&shown, SHOWN_BYTES));
        if let Some(way) = way {
            let says = format!("asked for {image}: {shown}");
            report.add(Finding { runtime: Some(runtime), way, path: None, says });
        }
        let result = way.map_or("refused", Way::as_str);
        report.probes.push(Probe { runtime, image, result, shown });
    }
}

/// What the end of a pull says, and what was shown.
fn judged(ended: Ended, came: usize, gates: Gates) -> (Option<Way>, String) {
    match ended {
        Ended::Succeeded(said) => (Some(Way::CanaryPulled), said),
        Ended::TooLate => (Some(Way::NotProbed), "it did not end in time".to_owned()),
        Ended::Failed(said) if came > 0 => (Some(Way::CanaryWentAround), said),
        Ended::Failed(said) if said.contains(CANARY_REFUSED) => (None, said),
        // Somebody else said no; with no gate to say it, that tells nothing.
        Ended::Failed(said) if gates == Gates::There => (Some(Way::CanaryNotShown), said),
        Ended::Failed(said) => (Some(Way::GateUnreachable), said),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_gates_own_words_and_nobody_at_the_registry_say_that_it_was_refused() {
        let failed = |said: &str| Ended::Failed(said.to_owned());
        let words = format!("denied: {CANARY_REFUSED}; pullgate 0123");
        for (ended, came, gates, expected) in [
            (failed(&words), 0, Gates::There, None),
            (failed(&words), 1, Gates::There, Some(Way::CanaryWentAround)),
            (failed("not found"), 0, Gates::There, Some(Way::CanaryNotShown)),
            (failed("not found"), 0, Gates::Away, Some(Way::GateUnreachable)),
            (Ended::Succeeded(words.clone()), 0, Gates::There, Some(Way::CanaryPulled)),
            (Ended::TooLate, 0, Gates::There, Some(Way::NotProbed)),
        ] {
            assert_eq!(judged(ended, came, gates).0, expected);
        }
    }

    #[test]
    fn clocks_are_told_of_when_they_are_over_the_limit_apart() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let after = |more: u64| now + CLOCK_APART + Duration::from_secs(more);
        assert_eq!(apart(now, after(0)), None);
        assert_eq!(apart(now, after(1)), Some(CLOCK_APART + Duration::from_secs(1)));
        assert_eq!(apart(after(1), now), Some(CLOCK_APART + Duration::from_secs(1)));
    }
}
