//! What one request can cost at most, by whose it is: measured at a gate in this process, before an upstream that
//! counts. The command `amplify` prints it, `SECURITY.md` holds the table, and a suite measures it again.
#![expect(clippy::expect_used, reason = "a gate that cannot be measured is a failure")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use pullgate_policy::limits;

use crate::gate_in_process::{Gate, Setup};
use crate::made::{Made, fresh};
use crate::signing::{SIGN_PREDICATE, Signer, referrer};
use crate::upstream::{Fault, ReferrersApi, Upstream, When};

const POLICY: &str = "unmatched = \"deny\"\n[authority.release]\nkey = \"release.pub\"\ntransparency = \"optional\"\n[[policy]]\nname = \"production\"\nscope = [\"registry.test/org/**\"]\n[[policy.require]]\nsigned_by = { any_of = [\"release\"] }\n";
/// One user, of the lowest cost.
const USERS: &str = "node:$2b$04$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy\n";
/// Children of the index that is gone from its upstream.
const CHILDREN: usize = limits::CHILDREN_READ_FOR_BLOB;
/// Bundles on one digest, more than are read.
const BUNDLES: usize = limits::EVIDENCE_MANIFESTS + 8;
/// Bytes of the layers here.
const LAYER: usize = 4 << 20;
/// Rows of the store and of the pull log, with the pages that they stand in.
const ROWS: u64 = 1024 * 1024;
/// A manifest of this size stands for all that a test makes.
const SMALL: u64 = 16 * 1024;

/// One request, and what it costs its upstream and the disk at most.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Whose request or content it is.
    pub party: &'static str,
    /// What is asked, in words.
    pub what: &'static str,
    /// Requests to the upstream, exactly.
    pub requests: usize,
    /// Bytes of bodies from the upstream at most.
    pub bytes: u64,
    /// Bytes that are on the disk afterwards and were not before, at most.
    pub disk: u64,
    ask: Ask,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ask {
    Base,
    Unmatched,
    UnknownTag,
    UnknownDigest,
    UnknownBlob,
    UnknownBlobAgain,
    Unsigned,
    UnsignedAgain,
    Layer,
    LayerAgain,
    Tags,
    Referrers,
    WrongPassword,
    Broken,
    BrokenChildren,
    Bundles,
}

/// What a request cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// The status of the answer.
    pub status: u16,
    /// Requests to the upstream.
    pub requests: usize,
    /// Bytes of bodies from it.
    pub bytes: u64,
    /// Bytes that came to the disk.
    pub disk: u64,
    /// Processor time of the gate and its upstream together: it depends on the machine, and no limit rests on it.
    pub processor: Duration,
    /// Bytes by which the memory of both was larger at its peak than before.
    pub memory: u64,
}

const ANYBODY: &str = "client without credentials";
const KNOWN: &str = "client that offers credentials";
const UPSTREAM: &str = "upstream";
const AUTHOR: &str = "author of evidence";

const fn row(party: &'static str, what: &'static str, ask: Ask, requests: usize, bytes: u64) -> Row {
    Row { party, what, requests, bytes, disk: ROWS + bytes, ask }
}

/// The table.
pub const TABLE: &[Row] = &[
    row(ANYBODY, "`GET /v2/`", Ask::Base, 0, 0),
    row(ANYBODY, "a repository that no scope matches", Ask::Unmatched, 0, 0),
    row(ANYBODY, "an unknown tag", Ask::UnknownTag, 1, SMALL),
    row(ANYBODY, "an unknown digest", Ask::UnknownDigest, 1, SMALL),
    row(
        ANYBODY,
        "an unknown blob, once in `deny_ttl`, where an index has 32 children that are gone",
        Ask::UnknownBlob,
        limits::CHILDREN_READ_FOR_BLOB + 1,
        SMALL,
    ),
    row(ANYBODY, "another unknown blob", Ask::UnknownBlobAgain, 1, SMALL),
    row(ANYBODY, "an unsigned image", Ask::Unsigned, 5, SMALL),
    row(ANYBODY, "the same within `deny_ttl`", Ask::UnsignedAgain, 0, 0),
    row(ANYBODY, "a byte of a permitted layer of 4 MiB", Ask::Layer, 1, LAYER as u64),
    row(ANYBODY, "the same again", Ask::LayerAgain, 0, 0),
    row(ANYBODY, "a list of tags", Ask::Tags, 1, SMALL),
    row(ANYBODY, "a list of referrers", Ask::Referrers, 2, SMALL),
    row(KNOWN, "a wrong password", Ask::WrongPassword, 0, 0),
    row(UPSTREAM, "503 for a manifest", Ask::Broken, 1 + limits::UPSTREAM_RETRIES, SMALL),
    row(
        UPSTREAM,
        "503 for each of 32 children, where a blob is asked for",
        Ask::BrokenChildren,
        limits::CHILDREN_FAILED_FOR_BLOB * (1 + limits::UPSTREAM_RETRIES),
        SMALL,
    ),
    row(
        AUTHOR,
        "136 bundles by a stranger on one digest",
        Ask::Bundles,
        5 + 2 * limits::EVIDENCE_MANIFESTS,
        limits::EVIDENCE_BYTES,
    ),
];

/// The rows as `SECURITY.md` has them.
#[must_use]
pub fn table() -> String {
    let mut text = "| party | one request | upstream requests | KiB from the upstream, at most | KiB on the disk, at most |\n|---|---|---|---|---|\n".to_owned();
    for row in TABLE {
        let Row { party, what, requests, bytes, disk, .. } = row;
        text.push_str(&format!(
            "| {party} | {what} | {requests} | {} | {} |\n",
            bytes.div_ceil(1024),
            disk.div_ceil(1024)
        ));
    }
    text
}

