//! Ways around the gate, with the runtimes themselves: where one falls open, `pullgate doctor` is red, and green again after
//! `pullgate node-config --write`, when nobody gets around any more (A414).

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use pullgate_tests::clients::containerd::{Release, available, available_two};
use pullgate_tests::clients::{
    Containerd, Content, Dockerd, Forwarder, Outcome, containers, dockerd, image, process::run, tool,
};
use tempfile::TempDir;

use crate::stage::{NOT_SIGNED, Stage, assert_pulled, assert_refused, have, policy};

/// `pullgate COMMAND … --root NODE --gate http://GATE`.
fn pullgate(arguments: &[&str], node: &Path, gate: &str) -> io::Result<Outcome> {
    let mut command = Command::new(tool::gate()?);
    command.args(arguments).arg("--root").arg(node).arg("--gate").arg(format!("http://{gate}"));
    run(&mut command)
}

fn doctor(node: &Path, gate: &str, more: &[&str]) -> io::Result<Outcome> {
    pullgate(&[&["doctor"], more].concat(), node, gate)
}

fn assert_open(outcome: &Outcome, code: &str) {
    assert!(!outcome.succeeded() && outcome.says(code), "{code}: {}", outcome.text);
}

/// Whom this release asks in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asks {
    /// The registry that the image names.
    Itself,
    /// One that the file names, whatever the image.
    Named,
    /// Nobody but the gate; another release does.
    Gate,
}

/// A `hosts.toml`, what is said of it, and whom it leads to.
fn forms(stage: &Stage, release: Release) -> Vec<(String, &'static str, Asks)> {
    let (gate, registry) = (stage.front.address(), stage.around.address());
    let server = format!("server = \"http://{gate}\"\n");
    let mirror = format!("[host.\"http://{gate}\"]\ncapabilities = [\"pull\", \"resolve\"]\n");
    let (itself, named) = (Asks::Itself, Asks::Named);
    let old = if release == Release::One { itself } else { Asks::Gate };
    vec![
        (format!("server = \"http://{registry}\"\n{mirror}"), "server-elsewhere", named),
        (mirror.clone(), "no-server", itself),
        // What is asked by HEAD is resolved at the gate alone; what is fetched is asked for at the registry too.
        (
            format!("server = \"http://{registry}\"\ncapabilities = [\"push\"]\n{mirror}"),
            "server-elsewhere",
            Asks::Gate,
        ),
        // It holds from 1.7.32 on and in 2.x.
        (server.clone(), "no-host-table", old),
        (format!("{server}[host\n"), "hosts-malformed", itself),
        (String::new(), "hosts-malformed", old),
        (format!("{server}capabilities = [\"pull\", \"fetch\"]\n[host]\n"), "hosts-malformed", itself),
        (format!("{server}[host.\"http://{registry}\"]\n"), "host-elsewhere", Asks::Gate),
    ]
}

fn containerd_of(release: Release) -> io::Result<()> {
    let stage = Stage::new()?;
    let containerd = Containerd::start_release(release, stage.front.address())?;
    let (node, gate) = (containerd.node(), stage.front.address());
    let probe = ["--probe", "--pull-with", &containerd.pulls_with()?];
    for (number, (hosts, code, asks)) in forms(&stage, release).into_iter().enumerate() {
        // Known content is asked for by HEAD alone: each form has an image of its own.
        let repository = format!("shop/form-{number}");
        image::multi("v1", &repository).push(stage.upstream.address(), &repository)?;
        containerd.set_hosts(&hosts)?;
        let before = stage.around.connections();
        assert_open(&doctor(node, gate, &[])?, code);
        if asks == Asks::Itself {
            assert_open(&doctor(node, gate, &probe)?, "canary-went-around");
        }
        if asks != Asks::Gate {
            assert_pulled(&containerd.cri_pull(&stage.image(&format!("{repository}:v1")))?);
            assert!(stage.around.connections() > before, "{hosts}");
        }
        let written = pullgate(&["node-config", "containerd", "--write"], node, gate)?;
        assert!(written.succeeded(), "{}", written.text);
        let outcome = doctor(node, gate, &probe)?;
        assert!(outcome.succeeded() && outcome.says(": refused"), "{hosts}: {}", outcome.text);
        let before = stage.around.connections();
        assert_refused(&containerd.cri_pull(&stage.image(NOT_SIGNED))?);
        assert_eq!(stage.around.connections(), before, "{hosts}");
    }
    folder_of_one_registry(&stage, &containerd)
}

