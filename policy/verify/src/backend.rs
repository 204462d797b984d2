//! The library that checks certificates, logs and timestamps, behind our own words. Nothing else names it.

use std::fmt;

use jiff::Timestamp;
use pullgate_policy::code::Code;
use pullgate_policy::evidence::{self, Clock, Vouchers};
use serde_json::Value;
use sigstore_types::{Bundle, DerPublicKey, PayloadBytes, Sha256Hash, SignatureContent};
use sigstore_verify::{Policy, PublicKeyVerificationPolicy, VerificationPolicy, Verifier};

use crate::artifact::Artifact;
use crate::certificate::{self, profile};
use crate::fault::PieceFault;
use crate::key::PublicKey;
use crate::material::{Rendered, Signed, Weight};
use crate::trust::{Sct, TrustSummary, Trusted, TrustedKind, Unusable};

mod about;
pub(crate) mod clocks;
mod entries;
mod faults;
mod logs;
mod note;
mod path;
mod root;
mod roots;
mod sct;

use about::Verifier as By;
use clocks::{Clocks, Stamps};
use entries::Entered;
use logs::Logs;
pub(crate) use note::is_within_limits;
use path::Path;
use profile::Purpose;
use root::{End, Root};
pub use roots::{Roots, RootsFault};
use sct::CertificateLogs;

/// One trusted root, ready to verify.
pub(crate) struct Backend {
    verifier: Verifier,
    logs: Logs,
    authorities: Vec<Path>,
    /// How many of their roots have one name.
    namesakes: usize,
    certificate_logs: CertificateLogs,
    clocks: Clocks,
    contents: Vec<Trusted>,
    unusable: Vec<Unusable>,
    ends: Vec<End>,
}

/// Whether the transparency log is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Log {
    /// An entry must be there, and every entry of a log of the table must verify.
    Checked,
    /// Entries are left out.
    Left,
}

/// The further checks of a certificate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CertificateChecks {
    pub(crate) log: Log,
    pub(crate) sct: Sct,
    /// No later than this can an SCT be.
    pub(crate) latest: Timestamp,
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
    fn by(entered: Vec<Entered>, stamps: &Stamps, sct: evidence::Sct) -> Self {
        let logged = entered.iter().filter_map(|one| one.time).min();
        let stamped = stamps.earliest();
        // The earlier time is the signature's.
        let (time, clock) = match (logged, stamped) {
            (Some(logged), Some(stamped)) if stamped < logged => {
                (Some(stamped), Some(Clock::TimestampAuthority))
            }
            (Some(logged), _) => (Some(logged), Some(Clock::Log)),
            (None, stamped) => (stamped, stamped.map(|_| Clock::TimestampAuthority)),
        };
        let entries = entered.into_iter().map(|one| one.entry).collect();
        Self { time, vouchers: Vouchers { entries, clock, sct, chained: None } }
    }
}

impl Backend {
    /// Reads a trusted root; the error is for people.
    pub(crate) fn new(root: Value) -> Result<Self, String> {
        let Root { library, logs, certificate_logs, authorities, clocks, contents, unusable, ends } =
            Root::read(root)?;
        let verifier = Verifier::new(&library).map_err(|error| error.to_string())?;
        let (logs, certificate_logs) = (Logs(logs), CertificateLogs(certificate_logs));
        let (clocks, namesakes) = (Clocks(clocks), Path::namesakes(&authorities));
        Ok(Self {
            verifier,
            logs,
            authorities,
            namesakes,
            certificate_logs,
            clocks,
            contents,
            unusable,
            ends,
        })
    }