struct Stage {
    upstream: Upstream,
    gate: Gate,
    signer: Signer,
}

impl Row {
    /// Asks it at a gate of its own.
    pub async fn measure(&self) -> Cost {
        let stage = Stage::new(self.ask).await;
        let (target, headers) = stage.prepare(self.ask).await;
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        stage.gate.app().audit.flush().await;
        stage.upstream.forget();
        let _ = fs::write("/proc/self/clear_refs", "5");
        let before = (stage.upstream.sent(), size(&stage.gate.path("state")), processor(), memory("VmRSS:"));
        let answer = stage.gate.get_with(&target, &headers).await;
        stage.gate.app().audit.flush().await;
        Cost {
            status: answer.status,
            requests: stage.upstream.seen().len(),
            bytes: stage.upstream.sent() - before.0,
            disk: size(&stage.gate.path("state")).saturating_sub(before.1),
            processor: processor().saturating_sub(before.2),
            memory: memory("VmHWM:").saturating_sub(before.3),
        }
    }
}

impl Stage {
    async fn new(ask: Ask) -> Self {
        let upstream = Upstream::start().await.expect("an upstream");
        let signer = Signer::new();
        let setup = Setup::before(&upstream.url()).policy(POLICY).file("release.pub", signer.public_pem());
        let setup = match ask {
            Ask::WrongPassword => setup.file("users", USERS).table("[clients]\nhtpasswd = \"users\"\n"),
            _ => setup,
        };
        Self { gate: Gate::start(&setup).await, upstream, signer }
    }

    /// What comes before, and what is asked then.
    async fn prepare(&self, ask: Ask) -> (String, Vec<(&'static str, String)>) {
        let manifest = |reference: &str| format!("/v2/org/app/manifests/{reference}");
        let stray = |number: usize| format!("/v2/org/app/blobs/sha256:{number:064x}");
        let plain = |target: String| (target, Vec::new());
        match ask {
            Ask::Base => plain("/v2/".to_owned()),
            Ask::Unmatched => plain("/v2/other/app/manifests/v1".to_owned()),
            Ask::UnknownTag => plain(manifest(&fresh())),
            Ask::UnknownDigest => plain(manifest(&format!("sha256:{:064x}", 7))),
            Ask::UnknownBlob | Ask::UnknownBlobAgain | Ask::BrokenChildren => {
                self.index().await;
                if ask == Ask::UnknownBlobAgain {
                    self.gate.get(&stray(1)).await;
                }
                if ask == Ask::BrokenChildren {
                    self.upstream.fail(When::on("/manifests/"), Fault::Status(503));
                }
                plain(stray(2))
            }
            Ask::Unsigned | Ask::UnsignedAgain | Ask::Referrers | Ask::Tags => {
                let image = Made::image();
                image.tag(&self.upstream, "org/app", "v1");
                if ask == Ask::UnsignedAgain {
                    self.gate.get(&manifest(&image.digest())).await;
                }
                plain(match ask {
                    Ask::Referrers => format!("/v2/org/app/referrers/{}", image.digest()),
                    Ask::Tags => "/v2/org/app/tags/list".to_owned(),
                    _ => manifest(&image.digest()),
                })
            }
            Ask::Layer | Ask::LayerAgain => {
                let image = Made::image_of_bytes(LAYER);
                image.tag(&self.upstream, "org/app", "v1");
                self.signer.sign_at(&self.upstream, "org/app", &image.digest());
                self.gate.get(&manifest("v1")).await;
                let layer = format!("/v2/org/app/blobs/{}", image.layer());
                if ask == Ask::LayerAgain {
                    self.gate.get(&layer).await;
                }
                (layer, vec![("range", "bytes=0-0".to_owned())])
            }
            // `node:wrong`.
            Ask::WrongPassword => {
                ("/v2/".to_owned(), vec![("authorization", "Basic bm9kZTp3cm9uZw==".to_owned())])
            }
            Ask::Broken => {
                self.upstream.fail(When::on("/manifests/"), Fault::Status(503));
                plain(manifest("v1"))
            }
            Ask::Bundles => {
                self.upstream.set_referrers(ReferrersApi::Whole);
                let (image, stranger) = (Made::image(), Signer::new());
                image.tag(&self.upstream, "org/app", "v1");
                for _ in 0..BUNDLES {
                    let bundle = stranger.bundle(&image.digest(), SIGN_PREDICATE);
                    referrer(&image.descriptor(), bundle).put(&self.upstream, "org/app");
                }
                plain(manifest("v1"))
            }
        }
    }

    /// A permitted index whose children are gone.
    async fn index(&self) {
        let index = Made::index((0..CHILDREN).map(|_| Made::image()).collect());
        index.tag(&self.upstream, "org/app", "v1");
        self.signer.sign_at(&self.upstream, "org/app", &index.digest());
        for child in &index.children {
            self.upstream.remove("org/app", &child.digest());
        }
        self.gate.get("/v2/org/app/manifests/v1").await;
    }
}

/// Bytes of the files below a folder, as long as they are.
fn size(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let of_one = |entry: fs::DirEntry| match entry.metadata() {
        Ok(of) if of.is_dir() => size(&entry.path()),
        // The pages of a log that is written over again are no growth; what is checkpointed from it is.
        Ok(of) if !entry.path().to_string_lossy().ends_with("-shm") => of.len(),
        Ok(_) | Err(_) => 0,
    };
    entries.flatten().map(of_one).sum()
}

fn memory(line: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = status.lines().find_map(|one| one.strip_prefix(line)?.trim().strip_suffix(" kB")?.parse().ok());
    kib.unwrap_or(0_u64) * 1024
}

fn processor() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    Duration::from_millis(ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * 10)
}
