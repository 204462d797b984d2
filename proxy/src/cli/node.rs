//! What a node's runtimes are told, read as each of them reads it, and every way in which a pull could go around the gate.
//!
//! `doctor` tells of them, and `node-config` writes nothing that would leave one.

use clap::ValueEnum;

pub(super) use self::files::{Found, Node};
pub(super) use self::gate::Gate;
pub(super) use self::images::images;
pub(super) use self::present::present;
pub(super) use self::registries::{Named, registries};
pub(super) use self::way::{Finding, Way, Weight};

mod certs;
mod containerd;
mod containers;
mod crio;
mod docker;
mod files;
mod gate;
mod images;
mod present;
pub(super) mod program;
mod rancher;
mod registries;
pub(super) mod shipped;
mod table;
mod way;

/// The folder beside a file with what stood in its place before `node-config --write`.
pub(super) const BEFORE: &str = "pullgate-before";

/// What pulls images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(super) enum Runtime {
    /// containerd 1.6, 1.7 and 2.x
    Containerd,
    /// CRI-O
    CriO,
    /// podman, buildah and skopeo
    Podman,
    /// Docker engine 28 and later, with the containerd image store
    Docker,
    /// BuildKit: there is no form that holds, and this says what to do
    Buildkit,
    /// K3s
    K3s,
    /// RKE2
    Rke2,
}

impl Runtime {
    /// The word for it on the command line.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Containerd => "containerd",
            Self::CriO => "cri-o",
            Self::Podman => "podman",
            Self::Docker => "docker",
            Self::Buildkit => "buildkit",
            Self::K3s => "k3s",
            Self::Rke2 => "rke2",
        }
    }

    /// What makes it read its files again.
    pub(super) fn afterwards(self) -> &'static str {
        match self {
            Self::Containerd => "in force at the next pull",
            Self::Podman => "in force at once",
            Self::CriO => "in force after: systemctl restart crio",
            Self::Docker => "in force after: systemctl restart docker",
            Self::Buildkit => "",
            Self::K3s => "in force after: systemctl restart k3s (or k3s-agent)",
            Self::Rke2 => "in force after: systemctl restart rke2-server (or rke2-agent)",
        }
    }
}

/// Each way around that a runtime's own files leave open.
pub(super) fn ways_around(runtime: Runtime, node: &Node, gates: &[Gate]) -> Vec<Finding> {
    let mut found = Found::about(runtime);
    match runtime {
        Runtime::Containerd => containerd::read(node, &mut found, gates, &node.join(containerd::CONFIG)),
        Runtime::CriO => {
            containers::read(node, &mut found, gates);
            crio::read(node, &mut found, gates);
        }
        Runtime::Podman => {
            containers::read(node, &mut found, gates);
            containers::of_users(node, &mut found);
        }
        Runtime::Docker => docker::read(node, &mut found, gates),
        Runtime::Buildkit => found.add(
            Way::BuildkitFallsBack,
            &node.join("etc/buildkit/buildkitd.toml"),
            "BuildKit asks the registry itself whenever its mirror says no, whatever stands here",
        ),
        Runtime::K3s | Runtime::Rke2 => rancher::read(node, &mut found, gates, runtime.as_str()),
    }
    found.all()
}

/// The same of what a runtime made of its files when it started, where it keeps that.
pub(super) fn in_force(runtime: Runtime, node: &Node, gates: &[Gate]) -> Vec<Finding> {
    let mut found = Found::about(runtime);
    match runtime {
        Runtime::K3s | Runtime::Rke2 => rancher::made(node, &mut found, gates, runtime.as_str()),
        // Another configuration than that of `/etc`, which its command line names.
        Runtime::Containerd => {
            for path in present::configs_of(node, Runtime::Containerd) {
                containerd::read(node, &mut found, gates, &path);
            }
        }
        Runtime::Buildkit | Runtime::CriO | Runtime::Docker | Runtime::Podman => {}
    }
    found.all()
}