    /// How many roots of its certificate authorities have one name.
    pub(crate) fn namesakes(&self) -> usize {
        self.namesakes
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

    /// What of the root cannot be used at all, or not any more: a certificate has run out in a window that is open.
    pub(crate) fn unusable(&self, now: Timestamp) -> Vec<Unusable> {
        let spent = |end: &&End| end.at < now && end.closes.is_none_or(|closes| closes >= now);
        let told = |end: &End| Unusable {
            kind: end.kind,
            name: end.name.clone(),
            why: format!("a certificate of its chain ran out at {}", end.at),
        };
        let ends = self.ends.iter().filter(spent).map(told);
        self.unusable.iter().cloned().chain(ends).collect()
    }

    /// Verifies a signature by the holder of a certificate: chain at every proven time, SCT, log, signature, and that
    /// all of these belong together. The name in the certificate is not checked here.
    pub(crate) fn certificate(
        &self,
        signed: &Signed,
        leaf: &[u8],
        asked: CertificateChecks,
    ) -> Result<Vouched, PieceFault> {
        let stamps = self.stamps(signed);
        let listed = self.listed(signed, asked.log)?;
        let policy = VerificationPolicy::any_identity();
        let policy = match asked.log {
            Log::Checked => policy,
            Log::Left => policy.skip_tlog_unsafe(),
        };
        // The library cannot read several SCTs; they are checked below.
        let policy = match asked.sct {
            Sct::Required if !sct::are_several(leaf) => policy,
            Sct::Required | Sct::None => policy.skip_sct(),
        };
        let makes = certificate::key(leaf)?.signed(&signed.message, &signed.signature);
        let bundle = signed.bundle.with(&listed, &stamps.tokens);
        self.library(signed, &bundle, Some(leaf), &policy)
            .or_else(|fault| self.go_on(fault, &stamps, &listed, makes))?;
        // The checks from here on do not rely on the library: they cover what it leaves unchecked.
        let entered = entries::check(&self.logs, &listed, signed, By::Certificate(leaf), stamps.earliest())?;
        makes.then_some(()).ok_or(Code::SignatureInvalid)?;
        let vouched = Vouched::by(entered.clone(), &stamps, sct_of(asked.sct));
        let times: Vec<_> = entered.iter().filter_map(|one| one.time).chain(stamps.times.clone()).collect();
        if times.is_empty() {
            return Err(stamps.fault.unwrap_or_else(|| Code::NoTrustedTime.into()));
        }
        for time in times {
            let issuer = self.chained(leaf, &signed.bundle.intermediates(), time)?;
            if asked.sct == Sct::Required {
                self.certificate_logs.check(leaf, &issuer, asked.latest)?;
            }
        }
        Ok(vouched)
    }

    /// Verifies a signature by the holder of a certificate of a policy's own authorities, which the library does not
    /// know: by the same checks that follow the library's in [`Self::certificate`]. The name in the certificate is not
    /// checked here (A660).
    pub(crate) fn own_certificate(
        &self,
        signed: &Signed,
        leaf: &[u8],
        (roots, log): (&Roots, Log),
    ) -> Result<Vouched, PieceFault> {
        let (vouched, times) = self.around(signed, leaf, log)?;
        for time in times {
            roots.lead(leaf, &signed.bundle.intermediates(), time)?;
        }
        Ok(vouched)
    }

    /// What vouches for a signature by a certificate's key, and each proven time.
    ///
    /// # Errors
    /// An entry does not hold, the key did not sign, or nothing tells the time.
    fn around(
        &self,
        signed: &Signed,
        leaf: &[u8],
        log: Log,
    ) -> Result<(Vouched, Vec<Timestamp>), PieceFault> {
        let stamps = self.stamps(signed);
        let listed = self.listed(signed, log)?;
        let entered = entries::check(&self.logs, &listed, signed, By::Certificate(leaf), stamps.earliest())?;
        let makes = certificate::key(leaf)?.signed(&signed.message, &signed.signature);
        makes.then_some(()).ok_or(Code::SignatureInvalid)?;
        let times: Vec<_> = entered.iter().filter_map(|one| one.time).chain(stamps.times.clone()).collect();
        let vouched = Vouched::by(entered, &stamps, evidence::Sct::NotAsked);
        if times.is_empty() {
            return Err(stamps.fault.unwrap_or_else(|| Code::NoTrustedTime.into()));
        }
        Ok((vouched, times))
    }

    /// The log entries and timestamps of a signature by the key in a certificate, whose name does not count: entries
    /// name the certificate. That the key made it is the caller's to check.
    pub(crate) fn key_within(&self, signed: &Signed, leaf: &[u8]) -> Result<Vouched, PieceFault> {
        let stamps = self.stamps(signed);
        let listed = self.listed(signed, Log::Checked)?;
        let entered = entries::check(&self.logs, &listed, signed, By::Certificate(leaf), stamps.earliest())?;
        Ok(Vouched::by(entered, &stamps, evidence::Sct::NotAsked))
    }

    /// The log entries and timestamps of a signature by a key. That the key made it is the caller's to check.
    pub(crate) fn key(&self, signed: &Signed, key: &PublicKey) -> Result<Vouched, PieceFault> {
        let stamps = self.stamps(signed);
        let listed = self.listed(signed, Log::Checked)?;
        let policy = PublicKeyVerificationPolicy::new(DerPublicKey::new(key.spki().to_vec()));
        let bundle = signed.bundle.with(&listed, &stamps.tokens);
        self.library(signed, &bundle, None, &policy)
            .or_else(|fault| self.go_on(fault, &stamps, &listed, true))?;
        let entered = entries::check(&self.logs, &listed, signed, By::Key(key), stamps.earliest())?;
        Ok(Vouched::by(entered, &stamps, evidence::Sct::NotAsked))
    }

    /// The timestamps of a signature by any key, without log entries. That the signature holds is the caller's to
    /// check.
    pub(crate) fn stamped(&self, signed: &Signed) -> Vouched {
        Vouched::by(Vec::new(), &self.stamps(signed), evidence::Sct::NotAsked)
    }

    fn stamps(&self, signed: &Signed) -> Stamps {
        self.clocks.read(&signed.bundle.timestamps, signed.stamped())
    }

    /// The entries that are looked at.
    fn listed<'a>(&self, signed: &'a Signed, log: Log) -> Result<Vec<&'a Value>, PieceFault> {
        match log {
            Log::Left => Ok(Vec::new()),
            Log::Checked => entries::known(&self.logs, signed.bundle.listed()?),
        }
    }

    /// Asks the library.
    fn library(
        &self,
        signed: &Signed,
        bundle: &Rendered,
        leaf: Option<&[u8]>,
        policy: &impl Policy,
    ) -> Result<(), PieceFault> {
        match signed.weight {
            Weight::Light => {}
            // It would read the whole statement before it looks at anything else (A602).
            Weight::Heavy => return Err(Code::Unsupported.into()),
        }
        let bundle = read(bundle)?;
        // The library must verify the same certificate whose names are read elsewhere.
        if bundle.signing_certificate().map(|certificate| certificate.as_bytes()) != leaf {
            return Err(Code::BundleInvalid.into());
        }
        let artifact = signed.artifact.artifact();
        self.verifier.verify(given(&artifact), &bundle, policy).map_err(|error| faults::of(&error))?;
        Ok(())
    }

    /// Whether a refusal of the library counts: where it could not judge, the checks after it decide. Every other
    /// refusal stands.
    fn go_on(
        &self,
        fault: PieceFault,
        stamps: &Stamps,
        listed: &[&Value],
        makes: bool,
    ) -> Result<(), PieceFault> {
        let timed = fault.is_a_timestamps() || fault.code == Code::NoTrustedTime;
        let unread = match fault.code {
            // A kind of entry, of key or of hash that it does not know.
            Code::Unsupported | Code::KeyUnsupported => true,
            // Our own reader checks the content and subject of every signed statement.
            Code::StatementInvalid | Code::SubjectMismatch => true,
            // One hash that goes with the key, and the signature is over another.
            Code::SignatureInvalid => makes,
            // A log by a kind of key that it does not know.
            Code::LogUnknown | Code::CheckpointInvalid | Code::SetInvalid => {
                let id = |entry: &&Value| entries::id_of(entry).unwrap_or_default();
                listed.iter().any(|entry| !self.logs.is_known(&id(entry)))
            }
            // A timestamp that counts, in a form that it does not read.
            _ => timed && !stamps.times.is_empty(),
        };
        match stamps.fault.clone() {
            _ if unread => Ok(()),
            // Without any other time, the fault of the timestamp is the reason for `no-trusted-time`.
            Some(stamp) if fault.code == Code::NoTrustedTime => Err(stamp),
            Some(_) | None => Err(fault),
        }
    }

    /// The issuer of a leaf that leads to a root of the table at `time`.
    fn chained(&self, leaf: &[u8], others: &[Vec<u8>], time: Timestamp) -> Result<Vec<u8>, PieceFault> {
        profile::check_signer(leaf, time)?;
        let mut fault = PieceFault::from(Code::CertificateExpired);
        for authority in self.authorities.iter().filter(|authority| authority.holds_at(time)) {
            match authority.leads(leaf, others, time, Purpose::CodeSigning) {
                Ok(issuer) => return Ok(issuer),
                // A fault of this authority's chain tells more than "another authority did not issue it".
                Err(other)
                    if other.code == Code::CertificateUntrusted && fault.code == Code::CertificateInvalid => {
                }
                Err(other) => fault = other,
            }
        }
        Err(fault)
    }
}

fn sct_of(asked: Sct) -> evidence::Sct {
    match asked {
        Sct::Required => evidence::Sct::Verified,
        Sct::None => evidence::Sct::NotAsked,
    }
}

fn given<'a>(artifact: &Artifact<'a>) -> sigstore_types::Artifact<'a> {
    match artifact {
        Artifact::Bytes(bytes) => sigstore_types::Artifact::Blob(bytes),
        Artifact::Sha256(known) => Sha256Hash::new(*known).into(),
    }
}

fn read(rendered: &Rendered) -> Result<Bundle, PieceFault> {
    let mut bundle = Bundle::from_json(&rendered.json).map_err(|error| {
        let text = error.to_string();
        let code = if text.contains("Rekor entry format") { Code::Unsupported } else { Code::BundleInvalid };
        PieceFault::new(code, text)
    })?;
    if let (SignatureContent::DsseEnvelope(envelope), Some(payload)) =
        (&mut bundle.content, &rendered.payload)
    {
        let bytes = payload.bytes().map(|bytes| bytes.to_vec()).unwrap_or_default();
        envelope.payload = PayloadBytes::new(bytes);
    }
    Ok(bundle)
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend").field("summary", &self.summary()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
