//! `pullgate node-config`: the mirror configuration of a runtime, in the form that has no other host to go to.
//!
//! The files are those of `deploy/`. What stood in a file's place is kept in `pullgate-before` beside it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::{fs, io};

use clap::ValueEnum;
use http::Uri;
use http::uri::Scheme;

use self::around::ways_around;
use super::{Exit, failed, print};

mod around;

/// The address in the files of `deploy/`.
const SHIPPED: &str = "127.0.0.1:5000";

/// The folder beside a file with what stood in its place.
const BEFORE: &str = "pullgate-before";

/// The arguments of `node-config`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Whose configuration
    #[arg(value_enum)]
    runtime: Runtime,
    /// Write the files, and keep what stood in their place
    #[arg(long, conflicts_with_all = ["undo", "check"])]
    write: bool,
    /// Put back what stood in their place
    #[arg(long, conflicts_with = "check")]
    undo: bool,
    /// Say whether the files are there and nothing goes around them
    #[arg(long)]
    check: bool,
    /// Say what --write or --undo would do, and change nothing
    #[arg(long, conflicts_with = "check")]
    dry_run: bool,
    /// The gate, as the runtime reaches it
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:5000", value_parser = gate)]
    gate: Gate,
    /// Where the node's files are mounted
    #[arg(long, value_name = "FOLDER", default_value = "/")]
    root: PathBuf,
}

/// What pulls images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Runtime {
    /// containerd 1.6, 1.7 and 2.x
    Containerd,
    /// CRI-O
    CriO,
    /// podman, buildah and skopeo
    Podman,
    /// Docker engine 28 and later, with the containerd image store
    Docker,
    /// BuildKit: there is no such form, and this says what to do
    Buildkit,
    /// K3s
    K3s,
    /// RKE2
    Rke2,
}

/// A file of a runtime, below the node's root.
struct File {
    path: &'static str,
    shipped: &'static str,
}

const HOSTS: &str = include_str!("../../../deploy/containerd/hosts.toml");
const CONTAINERS: [File; 2] = [
    File {
        path: "etc/containers/registries.conf.d/zz-pullgate.conf",
        shipped: include_str!("../../../deploy/podman/pullgate.conf"),
    },
    File { path: "etc/containers/policy.json", shipped: include_str!("../../../deploy/podman/policy.json") },
];
const REGISTRIES: &str = include_str!("../../../deploy/k3s/registries.yaml");
const NO_OTHER: &str = include_str!("../../../deploy/k3s/pullgate.yaml");

impl Runtime {
    fn files(self) -> &'static [File] {
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

    /// What makes the runtime read its files again.
    fn afterwards(self) -> &'static str {
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

/// Where the runtime finds the gate.
#[derive(Debug, Clone)]
struct Gate {
    tls: Transport,
    authority: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transport {
    Plain,
    Tls,
}

fn gate(text: &str) -> Result<Gate, String> {
    let says =
        || "an address such as http://127.0.0.1:5000 or https://gate.example:5000, without a path".to_owned();
    let uri: Uri = text.parse().map_err(|_| says())?;
    let tls = match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTP => Transport::Plain,
        Some(scheme) if *scheme == Scheme::HTTPS => Transport::Tls,
        Some(_) | None => return Err(says()),
    };
    match uri.authority() {
        Some(authority)
            if uri.path() == "/" && uri.query().is_none() && !authority.as_str().contains('@') =>
        {
            Ok(Gate { tls, authority: authority.to_string() })
        }
        Some(_) | None => Err(says()),
    }
}

impl File {
    /// The file's text for a gate. Over TLS the lines that allow plain HTTP go.
    fn text(&self, gate: &Gate) -> String {
        let scheme = match gate.tls {
            Transport::Plain => "http",
            Transport::Tls => "https",
        };
        let text =
            self.shipped.replace(&format!("http://{SHIPPED}"), &format!("{scheme}://{}", gate.authority));
        let text = text.replace(SHIPPED, &gate.authority);
        match gate.tls {
            Transport::Plain => text,
            Transport::Tls => {
                text.split_inclusive('\n').filter(|line| *line != "insecure = true\n").collect()
            }
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("a pull could go around the gate:\n  {}", .0.join("\n  "))]
    Around(Vec<String>),
    #[error("{}: is not what --write writes", .0.display())]
    Differs(PathBuf),
    #[error(
        "BuildKit asks the registry itself whenever its mirror says no, whatever its configuration: name the gate in FROM \
         (FROM {SHIPPED}/docker.io/library/alpine), and filter what the builder may reach (deploy/docker/egress.nft)"
    )]
    NoForm,
    #[error("{}", .0.display())]
    File(PathBuf, #[source] io::Error),
}

/// Prints, writes, checks or takes back.
pub(super) fn run(arguments: &Arguments) -> Exit {
    match done(arguments) {
        Ok(told) => {
            print(&told);
            Exit::Success
        }
        Err(fault) => failed(&fault),
    }
}

fn done(arguments: &Arguments) -> Result<String, Fault> {
    let Arguments { runtime, write, undo, check, gate, .. } = arguments;
    let files: Vec<_> = runtime.files().iter().map(|file| (file, arguments.root.join(file.path))).collect();
    if files.is_empty() {
        return Err(Fault::NoForm);
    }
    if *undo {
        let lines: Result<Vec<_>, _> =
            files.iter().map(|(_, path)| put_back(path, arguments.hand())).collect();
        return Ok(lines?.concat());
    }
    if !*write && !*check {
        let shown = files.iter().map(|(file, path)| format!("# {}\n{}\n", path.display(), file.text(gate)));
        return Ok(shown.collect());
    }
    let around = ways_around(*runtime, &arguments.root);
    if !around.is_empty() {
        return Err(Fault::Around(around));
    }
    if *check {
        for (file, path) in &files {
            if read(path)?.as_deref() != Some(file.text(gate).as_bytes()) {
                return Err(Fault::Differs(path.clone()));
            }
        }
        return Ok("as written, and nothing that was looked at goes around it\n".to_owned());
    }
    let mut told = String::new();
    for (file, path) in &files {
        told.push_str(&put(path, &file.text(gate), arguments.hand())?);
    }
    told.push_str(&format!("{}\n", runtime.afterwards()));
    Ok(told)
}

/// Whether anything is touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hand {
    Changes,
    OnlySays,
}

