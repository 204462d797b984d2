//! The library that checks certificates, logs and timestamps, behind our own words. Nothing else names it.

use std::fmt;

use jiff::Timestamp;
use pullgate_policy::code::Code;
use pullgate_policy::evidence::{self, Clock, Vouchers};
use sigstore_trust_root::{TimeRange, TrustedRoot};
use sigstore_types::{Bundle, DerPublicKey, KindVersion, Sha256Hash, TransparencyLogEntry};
use sigstore_verify::{Policy, PublicKeyVerificationPolicy, VerificationPolicy, Verifier};

use crate::artifact::Artifact;
use crate::certificate;
use crate::fault::Fault;
use crate::key::PublicKey;
use crate::material::Signed;
use crate::trust::{Sct, TrustSummary, Trusted, TrustedKind};

mod chain;
mod clocks;
mod faults;
mod logs;
mod older;
mod tiles;

use chain::Chains;
use clocks::Clocks;
use logs::Logs;
use older::{Entered, Verifier as By};

/// One trusted root, ready to verify.
pub(crate) struct Backend {
    verifier: Verifier,
    logs: Logs,
    chains: Chains,
    clocks: Clocks,
    contents: Vec<Trusted>,
}

/// Whether the transparency log is part of what is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Log {
    /// An entry must be there, and every entry must verify.
    Checked,
    /// The bundle that is handed over has no entry.
    Left,
}

/// What vouches for a signature that verified.
#[derive(Debug, Clone, Default)]
pub(crate) struct Vouched {
    /// The earliest time by a clock of the trust table: an entry's only with its signed timestamp (A305), else a
    /// timestamp authority's.
    pub(crate) time: Option<Timestamp>,
    /// The same and the rest, for people.
    pub(crate) vouchers: Vouchers,
}

impl Vouched {
    fn by_logs(entered: Vec<Entered>, sct: evidence::Sct) -> Self {
        let time = entered.iter().filter_map(|one| one.time).min();
        let entries = entered.into_iter().map(|one| one.entry).collect();
        Self { time, vouchers: Vouchers { entries, clock: time.map(|_| Clock::Log), sct } }
    }

    /// With what a timestamp authority said besides: the earlier time is the signature's.
    fn and(self, stamped: &Self) -> Self {
        let earlier = stamped.time.is_some_and(|stamp| self.time.is_none_or(|time| stamp < time));
        if earlier {
            let vouchers = Vouchers { clock: stamped.vouchers.clock, ..self.vouchers };
            return Self { time: stamped.time, vouchers };
        }
        self
    }
}

impl Backend {
    /// Reads a trusted root; the error is for people.
    pub(crate) fn new(json: &str) -> Result<Self, String> {
        let root = TrustedRoot::from_json(json).map_err(|error| error.to_string())?;
        for authority in &root.certificate_authorities {
            // Every certificate of a chain would be trusted by itself; one that does not end in a root is half a chain.
            let last = authority.cert_chain.certificates.last().map(|last| last.raw_bytes.as_bytes());
            if !last.is_some_and(certificate::is_self_issued) {
                return Err("a certificate authority's chain does not end in its root".to_owned());
            }
        }
        let verifier = Verifier::new(&root).map_err(|error| error.to_string())?;
        let (logs, chains, clocks) = (Logs::of(&root), Chains::of(&root)?, Clocks::of(&root));
        Ok(Self { verifier, logs, chains, clocks, contents: contents(&root) })
    }

    pub(crate) fn summary(&self) -> TrustSummary {
        let count = |kind| self.contents.iter().filter(|one| one.kind == kind).count();
        TrustSummary {
            authorities: count(TrustedKind::CertificateAuthority),
            certificate_logs: count(TrustedKind::CertificateLog),
            logs: count(TrustedKind::Log),
            timestamp_authorities: count(TrustedKind::TimestampAuthority),
        }
    }

    pub(crate) fn contents(&self) -> &[Trusted] {
        &self.contents
    }

    /// Verifies a bundle with a certificate: chain at every proven time, SCT, log, signature, and that all of these are
    /// about each other. Who the certificate names is not looked at.
    pub(crate) fn certificate(
        &self,
        bundle: &str,
        artifact: &Artifact<'_>,
        leaf: &[u8],
        log: Log,
        sct: Sct,
    ) -> Result<Vouched, Fault> {
        let bundle = read(bundle)?;
        // What is verified must be the certificate whose names are read elsewhere.
        if bundle.signing_certificate().map(|certificate| certificate.as_bytes()) != Some(leaf) {
            return Err(Code::BundleInvalid.into());
        }
        let policy = VerificationPolicy::any_identity();
        let policy = match log {
            Log::Checked => policy,
            Log::Left => policy.skip_tlog_unsafe(),
        };
        let policy = match sct {
            Sct::Required => policy,
            Sct::None => policy.skip_sct(),
        };
        let mut vouched = self.run(&bundle, artifact, &policy)?;
        vouched.vouchers.sct = match sct {
            Sct::Required => evidence::Sct::Verified,
            Sct::None => evidence::Sct::NotAsked,
        };
        Ok(vouched)
    }

