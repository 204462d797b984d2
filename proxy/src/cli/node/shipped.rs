//! The files of `deploy/`, for a gate of one's own.

use super::gate::Transport;
use super::{Gate, Runtime};

/// The address in the files of `deploy/`.
pub(in crate::cli) const ADDRESS: &str = "127.0.0.1:5000";

/// A file of a runtime, below the node's root.
#[derive(Debug)]
pub(in crate::cli) struct File {
    pub(in crate::cli) path: &'static str,
    shipped: &'static str,
}

const HOSTS: &str = include_str!("../../../../deploy/containerd/hosts.toml");
const CONTAINERS: [File; 2] = [
    File {
        path: "etc/containers/registries.conf.d/zz-pullgate.conf",
        shipped: include_str!("../../../../deploy/podman/pullgate.conf"),
    },
    File {
        path: "etc/containers/policy.json",
        shipped: include_str!("../../../../deploy/podman/policy.json"),
    },
];
const REGISTRIES: &str = include_str!("../../../../deploy/k3s/registries.yaml");
const NO_OTHER: &str = include_str!("../../../../deploy/k3s/pullgate.yaml");

impl Runtime {
    pub(in crate::cli) fn files(self) -> &'static [File] {
        match self {
            Self::Containerd => {
                &[File { path: "etc/containerd/certs.d/_default/hosts.toml", shipped: HOSTS }]
            }
            Self::CriO | Self::Podman => &CONTAINERS,
            Self::Docker => &[File { path: "etc/docker/certs.d/_default/hosts.toml", shipped: HOSTS }],
            Self::Buildkit => &[],
            Self::K3s => &[
                File { path: "etc/rancher/k3s/registries.yaml", shipped: REGISTRIES },
                File { path: "etc/rancher/k3s/config.yaml.d/pullgate.yaml", shipped: NO_OTHER },
            ],
            Self::Rke2 => &[
                File { path: "etc/rancher/rke2/registries.yaml", shipped: REGISTRIES },
                File { path: "etc/rancher/rke2/config.yaml.d/pullgate.yaml", shipped: NO_OTHER },
            ],
        }
    }
}

impl File {
    /// The file's text for a gate. Over TLS the lines that allow plain HTTP go.
    pub(in crate::cli) fn text(&self, gate: &Gate) -> String {
        let text = self.shipped.replace(&format!("http://{ADDRESS}"), &gate.to_string());
        let text = text.replace(ADDRESS, &gate.authority);
        match gate.tls {
            Transport::Plain => text,
            Transport::Tls => {
                text.split_inclusive('\n').filter(|line| *line != "insecure = true\n").collect()
            }
        }
    }
}
