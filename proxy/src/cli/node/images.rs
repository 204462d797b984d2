//! The images that a runtime of the node has.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Runtime;
use super::files::{Found, Node};
use super::program::{self, Ended, installed};

/// By digest where the runtime says one, or why they cannot be listed.
pub(in crate::cli) fn images(runtime: Runtime, node: &Node) -> Result<BTreeSet<String>, String> {
    match runtime {
        Runtime::CriO | Runtime::Podman => from_storage(runtime, node),
        Runtime::Docker => from_docker(node),
        Runtime::Containerd => by_ctr(node, &["ctr"], "/run/containerd/containerd.sock"),
        Runtime::K3s => by_ctr(node, &["k3s", "ctr"], "/run/k3s/containerd/containerd.sock"),
        Runtime::Rke2 => by_ctr(node, &["ctr"], "/run/k3s/containerd/containerd.sock"),
        Runtime::Buildkit => Ok(BTreeSet::new()),
    }
}

/// `NAME@DIGEST` of `NAME:TAG`.
fn by_digest(name: &str, digest: &str) -> String {
    let bare = name.split('@').next().unwrap_or(name);
    let bare = match bare.rsplit_once(':') {
        Some((before, tag)) if !tag.contains('/') => before,
        Some(_) | None => bare,
    };
    format!("{bare}@{digest}")
}

/// The list that containers/storage keeps beside the images of each driver.
fn from_storage(runtime: Runtime, node: &Node) -> Result<BTreeSet<String>, String> {
    let mut found = Found::about(runtime);
    let folder = node.join("var/lib/containers/storage");
    let mut images = BTreeSet::new();
    for path in node.entries(&folder, &mut found) {
        if !path.file_name().is_some_and(|name| name.to_string_lossy().ends_with("-images")) {
            continue;
        }
        let path = path.join("images.json");
        let Some(text) = node.text(&path, &mut found) else { continue };
        let list: Value =
            serde_json::from_str(&text).map_err(|_| format!("{} is no JSON", path.display()))?;
        for image in list.as_array().into_iter().flatten() {
            let digest = image.get("digest").and_then(Value::as_str).unwrap_or_default();
            let names =
                image.get("names").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
            images.extend(names.map(|name| by_digest(name, digest)));
        }
    }
    unread(found, images)
}

/// The list of the older store; the containerd store is `ctr`'s.
fn from_docker(node: &Node) -> Result<BTreeSet<String>, String> {
    let mut found = Found::about(Runtime::Docker);
    let mut images = BTreeSet::new();
    for folder in node.entries(&node.join("var/lib/docker/image"), &mut found) {
        let path = folder.join("repositories.json");
        let Some(text) = node.text(&path, &mut found) else { continue };
        let list: Value =
            serde_json::from_str(&text).map_err(|_| format!("{} is no JSON", path.display()))?;
        let repositories = list.get("Repositories").and_then(Value::as_object).into_iter().flatten();
        for (_, names) in repositories {
            let names = names.as_object().into_iter().flatten().map(|(name, _)| name);
            images.extend(names.filter(|name| name.contains('@')).cloned());
        }
    }
    unread(found, images)
}

fn unread(found: Found, images: BTreeSet<String>) -> Result<BTreeSet<String>, String> {
    match found.all().first() {
        Some(finding) => Err(finding.to_string()),
        None => Ok(images),
    }
}

fn by_ctr(node: &Node, program: &[&str], socket: &str) -> Result<BTreeSet<String>, String> {
    let Some(name) = program.first() else { return Ok(BTreeSet::new()) };
    if !node.is_here() || !node.join(socket).exists() {
        return Err("it does not run here, and its list of images is read by asking it".to_owned());
    }
    if !installed(name) {
        return Err(format!("{name} is not in PATH"));
    }
    let arguments = ["-a", socket, "-n", "k8s.io", "images", "ls"];
    let words: Vec<String> = program.iter().chain(&arguments).map(|word| (*word).to_owned()).collect();
    match program::run(&words) {
        Ok(Ended::Succeeded(said)) => Ok(from_ctr(&said)),
        Ok(Ended::Failed(said)) => Err(pullgate_policy::text::line(&said, 200)),
        Ok(Ended::TooLate) => Err(format!("{name} did not end in time")),
        Err(error) => Err(format!("{name} cannot be run: {error}")),
    }
}

/// REF, TYPE, DIGEST and more, in columns; the CRI names each image once more by its id.
fn from_ctr(said: &str) -> BTreeSet<String> {
    let rows = said.lines().skip(1).filter_map(|line| {
        let mut words = line.split_whitespace();
        let (name, digest) = (words.next()?, words.nth(1)?);
        (!name.starts_with("sha256:")).then(|| by_digest(name, digest))
    });
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_loses_its_tag_and_keeps_its_port() {
        for (name, expected) in [
            ("docker.io/library/alpine:3", "docker.io/library/alpine@D"),
            ("localhost:5000/app", "localhost:5000/app@D"),
            ("localhost:5000/app:v1", "localhost:5000/app@D"),
            ("ghcr.io/org/app@sha256:00", "ghcr.io/org/app@D"),
        ] {
            assert_eq!(by_digest(name, "D"), expected);
        }
    }

    #[test]
    fn the_list_of_ctr_names_each_image_once() {
        let said = "REF TYPE DIGEST SIZE PLATFORMS LABELS\n\
            docker.io/library/a:1 application/x sha256:01 1.0 MiB linux/amd64 -\n\
            docker.io/library/a@sha256:01 application/x sha256:01 1.0 MiB linux/amd64 -\n\
            sha256:02 application/x sha256:01 1.0 MiB linux/amd64 -\n";
        assert_eq!(from_ctr(said).into_iter().collect::<Vec<_>>(), ["docker.io/library/a@sha256:01"]);
    }
}
