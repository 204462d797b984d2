//! An upstream that outlives the gate, and the gate's own folder.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::clients::content::sha256;
use crate::clients::http;
use crate::clients::process::{Process, free_address};
use crate::made::Made;
use crate::signing::Signer;
use crate::upstream::{Fault, Upstream, When};

const REPOSITORY: &str = "org/app";
const POLICY: &str = "unmatched = \"deny\"\n[authority.release]\nkey = \"release.pub\"\ntransparency = \"optional\"\n\
    [[policy]]\nname = \"production\"\nscope = [\"registry.test/org/**\"]\n[[policy.require]]\nsigned_by = { any_of = [\"release\"] }\n";

/// Everything that stays when the gate dies.
pub(super) struct World {
    /// What may be served, by digest: manifests and blobs with their bytes.
    pub(super) permitted: BTreeMap<String, Vec<u8>>,
    /// Digests of images with a signature, an index among them.
    pub(super) roots: Vec<String>,
    /// Tags of images with a signature, and the digests that each may have.
    pub(super) tags: Vec<(String, Vec<String>)>,
    /// Tags of images without one.
    pub(super) unsigned_tags: Vec<String>,
    /// Digests that must never be served: manifests, configs and layers of unsigned images.
    pub(super) forbidden: Vec<String>,
    /// A layer of a signed image whose bytes the upstream gives wrongly.
    pub(super) corrupt: String,
    gate: PathBuf,
    folder: TempDir,
    upstream: Upstream,
    runtime: Runtime,
}

/// A gate that runs, until it is killed.
pub(super) struct Gate {
    process: Process,
    address: String,
    admin: String,
}

impl World {
    pub(super) fn new(gate: &Path) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let upstream = runtime.block_on(Upstream::start())?;
        let folder = TempDir::with_prefix("pullgate-kills-")?;
        let signer = Signer::new();
        fs::write(folder.path().join("policy.toml"), POLICY)?;
        fs::write(folder.path().join("release.pub"), signer.public_pem())?;
        let mut world = Self {
            permitted: BTreeMap::new(),
            roots: Vec::new(),
            tags: Vec::new(),
            unsigned_tags: Vec::new(),
            forbidden: Vec::new(),
            corrupt: String::new(),
            gate: gate.to_owned(),
            folder,
            upstream,
            runtime,
        };
        world.fill(&signer);
        Ok(world)
    }

    fn fill(&mut self, signer: &Signer) {
        for (at, length) in [1_000, 60_000, 200_000, 1_000_000, 3_000_000].into_iter().enumerate() {
            let image = Made::image_of_bytes(length);
            self.sign(signer, &format!("signed-{at}"), &image);
        }
        self.sign(signer, "index", &Made::index(vec![Made::image_of_bytes(50_000), Made::image()]));
        let corrupt = Made::image_of_bytes(400_000);
        self.sign(signer, "corrupt", &corrupt);
        self.corrupt = corrupt.layer();
        self.upstream.fail(When::on(format!("blobs/{}", self.corrupt)), Fault::Flip(-1));
        for at in 0..3 {
            let image = Made::image_of_bytes(20_000);
            let tag = format!("unsigned-{at}");
            image.tag(&self.upstream, REPOSITORY, &tag);
            self.unsigned_tags.push(tag);
            self.forbidden.extend([image.digest(), image.config(), image.layer()]);
        }
    }

    fn sign(&mut self, signer: &Signer, tag: &str, image: &Made) {
        image.tag(&self.upstream, REPOSITORY, tag);
        signer.sign_at(&self.upstream, REPOSITORY, &image.digest());
        self.roots.push(image.digest());
        self.tags.push((tag.to_owned(), vec![image.digest()]));
        self.allow(image);
    }

    fn allow(&mut self, image: &Made) {
        self.permitted.insert(image.digest(), image.bytes.clone());
        self.permitted.extend(image.blobs.iter().map(|blob| (sha256(blob), blob.clone())));
        image.children.iter().for_each(|child| self.allow(child));
    }

    /// Points a tag at another image, signed or not, and back at the next call.
    pub(super) fn move_tag(&self, digest: &str) {
        self.upstream.tag(REPOSITORY, "moving", digest);
    }

    pub(super) fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.folder.path().join("audit.jsonl")
    }

    pub(super) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// What was asked so far is forgotten: a long run would fill memory with it.
    pub(super) fn forget(&self) {
        self.upstream.forget();
    }

    pub(super) fn keep(self) -> PathBuf {
        self.folder.keep()
    }

    pub(super) fn start(&self) -> io::Result<Gate> {
        let (address, admin) = (free_address()?, free_address()?);
        let config = format!(
            "policy = \"policy.toml\"\nstate = \"state\"\n[listen]\naddress = \"{address}\"\ndefault_registry = \"registry.test\"\n\
             [admin]\naddress = \"{admin}\"\n[audit]\nlog = \"audit.jsonl\"\n[upstream.\"registry.test\"]\nurl = \"{}\"\n",
            self.upstream.url()
        );
        let file = self.folder.path().join("pullgate.toml");
        fs::write(&file, config)?;
        let mut command = Command::new(&self.gate);
        command.arg("serve").arg("--config").arg(&file).current_dir(self.folder.path());
        let process = Process::start(&mut command, &self.folder.path().join("log"))?;
        Ok(Gate { process, address, admin })
    }
}

impl Gate {
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    pub(super) fn wait_ready(&mut self) -> io::Result<()> {
        let admin = self.admin.clone();
        self.process.wait_ready(|| http::get(&admin, "/readyz").is_ok_and(|answer| answer.status == 200))
    }

    pub(super) fn signal(&self, name: &str) -> io::Result<()> {
        self.process.signal(name)
    }

    /// At once, whatever it is doing.
    pub(super) fn kill(self) -> io::Result<()> {
        self.process.kill()
    }
}

/// `/v2/REPOSITORY/KIND/NAME`.
pub(super) fn target(kind: &str, name: &str) -> String {
    format!("/v2/{REPOSITORY}/{kind}/{name}")
}
