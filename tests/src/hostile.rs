//! Evidence in every format that is made to cost, asked for by many clients at once, beside a permitted image of
//! another upstream: what the second one's clients notice of it, and whether the gate lives (A602, A604, A611).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::asking::ask;
use crate::clients::{Gate, Settings};
use crate::made::{Layer, Made, fresh};
use crate::signing::{BUNDLE, DSSE, SIMPLE_SIGNING, Signer, carrier, evidence_tag};
use crate::upstream::{ReferrersApi, Upstream};

/// Clients of the hostile upstream at once.
const CLIENTS: usize = 12;
/// Bytes of the largest piece, a little under what is read of one.
const PIECE: usize = 15 * 1024 * 1024;
/// Signatures of an envelope.
const SIGNATURES: usize = 16;

/// A gate before two upstreams, of which one holds nothing but hostile content.
#[derive(Debug)]
pub struct World {
    /// The gate, a process of its own.
    pub gate: Gate,
    good: Upstream,
    evil: Arc<Upstream>,
    signer: Signer,
    carriers: Arc<Vec<(&'static str, Made)>>,
}

/// What was seen.
#[derive(Debug, Default)]
pub struct Seen {
    /// How long `/livez` took.
    pub livez: Vec<Duration>,
    /// How long an image took that had been pulled before.
    pub warm: Vec<Duration>,
    /// How long one took that had not, with its verdict.
    pub cold: Vec<Duration>,
    /// Answers to the three that were not 200.
    pub refused: Vec<String>,
    /// Hostile pulls that were answered.
    pub hostile: u64,
    /// Bytes of resident memory at the peak.
    pub peak: u64,
    /// Whether the gate lives.
    pub alive: bool,
    /// How its memory went: when, bytes resident, bytes of address space.
    pub memory: Vec<(Duration, u64, u64)>,
    /// What it logged last, if it died.
    pub last_words: String,
}

/// How often its memory is looked at.
const SAMPLE: Duration = Duration::from_secs(20);
/// Bytes of its last words.
const LAST_WORDS: usize = 4096;

impl Seen {
    /// The slowest but one in a hundred.
    #[must_use]
    pub fn p99(times: &[Duration]) -> Duration {
        let mut sorted = times.to_vec();
        sorted.sort_unstable();
        let at = sorted.len().saturating_sub(1) * 99 / 100;
        sorted.get(at).copied().unwrap_or_default()
    }
}

/// The policy of both upstreams.
const POLICY: &str = "[authority.release]\nkey = \"release.pub\"\ntransparency = \"optional\"\n\
    [[policy]]\nname = \"production\"\nscope = [\"**\"]\n[[policy.require]]\nsigned_by = { any_of = [\"release\"] }\n";

/// A JSON list of about so many bytes, of as many objects as there can be.
#[must_use]
pub fn dense(bytes: usize) -> String {
    format!("[{}]", vec![r#"{"a":0}"#; bytes / 8].join(","))
}

/// A statement about nothing, with a predicate of about so many bytes.
#[must_use]
pub fn statement(predicate: &str) -> String {
    format!(
        r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[{{"digest":{{"sha256":"00"}}}}],"predicateType":"x","predicate":{{"n":"{}","x":{predicate}}}}}"#,
        fresh()
    )
}

/// An envelope with sixteen signatures by nobody.
#[must_use]
pub fn envelope(statement: &str) -> Vec<u8> {
    let signature = json!({ "sig": STANDARD.encode([b'x'; 64]) });
    let envelope = json!({
        "payloadType": "application/vnd.in-toto+json",
        "payload": STANDARD.encode(statement),
        "signatures": vec![signature; SIGNATURES],
    });
    envelope.to_string().into_bytes()
}

/// A bundle with a list of values where nobody looks.
#[must_use]
pub fn bundle(bytes: usize) -> Vec<u8> {
    let junk = dense(bytes);
    let n = fresh();
    format!(r#"{{"mediaType":"{BUNDLE}","verificationMaterial":{{"n":"{n}","junk":{junk}}},"messageSignature":{{}}}}"#)
        .into_bytes()
}

/// A simple-signing payload with as many values as it has room for.
#[must_use]
pub fn payload(bytes: usize) -> Vec<u8> {
    let critical = json!({
        "identity": { "docker-reference": fresh() },
        "image": { "docker-manifest-digest": format!("sha256:{}", "0".repeat(64)) },
        "type": "cosign container image signature",
    });
    format!(r#"{{"critical":{critical},"optional":{{"x":{}}}}}"#, dense(bytes)).into_bytes()
}

/// One carrier of each format, with the tag's suffix that it is to lie under.
fn carriers() -> Vec<(&'static str, Made)> {
    let of_payload = PIECE * 3 / 4;
    let long = format!("\"{}\"", "z".repeat(of_payload));
    let signed = |bytes: Vec<u8>| Layer {
        annotations: json!({ "dev.cosignproject.cosign/signature": STANDARD.encode([b'x'; 64]) }),
        ..Layer::new(SIMPLE_SIGNING, bytes)
    };
    let many: Vec<Layer> = (0..400).map(|_| Layer::new(DSSE, envelope(&statement("{}")))).collect();
    vec![
        (".att", carrier(vec![Layer::new(DSSE, envelope(&statement(&dense(of_payload))))])),
        (".att", carrier((0..4).map(|_| Layer::new(DSSE, envelope(&statement(&long)))).collect())),
        (".sig", carrier((0..4).map(|_| Layer::new(BUNDLE, bundle(PIECE))).collect())),
        (".sig", carrier((0..40).map(|_| signed(payload(1_000_000))).collect())),
        (".att", carrier(many)),
    ]
}

impl World {
    /// Starts it, with at most so many bytes of address space; 0: without a limit.
    ///
    /// # Errors
    /// It cannot be started.
    pub async fn start(memory: u64) -> std::io::Result<Self> {
        let (good, evil) = (Upstream::start().await?, Upstream::start().await?);
        evil.set_referrers(ReferrersApi::Whole);
        let signer = Signer::new();
        let settings = Settings::new(POLICY)
            .memory(memory)
            .upstream("good.test", "good", &good.address().to_string())
            .upstream("evil.test", "evil", &evil.address().to_string())
            .text("release.pub", &signer.public_pem());
        let gate = tokio::task::spawn_blocking(move || Gate::start(&settings)).await??;
        let carriers = Arc::new(tokio::task::spawn_blocking(carriers).await?);
        for (_, made) in carriers.iter() {
            made.tag(&evil, "org/junk", &fresh());
        }
        Ok(Self { gate, good, evil: Arc::new(evil), signer, carriers })
    }

    /// An image of the good upstream that is permitted, under a tag; and its path.
    fn permitted(&self) -> String {
        let (image, tag) = (Made::image(), fresh());
        image.tag(&self.good, "org/app", &tag);
        self.signer.sign_at(&self.good, "org/app", &image.digest());
        format!("/v2/good.test/org/app/manifests/{tag}")
    }

    fn data(&self) -> Option<SocketAddr> {
        self.gate.address().parse().ok()
    }

    /// So long, and what was seen meanwhile: with hostile clients, or none.
    pub async fn watch(&self, time: Duration, hostile: Hostile) -> Seen {
        let (Some(data), Ok(admin)) = (self.data(), self.gate.admin().parse::<SocketAddr>()) else {
            return Seen::default();
        };
        let begun = Instant::now();
        let ends = begun + time;
        let asked = Arc::new(AtomicU64::new(0));
        let clients = match hostile {
            Hostile::None => 0,
            Hostile::Many => CLIENTS,
        };
        let tasks: Vec<_> = (0..clients)
            .map(|n| tokio::spawn(self.pull_hostile(data, (n, ends), Arc::clone(&asked))))
            .collect();
        let (mut seen, warm) = (Seen::default(), self.permitted());
        seen.note(data, &warm, |_| {}).await;
        let mut n = 0_u32;
        while Instant::now() < ends && memory(self.gate.pid(), "VmRSS:").is_some() {
            let mut times = Vec::new();
            seen.note(data, &warm, |time| times.push(time)).await;
            seen.warm.append(&mut times);
            seen.note(admin, "/livez", |time| times.push(time)).await;
            seen.livez.append(&mut times);
            if n.is_multiple_of(10) {
                seen.note(data, &self.permitted(), |time| times.push(time)).await;
                seen.cold.append(&mut times);
            }
            n += 1;
            if seen.memory.last().is_none_or(|(at, ..)| begun.elapsed() >= *at + SAMPLE) {
                let now = |field| memory(self.gate.pid(), field).unwrap_or(0);
                seen.memory.push((begun.elapsed(), now("VmRSS:"), now("VmSize:")));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        tasks.into_iter().for_each(|task| task.abort());
        seen.hostile = asked.load(Ordering::SeqCst);
        seen.peak = memory(self.gate.pid(), "VmHWM:").unwrap_or(0);
        seen.alive = memory(self.gate.pid(), "VmRSS:").is_some();
        if !seen.alive {
            let output = self.gate.output();
            seen.last_words =
                output.get(output.len().saturating_sub(LAST_WORDS)..).unwrap_or(&output).to_owned();
        }
        seen
    }

    /// Pulls one image after the other, each with other evidence of nobody's, and that evidence itself, by tag and as a
    /// blob.
    fn pull_hostile(
        &self,
        data: SocketAddr,
        (n, ends): (usize, Instant),
        asked: Arc<AtomicU64>,
    ) -> impl Future<Output = ()> + use<> {
        let (evil, carriers) = (Arc::clone(&self.evil), Arc::clone(&self.carriers));
        async move {
            for round in n.. {
                if Instant::now() >= ends {
                    return;
                }
                let Some((suffix, made)) = carriers.get(round % carriers.len()) else { return };
                let (image, tag) = (Made::image(), fresh());
                image.tag(&evil, "org/junk", &tag);
                evil.tag("org/junk", &evidence_tag(&image.digest(), suffix), &made.digest());
                let targets = [
                    format!("/v2/evil.test/org/junk/manifests/{tag}"),
                    format!("/v2/evil.test/org/junk/manifests/{}", made.digest()),
                    format!("/v2/evil.test/org/junk/blobs/{}", made.digest()),
                ];
                for target in targets {
                    // Its answer is as it may be, or late.
                    let answer = async move { ask(data, "GET", &target, &[]).await };
                    let _ = tokio::spawn(tokio::time::timeout(Duration::from_secs(20), answer)).await;
                    asked.fetch_add(1, Ordering::SeqCst);
                }
            }
        }
    }
}

/// Whether anybody is hostile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hostile {
    /// Many.
    Many,
    /// Nobody: how fast this machine is just now.
    None,
}

impl Seen {
    async fn note(&mut self, address: SocketAddr, target: &str, mut took: impl FnMut(Duration)) {
        let (target, asked) = (target.to_owned(), Instant::now());
        let answer = tokio::spawn({
            let target = target.clone();
            async move { ask(address, "GET", &target, &[]).await }
        });
        match answer.await {
            Ok(answer) if answer.status == 200 => took(asked.elapsed()),
            Ok(answer) => self.refused.push(format!("{target}: {} {}", answer.status, answer.message())),
            Err(_) => self.refused.push(format!("{target}: no answer after {:?}", asked.elapsed())),
        }
    }
}

/// A line of the memory of a process, bytes; none when it has ended.
#[must_use]
pub fn memory(pid: u32, field: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with(field))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}

/// A list of referrers of so many bytes, each entry as small as can be.
#[must_use]
pub fn referrers(bytes: usize) -> Vec<u8> {
    let entry: Value = json!({
        "mediaType": crate::made::MANIFEST, "digest": format!("sha256:{}", "0".repeat(64)), "size": 1,
        "annotations": {},
    });
    let entry = entry.to_string();
    let listed = vec![entry.as_str(); bytes / (entry.len() + 1)].join(",");
    format!(r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[{listed}]}}"#, crate::made::INDEX)
        .into_bytes()
}