/// A folder for one registry wins over `_default`, an empty one too.
fn folder_of_one_registry(stage: &Stage, containerd: &Containerd) -> io::Result<()> {
    let (node, gate) = (containerd.node(), stage.front.address());
    let folder = node.join("etc/containerd/certs.d").join(stage.around.address());
    image::multi("v1", "beside").push(stage.upstream.address(), "shop/beside")?;
    fs::create_dir(&folder)?;
    assert_open(&doctor(node, gate, &[])?, "registry-folder");
    assert_pulled(&containerd.cri_pull(&stage.image("shop/beside:v1"))?);
    fs::remove_dir(&folder)?;
    let outcome = doctor(node, gate, &[])?;
    assert!(outcome.succeeded(), "{}", outcome.text);
    let before = stage.around.connections();
    assert_refused(&containerd.cri_pull(&stage.image("shop/beside:v1"))?);
    assert_eq!(stage.around.connections(), before);
    Ok(())
}

#[test]
fn a414_doctor_is_red_where_containerd_falls_open_and_green_after_node_config() -> io::Result<()> {
    if have("doctor-containerd", available()) { containerd_of(Release::One) } else { Ok(()) }
}

#[test]
fn a414_doctor_is_red_where_containerd_2_falls_open_and_green_after_node_config() -> io::Result<()> {
    if have("doctor-containerd-2", available_two()) { containerd_of(Release::Two) } else { Ok(()) }
}

#[test]
fn a_gate_that_is_down_makes_the_probe_unknown_and_not_closed() -> io::Result<()> {
    if !have("doctor-containerd", available()) {
        return Ok(());
    }
    let stage = Stage::new()?;
    let containerd = Containerd::start(stage.gate.address())?;
    let gate = stage.gate.address().to_owned();
    drop(stage.gate);
    let probe = ["--probe", "--pull-with", &containerd.pulls_with()?, "--format", "json"];
    let outcome = doctor(containerd.node(), &gate, &probe)?;
    assert!(!outcome.succeeded() && outcome.says("\"result\": \"unknown\""), "{}", outcome.text);
    assert!(outcome.says("gate-unreachable"), "{}", outcome.text);
    Ok(())
}

/// podman with `/etc/containers` of its own; Docker Hub, where it is asked itself, is a proxy that is watched.
struct Podman {
    node: TempDir,
    outside: Forwarder,
}

/// Nobody listens there.
const NOWHERE: &str = "127.0.0.1:9";

impl Podman {
    fn new() -> io::Result<Self> {
        let node = TempDir::with_prefix("pullgate-podman-")?;
        let at = node.path();
        fs::create_dir_all(at.join("etc/containers/registries.conf.d"))?;
        fs::create_dir_all(at.join("usr/bin"))?;
        fs::write(at.join("usr/bin/podman"), "")?;
        let storage = format!(
            "[storage]\ndriver = \"vfs\"\nrunroot = {:?}\ngraphroot = {:?}\n",
            at.join("run"),
            at.join("graph")
        );
        fs::write(at.join("storage.conf"), storage)?;
        let engine = format!(
            "[engine]\ntmp_dir = {:?}\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"none\"\n",
            at.join("tmp")
        );
        fs::write(at.join("containers.conf"), engine)?;
        let own = format!(
            "#!/bin/sh\nexport HOME={0} CONTAINERS_STORAGE_CONF={0}/storage.conf CONTAINERS_CONF={0}/containers.conf\n\
             export HTTP_PROXY=http://{1} HTTPS_PROXY=http://{1} NO_PROXY=127.0.0.1\n\
             exec unshare --mount sh -c 'mount --bind {0}/etc/containers /etc/containers && exec podman pull \"$@\"' podman \"$@\"\n",
            at.display(),
            "OUTSIDE",
        );
        let outside = Forwarder::start(NOWHERE)?;
        fs::write(at.join("pull"), own.replace("OUTSIDE", outside.address()))?;
        Ok(Self { node, outside })
    }