    /// Verifies a bundle by a key of the policy, with its log entries and timestamps.
    pub(crate) fn key(
        &self,
        bundle: &str,
        artifact: &Artifact<'_>,
        spki: &[u8],
        log: Log,
    ) -> Result<Vouched, Fault> {
        let bundle = read(bundle)?;
        let policy = PublicKeyVerificationPolicy::new(DerPublicKey::new(spki.to_vec()));
        let policy = match log {
            Log::Checked => policy,
            Log::Left => policy.skip_tlog_unsafe(),
        };
        self.run(&bundle, artifact, &policy)
    }

    /// What timestamp authorities alone say of a signature, whatever made it. That the signature holds is the caller's to
    /// check.
    pub(crate) fn stamped(&self, signed: &Signed) -> Vouched {
        let time = self.clocks.earliest(&signed.bundle.timestamps, &signed.signature);
        let clock = time.map(|_| Clock::TimestampAuthority);
        Vouched { time, vouchers: Vouchers { clock, ..Vouchers::default() } }
    }

    /// The same as [`Backend::certificate`] with the log checked, for entries that the library does not read. Timestamps
    /// are its work all the same: `stamped` is what came of them.
    pub(crate) fn older_by_certificate(
        &self,
        signed: &Signed,
        leaf: &[u8],
        sct: Sct,
        stamped: &Vouched,
    ) -> Result<Vouched, Fault> {
        let entered = older::check(&self.logs, signed, By::Certificate(leaf), stamped.time)?;
        if !certificate::key(leaf)?.verifies(&signed.message.artifact(), &signed.signature) {
            return Err(Code::SignatureInvalid.into());
        }
        let times: Vec<_> = entered.iter().filter_map(|one| one.time).chain(stamped.time).collect();
        if times.is_empty() {
            return Err(Code::NoTrustedTime.into());
        }
        for time in times {
            let issuer = self.chains.check(leaf, &signed.bundle.intermediates(), time)?;
            if sct == Sct::Required {
                self.chains.check_sct(leaf, &issuer)?;
            }
        }
        let sct = match sct {
            Sct::Required => evidence::Sct::Verified,
            Sct::None => evidence::Sct::NotAsked,
        };
        Ok(Vouched::by_logs(entered, sct).and(stamped))
    }

    /// The same as [`Backend::key`] with the log checked, for entries that the library does not read. That the key made the
    /// signature is the caller's to check.
    pub(crate) fn older_by_key(&self, signed: &Signed, key: &PublicKey) -> Result<Vouched, Fault> {
        let stamped = self.stamped(signed);
        let entered = older::check(&self.logs, signed, By::Key(key), stamped.time)?;
        Ok(Vouched::by_logs(entered, evidence::Sct::NotAsked).and(&stamped))
    }

    fn run(&self, bundle: &Bundle, artifact: &Artifact<'_>, policy: &impl Policy) -> Result<Vouched, Fault> {
        let result =
            self.verifier.verify(given(artifact), bundle, policy).map_err(|error| faults::of(&error))?;
        let time = result.verified_timestamps().iter().min().copied();
        let listed = &bundle.verification_material.tlog_entries;
        let entries = self.logs.check(listed, time)?;
        // The library tells the times, not whose they are: an entry's is one of them only under a signed timestamp (A305).
        let by_log = |entry: &TransparencyLogEntry| {
            let signs_times = entry.kind_version != KindVersion::HashedRekordV002;
            signs_times && entry.inclusion_promise.is_some() && entry.integrated_time == time
        };
        let clock = time.map(|_| match listed.iter().any(by_log) {
            true => Clock::Log,
            false => Clock::TimestampAuthority,
        });
        Ok(Vouched { time, vouchers: Vouchers { entries, clock, sct: evidence::Sct::NotAsked } })
    }
}

fn given<'a>(artifact: &Artifact<'a>) -> sigstore_types::Artifact<'a> {
    match artifact {
        Artifact::Bytes(bytes) => sigstore_types::Artifact::Blob(bytes),
        Artifact::Sha256(known) => Sha256Hash::new(*known).into(),
    }
}

fn contents(root: &TrustedRoot) -> Vec<Trusted> {
    let one = |kind, name: &str, window: &Option<TimeRange>| Trusted {
        kind,
        name: name.to_owned(),
        from: window.as_ref().map(|window| window.start),
        until: window.as_ref().and_then(|window| window.end),
    };
    let authorities = root.certificate_authorities.iter();
    let authorities = authorities.map(|ca| one(TrustedKind::CertificateAuthority, &ca.uri, &ca.valid_for));
    let certificate_logs = root.ctlogs.iter();
    let certificate_logs = certificate_logs
        .map(|log| one(TrustedKind::CertificateLog, &log.base_url, &log.public_key.valid_for));
    let logs = root.tlogs.iter();
    let logs = logs.map(|log| one(TrustedKind::Log, &log.base_url, &log.public_key.valid_for));
    let timestamps = root.timestamp_authorities.iter();
    let timestamps = timestamps.map(|tsa| {
        one(TrustedKind::TimestampAuthority, tsa.uri.as_deref().unwrap_or_default(), &tsa.valid_for)
    });
    authorities.chain(certificate_logs).chain(logs).chain(timestamps).collect()
}

fn read(bundle: &str) -> Result<Bundle, Fault> {
    Bundle::from_json(bundle).map_err(|error| {
        let text = error.to_string();
        let code = if text.contains("Rekor entry format") { Code::Unsupported } else { Code::BundleInvalid };
        Fault::new(code, text)
    })
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend").field("summary", &self.summary()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
