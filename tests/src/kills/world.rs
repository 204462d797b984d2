//! An upstream that outlives the gate, and the gate's own folder.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::pull_log::PullLog;
use crate::clients::content::sha256;
use crate::clients::http;
use crate::clients::process::{Process, free_address};
use crate::made::{LAYER, Layer, Made, fresh};
use crate::random::Random;
use crate::signing::{SIGN_PREDICATE, Signer, evidence_tag, referrer};
use crate::upstream::{Fault, ReferrersApi, Upstream, When};

/// Where the images are, signed ones and others.
pub(super) const REPOSITORY: &str = "org/app";
/// Where the same images are, and no signature.
pub(super) const ELSEWHERE: &str = "org/other";
const POLICY: &str = "unmatched = \"deny\"\n[authority.release]\nkey = \"release.pub\"\ntransparency = \"optional\"\n\
    [[policy]]\nname = \"production\"\nscope = [\"registry.test/org/**\"]\n[[policy.require]]\nsigned_by = { any_of = [\"release\"] }\n";

/// Less than the images take, so that blobs are evicted while others come.
const BLOBS_MAX: &str = "4MiB";
/// New images, beside those of the beginning.
const NEW_MAX: usize = 4;
/// Their layers are smaller, bytes.
const NEW_BYTES_MAX: u64 = 3 << 20;

/// Everything that stays when the gate dies.
pub(super) struct World {
    /// What may be served, by digest: manifests and blobs of what was signed, and the signatures, with their bytes.
    pub(super) permitted: BTreeMap<String, Vec<u8>>,
    /// Digests of images with a signature, an index among them.
    pub(super) roots: Vec<String>,
    /// Every digest that ever had a signature: what is stored of one stays.
    pub(super) ever_signed: BTreeSet<String>,
    /// Tags of images with a signature.
    pub(super) tags: Vec<String>,
    /// Tags of signatures.
    pub(super) evidence_tags: Vec<String>,
    /// Tags of images without a signature.
    pub(super) unsigned_tags: Vec<String>,
    /// Digests of images without one.
    pub(super) forbidden_roots: Vec<String>,
    /// Digests that must never be served: manifests, configs and layers of unsigned images.
    pub(super) forbidden: Vec<String>,
    /// A layer of a signed image whose bytes the upstream gives wrongly.
    pub(super) corrupt: String,
    /// What the gate says of pulls.
    pub(super) pull_log: PullLog,
    /// The signature of each image, by the image's digest.
    evidence: BTreeMap<String, Made>,
    manifests: Vec<String>,
    new: VecDeque<(String, Made)>,
    signer: Signer,
    gate: PathBuf,
    folder: TempDir,
    state: State,
    upstream: Upstream,
    runtime: Runtime,
}