    fn pulls_with(&self) -> String {
        format!("sh {}", self.node.path().join("pull").display())
    }

    fn pull(&self, image: &str) -> io::Result<Outcome> {
        run(Command::new("sh").arg(self.node.path().join("pull")).arg(image))
    }

    fn put(&self, path: &str, text: &str) -> io::Result<()> {
        fs::write(self.node.path().join("etc/containers").join(path), text)
    }
}

fn podman_available() -> Result<(), String> {
    containers::available("podman")?;
    tool::require_installed(&["unshare"])?;
    let etc = Path::new("/etc/containers").is_dir();
    let apart = run(Command::new("unshare").args(["--mount", "true"]));
    if etc && apart.is_ok_and(|outcome| outcome.succeeded()) {
        Ok(())
    } else {
        Err("nothing may be mounted".to_owned())
    }
}

const ACCEPTS: &str = "{\"default\":[{\"type\":\"insecureAcceptAnything\"}]}";

#[test]
fn a414_doctor_is_red_where_podman_falls_open_and_green_after_node_config() -> io::Result<()> {
    if !have("doctor-podman", podman_available()) {
        return Ok(());
    }
    let stage = Stage::new()?;
    let (podman, gate) = (Podman::new()?, stage.front.address());
    let node = podman.node.path();
    let mirror = format!("[[registry.mirror]]\nlocation = \"{gate}/docker.io\"\ninsecure = true\n");
    let table = "[[registry]]\nprefix = \"docker.io\"\nlocation = \"docker.io\"\n";
    for (conf, code) in [
        (String::new(), "unlisted-registries"),
        (format!("{table}{mirror}"), "not-blocked"),
        (format!("{table}mirror-by-digest-only = true\n{mirror}"), "not-blocked"),
    ] {
        podman.put("registries.conf", &conf)?;
        podman.put("policy.json", ACCEPTS)?;
        assert_open(&doctor(node, gate, &[])?, code);
        let before = podman.outside.connections();
        let outcome = podman.pull("docker.io/pullgate/canary:probe")?;
        assert!(podman.outside.connections() > before, "{conf}: {}", outcome.text);
        podman.put("registries.conf", "")?;
        let written = pullgate(&["node-config", "podman", "--write"], node, gate)?;
        assert!(written.succeeded(), "{}", written.text);
        let before = podman.outside.connections();
        let outcome = doctor(node, gate, &["--probe", "--pull-with", &podman.pulls_with()])?;
        assert!(outcome.succeeded() && outcome.says(": refused"), "{conf}: {}", outcome.text);
        assert_eq!(podman.outside.connections(), before, "{conf}");
        assert!(pullgate(&["node-config", "podman", "--undo"], node, gate)?.succeeded());
    }
    // A drop-in that is read later replaces ours: node-config refuses, and a person takes it away.
    podman.put("policy.json", ACCEPTS)?;
    podman.put("registries.conf.d/zzz.conf", &format!("{table}{mirror}"))?;
    assert_open(&pullgate(&["node-config", "podman", "--write"], node, gate)?, "zzz.conf");
    assert_open(&doctor(node, gate, &[])?, "not-blocked");
    fs::remove_file(node.join("etc/containers/registries.conf.d/zzz.conf"))?;
    assert!(pullgate(&["node-config", "podman", "--write"], node, gate)?.succeeded());
    assert!(doctor(node, gate, &[])?.succeeded());
    Ok(())
}

