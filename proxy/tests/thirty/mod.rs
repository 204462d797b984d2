//! The log of thirty mixed pulls, which every recipe of `proxy/README.md` is asked of.
#![allow(dead_code, clippy::allow_attributes, reason = "each test program takes what it needs")]

use std::process::{Command, Stdio};
use std::time::Duration;

use jiff::Timestamp;
use pullgate::audit::{
    Around, Audit, Client, Counters, DecisionId, Identity, Kind, Reason, Record, Refused, Signer, Waits,
    Word, texts,
};
use pullgate::clock::Clock;
use pullgate_config::{AuditLog, OnFailure};
use tempfile::TempDir;

pub(crate) const RELEASE: &str = "release@corp.example (issuer https://issuer.example)";
pub(crate) const CI: &str = "ci@corp.example (issuer https://issuer.example)";
pub(crate) const MALLORY: &str = "mallory@corp.example (issuer https://issuer.example)";

/// A state folder with the log of thirty pulls: ten clients, three images, of which one is not signed as it should be.
pub(crate) struct Log {
    folder: TempDir,
    pub(crate) denied: String,
}

impl Log {
    /// The policy enforces: ten of the pulls were refused.
    pub(crate) async fn new() -> Self {
        Self::of(pull).await
    }

    /// The policy warns: the same ten were served with a warning.
    pub(crate) async fn warned() -> Self {
        Self::of(|n| {
            let mut record = pull(n);
            if record.verdict == Word::Deny {
                (record.verdict, record.status) = (Word::Permit, 200);
                record.ground = "warn-only".to_owned();
            }
            record
        })
        .await
    }

    /// Clients and signers say what they like.
    pub(crate) async fn hostile() -> Self {
        Self::of(|n| {
            let (mut record, evil) = (pull(n), "<script>alert(1)</script><img src=x>\u{1b}[2J\u{202e}\"'");
            if let Some(client) = &mut record.client {
                client.names = vec![evil.to_owned()];
            }
            record.reference = evil.to_owned();
            record.identities.iter_mut().for_each(|identity| *identity = evil.to_owned());
            record
        })
        .await
    }

    async fn of(pull: impl Fn(i64) -> Record) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        std::fs::create_dir(&state).unwrap();
        let waits = Waits::all(Duration::from_secs(60));
        let around = Around { waits, clock: Clock::fixed(time(31)), counters: Counters::default() };
        let settings = pullgate_config::Audit {
            log: AuditLog::File(folder.path().join("audit.jsonl")),
            retain: Duration::from_secs(400 * 86_400),
            retain_max: None,
            on_failure: OnFailure::Count,
            gate: Some("gate-1".to_owned()),
            key_file: None,
        };
        let audit = Audit::start(settings, &state.join("audit.db"), around).await.unwrap();
        audit.begin(Record::new(Kind::Start, &DecisionId::random(), time(31), Word::Permit)).await;
        audit.publish_key().await;
        let mut denied = String::new();
        for n in 0..30 {
            let record = pull(n);
            if n == 5 {
                denied = record.id.chars().take(12).collect();
            }
            audit.write(record).await.unwrap();
        }
        let mut stranger = Record::new(Kind::RequestRefused, &DecisionId::random(), time(29), Word::Deny);
        stranger.upstream = "quay.io".to_owned();
        stranger.client = pull(7).client;
        let code = "registry-unknown".to_owned();
        stranger.reasons = vec![Reason { code, location: None, text: String::new() }];
        audit.write_refusal(Refused::Unasked, stranger).await.unwrap();
        let stop = Record::new(Kind::Stop, &DecisionId::random(), time(30), Word::Permit);
        audit.end(stop).await;
        texts::keep(&state.join(texts::FOLDER), "sha256:3f8a91c0", "unmatched = \"deny\"\n\n[[policy]]\n")
            .unwrap();
        Self { folder, denied }
    }

    /// Runs `pullgate audit` on it.
    pub(crate) fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        self.pullgate(&["audit"], arguments)
    }

    /// Runs `pullgate report` on it.
    pub(crate) fn report(&self, arguments: &[&str]) -> (i32, String, String) {
        self.pullgate(&["report", "--since", "2026-11-01"], arguments)
    }

    fn pullgate(&self, command: &[&str], arguments: &[&str]) -> (i32, String, String) {
        let database = self.folder.path().join("state/audit.db");
        let (words, mut command) = (command, Command::new(env!("CARGO_BIN_EXE_pullgate")));
        command.args(words).arg("--file").arg(database).args(arguments).stdin(Stdio::null());
        let output = command.env("HOME", self.folder.path()).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }
}

fn time(n: i64) -> Timestamp {
    "2026-11-01T00:00:00Z"
        .parse::<Timestamp>()
        .unwrap()
        .checked_add(jiff::SignedDuration::from_hours(n))
        .unwrap()
}

fn mallory() -> Identity {
    let [trust, issuer, name] =
        ["sigstore", "https://issuer.example", "mallory@corp.example"].map(str::to_owned);
    Identity { trust, issuer, name, source: None }
}

fn pull(n: i64) -> Record {
    let is_denied = n % 3 == 2;
    let verdict = if is_denied { Word::Deny } else { Word::Permit };
    let mut record = Record::new(Kind::Manifest, &DecisionId::random(), time(n), verdict);
    let image = match n % 3 {
        0 => "app",
        1 => "web",
        _ => "tool",
    };
    record.method = "GET".to_owned();
    record.repository = format!("ghcr.io/myorg/{image}");
    record.reference = "v1".to_owned();
    record.digest = Some(format!("sha256:{image}"));
    record.policy = Some("production".to_owned());
    record.policy_revision = "sha256:3f8a91c0".to_owned();
    record.client = Some(Client {
        address: format!("10.0.0.{}:4000", n % 10),
        forwarded: None,
        names: Vec::new(),
        user_agent: "containerd/2.1.0".to_owned(),
    });
    if is_denied {
        record.unmet = vec!["policy.toml:3".to_owned()];
        let code = "unknown-authority".to_owned();
        let location = Some("policy.toml:3".to_owned());
        record.reasons =
            vec![Reason { code: code.clone(), location, text: "signed by somebody else".to_owned() }];
        let (by, layout) = (MALLORY.to_owned(), "sig-tag".to_owned());
        record.signers = vec![Signer {
            by,
            layout,
            attests: None,
            authorities: Vec::new(),
            code: Some(code),
            identity: Some(mallory()),
            logged: true,
        }];
    } else {
        record.ground = "satisfied".to_owned();
        let (authority, identity) = if image == "web" { ("ci", CI) } else { ("release", RELEASE) };
        record.authorities = vec![authority.to_owned()];
        record.identities = vec![identity.to_owned()];
    }
    record
}