/// The folder that gates work in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// The same through the whole run.
    Stays,
    /// One that is not there yet.
    New,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Stays => "state",
            Self::New => "state-new",
        }
    }
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
        upstream.set_referrers(ReferrersApi::Whole);
        let folder = TempDir::with_prefix("pullgate-kills-")?;
        let signer = Signer::new();
        fs::write(folder.path().join("policy.toml"), POLICY)?;
        fs::write(folder.path().join("release.pub"), signer.public_pem())?;
        let mut world = Self {
            permitted: BTreeMap::new(),
            roots: Vec::new(),
            ever_signed: BTreeSet::new(),
            tags: Vec::new(),
            evidence_tags: Vec::new(),
            unsigned_tags: Vec::new(),
            forbidden_roots: Vec::new(),
            forbidden: Vec::new(),
            corrupt: String::new(),
            pull_log: PullLog::new(folder.path().join("audit.jsonl")),
            evidence: BTreeMap::new(),
            manifests: Vec::new(),
            new: VecDeque::new(),
            signer,
            gate: gate.to_owned(),
            folder,
            state: State::Stays,
            upstream,
            runtime,
        };
        world.fill();
        Ok(world)
    }

    /// One more signed image, that no gate has seen: without it a long run would write nothing new. The oldest goes.
    pub(super) fn renew(&mut self, random: &mut Random) {
        let length = usize::try_from(random.below(NEW_BYTES_MAX)).unwrap_or_default();
        let (tag, image) = (format!("new-{}", fresh()), Made::image_of_bytes(64 + length));
        self.sign(&tag, &image);
        self.new.push_back((tag, image));
        if self.new.len() > NEW_MAX
            && let Some((tag, image)) = self.new.pop_front()
        {
            self.tags.retain(|other| *other != tag);
            let signature = evidence_tag(&image.digest(), ".sig");
            self.evidence_tags.retain(|other| *other != signature);
            self.roots.retain(|root| *root != image.digest());
            self.gone(image.digest(), image.blobs.iter().map(|blob| sha256(blob)));
            // A gate that has not seen it before denies what signs nothing that is here (A601). Its config is that of
            // others too.
            if let Some(evidence) = self.evidence.remove(&image.digest()) {
                self.gone(evidence.digest(), [evidence.layer()]);
            }
            self.upstream.untag(REPOSITORY, &tag);
            self.upstream.untag(REPOSITORY, &signature);
        }
    }

    /// The upstream has it no more.
    fn gone(&mut self, manifest: String, blobs: impl IntoIterator<Item = String>) {
        self.manifests.retain(|other| *other != manifest);
        for digest in [manifest].into_iter().chain(blobs) {
            self.permitted.remove(&digest);
            self.upstream.remove(REPOSITORY, &digest);
            self.upstream.remove(ELSEWHERE, &digest);
        }
    }

    fn fill(&mut self) {
        for (at, length) in [1_000, 60_000, 200_000, 1_000_000, 3_000_000].into_iter().enumerate() {
            let image = Made::image_of_bytes(length);
            self.sign(&format!("signed-{at}"), &image);
        }
        let layers = ["a", "b", "c"]
            .map(|name| Layer::new(LAYER, format!("{name} {} ", fresh()).repeat(10_000).into_bytes()));
        self.sign("layers", &Made::image_of(layers.to_vec()));
        self.sign("index", &Made::index(vec![Made::image_of_bytes(50_000), Made::image()]));
        let corrupt = Made::image_of_bytes(400_000);
        self.sign("corrupt", &corrupt);
        self.corrupt = corrupt.layer();
        self.upstream.fail(When::on(format!("blobs/{}", self.corrupt)), Fault::Flip(-1));
        for at in 0..3 {
            let image = Made::image_of_bytes(20_000);
            let tag = format!("unsigned-{at}");
            for repository in [REPOSITORY, ELSEWHERE] {
                image.tag(&self.upstream, repository, &tag);
            }
            self.unsigned_tags.push(tag);
            self.forbidden_roots.push(image.digest());
            self.forbidden.extend([image.digest(), image.config(), image.layer()]);
        }
    }

    /// By a signature under a tag, and every second one by a bundle that names its subject.
    fn sign(&mut self, tag: &str, image: &Made) {
        image.tag(&self.upstream, REPOSITORY, tag);
        image.put(&self.upstream, ELSEWHERE);
        let evidence = if self.ever_signed.len().is_multiple_of(2) {
            self.evidence_tags.push(evidence_tag(&image.digest(), ".sig"));
            self.signer.sign_at(&self.upstream, REPOSITORY, &image.digest())
        } else {
            let bundle = referrer(&image.descriptor(), self.signer.bundle(&image.digest(), SIGN_PREDICATE));
            bundle.put(&self.upstream, REPOSITORY);
            bundle
        };
        self.allow(&evidence);
        self.evidence.insert(image.digest(), evidence);
        self.roots.push(image.digest());
        self.ever_signed.insert(image.digest());
        self.tags.push(tag.to_owned());
        self.allow(image);
    }

    fn allow(&mut self, image: &Made) {
        self.manifests.push(image.digest());
        self.permitted.insert(image.digest(), image.bytes.clone());
        self.permitted.extend(image.blobs.iter().map(|blob| (sha256(blob), blob.clone())));
        image.children.iter().for_each(|child| self.allow(child));
    }

    /// What may be served as `manifests`, in the order of pulls, or as `blobs`.
    pub(super) fn of_kind(&self, kind: &str) -> Vec<(&String, &Vec<u8>)> {
        if kind == "manifests" {
            self.manifests.iter().filter_map(|digest| self.permitted.get_key_value(digest)).collect()
        } else {
            self.permitted.iter().filter(|(digest, _)| !self.manifests.contains(digest)).collect()
        }
    }

    /// Points a tag at another image, signed or not.
    pub(super) fn move_tag(&self, digest: &str) {
        self.upstream.tag(REPOSITORY, "moving", digest);
    }

    /// Another text of the same meaning, put in place at once, as editors do.
    pub(super) fn change_policy(&self) -> io::Result<()> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let beside = self.folder.path().join("policy.toml.new");
        fs::write(&beside, format!("{POLICY}# {}\n", COUNT.fetch_add(1, Ordering::Relaxed)))?;
        fs::rename(beside, self.folder.path().join("policy.toml"))
    }

    /// The next gates work in a folder that is not there yet, or in the one that stays.
    pub(super) fn use_state(&mut self, which: State) -> io::Result<()> {
        self.state = which;
        match fs::remove_dir_all(self.folder.path().join(State::New.name())) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    pub(super) fn state(&self) -> PathBuf {
        self.folder.path().join(self.state.name())
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
            "policy = \"policy.toml\"\nstate = \"{}\"\n[listen]\naddress = \"{address}\"\ndefault_registry = \"registry.test\"\n\
             [admin]\naddress = \"{admin}\"\n[audit]\nlog = \"audit.jsonl\"\n[cache]\nblobs_max = \"{BLOBS_MAX}\"\n[upstream.\"registry.test\"]\nurl = \"{}\"\n",
            self.state.name(),
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

    pub(super) fn admin(&self) -> &str {
        &self.admin
    }

    pub(super) fn wait_ready(&mut self) -> io::Result<()> {
        let admin = self.admin.clone();
        self.process.wait_ready(|| http::get(&admin, "/readyz").is_ok_and(|answer| answer.status == 200))
    }

    pub(super) fn processor_time(&self) -> io::Result<Duration> {
        self.process.processor_time()
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
pub(super) fn target(repository: &str, kind: &str, name: &str) -> String {
    format!("/v2/{repository}/{kind}/{name}")
}