/// The engine of Debian knows no form that holds: red it is, and `node-config` refuses.
#[test]
fn a414_doctor_is_red_for_a_docker_engine_that_falls_open() -> io::Result<()> {
    if !have("doctor-docker", dockerd::available()) {
        return Ok(());
    }
    let stage = Stage::new()?;
    let outside = Forwarder::start(NOWHERE)?;
    let docker = Dockerd::start(stage.front.address(), outside.address())?;
    let (node, gate) = (TempDir::new()?, stage.front.address());
    fs::create_dir_all(node.path().join("etc/docker"))?;
    fs::write(
        node.path().join("etc/docker/daemon.json"),
        format!("{{\"registry-mirrors\": [\"http://{gate}\"]}}"),
    )?;
    let fresh: Content = image::multi("v1", "docker goes around");
    fresh.push(stage.upstream.address(), "shop/around")?;
    let outcome = doctor(node.path(), gate, &["--probe", "--pull-with", &docker.pulls_with()])?;
    assert_open(&outcome, "no-containerd-store");
    assert_open(&outcome, "canary-went-around");
    let before = stage.around.connections();
    assert_pulled(&docker.pull(&stage.image("shop/around:v1"))?);
    assert!(stage.around.connections() > before);
    assert_open(
        &pullgate(&["node-config", "docker", "--write"], node.path(), gate)?,
        "containerd-snapshotter",
    );
    Ok(())
}

/// The images that are on the node already are judged.
#[test]
fn doctor_judges_the_images_that_podman_has() -> io::Result<()> {
    if !have("doctor-images", podman_available()) {
        return Ok(());
    }
    let stage = Stage::new()?;
    let (podman, gate) = (Podman::new()?, stage.front.address());
    let node = podman.node.path();
    podman.put("policy.json", ACCEPTS)?;
    podman.put(
        "registries.conf",
        &format!("[[registry]]\nlocation = \"{}\"\ninsecure = true\n", stage.around.address()),
    )?;
    assert_pulled(&podman.pull(&stage.image(crate::stage::SIGNED))?);
    let config = TempDir::new()?;
    fs::create_dir(config.path().join("keys"))?;
    fs::copy(tool::recorded("keys/release.pub"), config.path().join("keys/release.pub"))?;
    fs::write(config.path().join("policy.toml"), policy(&stage.around, "release"))?;
    let lines = format!(
        "policy = \"policy.toml\"\nstate = \"state\"\n[upstream.\"{}\"]\nurl = \"http://{}\"\n",
        stage.around.address(),
        stage.upstream.address()
    );
    fs::write(config.path().join("pullgate.toml"), lines)?;
    let storage = node.join("var/lib/containers/storage");
    let listed = || -> io::Result<()> {
        fs::create_dir_all(storage.join("vfs-images"))?;
        fs::copy(node.join("graph/vfs-images/images.json"), storage.join("vfs-images/images.json")).map(drop)
    };
    listed()?;
    assert!(pullgate(&["node-config", "podman", "--write"], node, gate)?.succeeded());
    let file = config.path().join("pullgate.toml");
    let judge = || doctor(node, gate, &["--accept", "not-blocked", "--config", &file.display().to_string()]);
    let outcome = judge()?;
    assert!(outcome.succeeded() && outcome.says(": permit"), "{}", outcome.text);
    assert!(pullgate(&["node-config", "podman", "--undo"], node, gate)?.succeeded());
    assert_pulled(&podman.pull(&stage.image(NOT_SIGNED))?);
    listed()?;
    assert!(pullgate(&["node-config", "podman", "--write"], node, gate)?.succeeded());
    assert_open(&judge()?, "image-not-permitted");
    Ok(())
}