impl Arguments {
    fn hand(&self) -> Hand {
        if self.dry_run { Hand::OnlySays } else { Hand::Changes }
    }
}

/// The folder with what stood in a file's place, the copy in it, and the mark that nothing stood there.
fn before(path: &Path) -> (PathBuf, PathBuf, PathBuf) {
    let folder = path.with_file_name(BEFORE);
    let name = path.file_name().unwrap_or(OsStr::new("file")).to_os_string();
    let mut absent = name.clone();
    absent.push(".absent");
    (folder.clone(), folder.join(name), folder.join(absent))
}

/// Writes a file whole or not at all. What stood there first stays kept, however often this runs.
fn put(path: &Path, text: &str, hand: Hand) -> Result<String, Fault> {
    let (folder, kept, absent) = before(path);
    if hand == Hand::OnlySays {
        return Ok(format!("would write {}\n", path.display()));
    }
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| Fault::File(path, error)
    };
    fs::create_dir_all(&folder).map_err(at(&folder))?;
    if !kept.exists() && !absent.exists() {
        if path.exists() {
            fs::copy(path, &kept).map_err(at(path))?;
        } else {
            fs::write(&absent, "").map_err(at(&absent))?;
        }
    }
    let new = folder.join("new");
    fs::write(&new, text).map_err(at(&new))?;
    readable(&new).map_err(at(&new))?;
    fs::rename(&new, path).map_err(at(path))?;
    Ok(format!("wrote {}\n", path.display()))
}

/// The runtime's user need not be root.
fn readable(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644))
}

fn put_back(path: &Path, hand: Hand) -> Result<String, Fault> {
    let (folder, kept, absent) = before(path);
    let says = if kept.exists() {
        "put back"
    } else if absent.exists() {
        "removed"
    } else {
        return Ok(format!("nothing of ours: {}\n", path.display()));
    };
    if hand == Hand::OnlySays {
        return Ok(format!("would have {says} {}\n", path.display()));
    }
    let done = if kept.exists() {
        fs::rename(&kept, path)
    } else {
        removed(path).and_then(|()| fs::remove_file(&absent))
    };
    done.map_err(|error| Fault::File(path.to_owned(), error))?;
    // Other files may have theirs in it.
    drop(fs::remove_dir(folder));
    Ok(format!("{says} {}\n", path.display()))
}

/// Somebody may have removed it before.
fn removed(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Err(_) | Ok(()) => Ok(()),
    }
}

/// A file's bytes, or that it is not there.
fn read(path: &Path) -> Result<Option<Vec<u8>>, Fault> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Fault::File(path.to_owned(), error)),
    }
}
