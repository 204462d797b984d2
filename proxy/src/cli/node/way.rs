//! The ways around a gate, each with its code, its weight and what closes it.

use std::path::PathBuf;

use super::Runtime;

/// What a finding means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::cli) enum Weight {
    /// A pull can go around the gate.
    Open,
    /// Whether one can could not be found out.
    Unknown,
    /// Nothing goes around; it is told because somebody should know.
    Told,
}

impl Weight {
    pub(in crate::cli) fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Unknown => "unknown",
            Self::Told => "told",
        }
    }
}

macro_rules! ways {
    ($($variant:ident = $text:literal, $weight:ident, $cure:literal;)*) => {
        /// A way around the gate, or what keeps one from being seen. A code never changes its meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(in crate::cli) enum Way { $($variant,)* }

        impl Way {
            /// Every one, in the order of the table.
            pub(in crate::cli) const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The one with this code.
            pub(in crate::cli) fn find(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|way| way.as_str() == text)
            }

            pub(in crate::cli) fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            pub(in crate::cli) fn weight(self) -> Weight {
                match self { $(Self::$variant => Weight::$weight,)* }
            }

            /// What a person does where `node-config --write` does not do it.
            pub(in crate::cli) fn cure(self) -> &'static str {
                match self { $(Self::$variant => $cure,)* }
            }
        }
    };
}

ways! {
    BuildkitFallsBack = "buildkit-falls-back", Open, "name the gate in FROM, filter what the builder may reach (deploy/docker/egress.nft), and say --accept buildkit-falls-back";
    CanaryNotShown = "canary-not-shown", Open, "find who answered: the gate refuses the canary, and the runtime showed other words";
    CanaryPulled = "canary-pulled", Open, "find where it came from: nothing of that name leaves the gate";
    CanaryWentAround = "canary-went-around", Open, "close the other findings, then probe again: the runtime asked the registry itself";
    Clock = "clock", Told, "set the clocks of node and gate by the same source (NTP)";
    ConfigUnread = "config-unread", Unknown, "mend or remove the file, or let doctor read it";
    CredentialsInClear = "credentials-in-clear", Told, "give the gate listen.tls: containerd hands it the pull secret of an image when it asks who pulls";
    CriOff = "cri-off", Told, "nothing: no kubelet can pull through this containerd; ctr and nerdctl choose their hosts themselves";
    EmbeddedRegistry = "embedded-registry", Open, "take embedded-registry out of the file: it gives nodes what other nodes have, before the gate is asked";
    EndpointAppended = "endpoint-appended", Open, "say disable-default-registry-endpoint: true, in that form, and nothing else of it";
    GateUnreachable = "gate-unreachable", Unknown, "start the gate, or name it with --gate";
    HostElsewhere = "host-elsewhere", Open, "take it out: another host is asked before the gate, a peer-to-peer registry for one";
    HostsMalformed = "hosts-malformed", Open, "write the file anew: the runtime throws it away and asks the registry itself";
    ImageNotPermitted = "image-not-permitted", Open, "remove the image from the node: it is started without a request where the pull policy is IfNotPresent";
    ImageUnjudged = "image-unjudged", Unknown, "look at why with pullgate verify, or remove the image";
    ImagesUnlisted = "images-unlisted", Unknown, "run doctor as root on the node, with the runtime's own tool in PATH";
    InsecureRegistries = "insecure-registries", Open, "take it out: who stands between the node and that registry answers in its place";
    MirrorElsewhere = "mirror-elsewhere", Open, "name the gate, and no other mirror, in the table";
    NoConfigPath = "no-config-path", Open, "say config_path = \"/etc/containerd/certs.d\" in the CRI's table and restart containerd (deploy/containerd)";
    NoContainerdStore = "no-containerd-store", Open, "say \"features\": {\"containerd-snapshotter\": true} in daemon.json (deploy/docker)";
    NoDefaultHosts = "no-default-hosts", Open, "put deploy/containerd/hosts.toml there";
    NoHostTable = "no-host-table", Open, "add a line [host]";
    NoMirror = "no-mirror", Open, "give mirrors: \"*\": the gate as its endpoint (deploy/k3s)";
    NoServer = "no-server", Open, "say server = the gate, above [host]";
    NotBlocked = "not-blocked", Open, "say blocked = true in the table, with the gate as its mirror, or remove the table";
    NotProbed = "not-probed", Unknown, "install crictl, or name another program with --pull-with";
    OldMirrors = "old-mirrors", Open, "take registry.mirrors out of the file and use config_path (deploy/containerd)";
    OtherTransport = "other-transport", Open, "let policy.json reject it (deploy/podman)";
    RegistryFolder = "registry-folder", Open, "remove it";
    RegistryMirrors = "registry-mirrors", Open, "take registry-mirrors out of daemon.json";
    ServerElsewhere = "server-elsewhere", Open, "say server = the gate, above [host]";
    SignaturePolicy = "signature-policy", Open, "take it out: policy.json refuses the registries that are not listed";
    Template = "template", Open, "remove it";
    Unlisted = "unlisted-registries", Open, "let policy.json reject by default, and list each registry in both files (deploy/podman)";
    UserConfig = "user-config", Open, "remove it, or filter what users may reach (deploy/docker/egress.nft)";
}

/// One way around, in one file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::cli) struct Finding {
    /// None: it is about the node.
    pub(in crate::cli) runtime: Option<Runtime>,
    pub(in crate::cli) way: Way,
    pub(in crate::cli) path: Option<PathBuf>,
    pub(in crate::cli) says: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let escape = pullgate_policy::text::escape;
        match &self.path {
            Some(path) => write!(f, "{}: {}", escape(&path.display().to_string()), escape(&self.says)),
            None => f.write_str(&escape(&self.says)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_there_once_and_stands_in_the_readme() {
        let readme = include_str!("../../../README.md");
        let (_, codes) = readme.split_once("\n## doctor: codes\n").unwrap();
        let codes = codes.split("\n## ").next().unwrap();
        let mut rows: Vec<_> = codes.lines().filter_map(|line| line.strip_prefix("| `")).collect();
        rows.sort_unstable();
        let mut ways: Vec<_> =
            Way::ALL.iter().map(|way| format!("{}` | {} |", way.as_str(), way.weight().as_str())).collect();
        ways.sort_unstable();
        assert_eq!(rows.len(), ways.len());
        for (row, way) in rows.iter().zip(&ways) {
            assert!(row.starts_with(way.as_str()), "{row} is not {way}");
        }
    }
}
