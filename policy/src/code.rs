//! The stable kebab-case codes of reasons, and what `pullgate verify --explain CODE` says of each.

use std::fmt;

macro_rules! codes {
    ($($variant:ident = $text:literal, $cause:literal, $cure:literal;)*) => {
        /// Why something did not count, was refused, or could not be decided. Tests assert the code, never the sentence.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $(#[doc = $cause] $variant,)*
        }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The code as it is written in records and output.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// What leads to it.
            #[must_use]
            pub fn cause(self) -> &'static str {
                match self { $(Self::$variant => $cause,)* }
            }

            /// What to do about it.
            #[must_use]
            pub fn cure(self) -> &'static str {
                match self { $(Self::$variant => $cure,)* }
            }
        }
    };
}

codes! {
    // What the gate refuses before or beside any evidence.
    Blocked = "blocked", "A `[[block]]` of the policy names this digest.", "Use another digest, or remove the block if it is no longer right.";
    Canary = "canary", "The repository `pullgate/canary`, of which nothing is ever served: `pullgate doctor --probe` asked for it.", "Nothing: a node was seen to ask the gate.";
    ClientNotAllowed = "client-not-allowed", "No rule of `[clients] allow` lets this client read the repository.", "Add one to the configuration if the client may pull from it.";
    EvidenceRunnable = "evidence-runnable", "It is dressed as evidence, and a runtime could unpack or start it too.", "Sign again with a current tool; its config must name nothing to run, and no layer may read as an archive.";
    EvidenceUnverified = "evidence-unverified", "It is evidence, and nothing in it was verified by an authority of the policy about a subject of this repository.", "Name its signer in the policy; or say evidence = \"well-formed\" there, where no client unpacks by content.";
    ForeignLayer = "foreign-layer", "A descriptor has `urls`: nodes would fetch it past the gate.", "Push the layer to the registry, or say foreign_layers = \"permit\" in the policy.";
    IndexTooLarge = "index-too-large", "An index lists more children, or nests deeper, than the gate judges.", "Split the index.";
    ManifestAmbiguous = "manifest-ambiguous", "Two readers could take the manifest for two different things.", "Build the image again with a tool that writes one story: one kind, each key once, types that agree.";
    ManifestInvalid = "manifest-invalid", "The bytes are not a valid manifest of their type.", "Push the image again with a current tool.";
    ManifestTooLarge = "manifest-too-large", "The manifest is larger than 4 MiB.", "Build an image with fewer layers or annotations.";
    ManifestUnsupported = "manifest-unsupported", "A manifest type the gate does not judge; Docker schema 1 is one.", "Convert the image to OCI or Docker schema 2, for example with `skopeo copy --format oci`.";
    NotGranted = "not-granted", "No permitted manifest of this repository, known to the gate, lists this blob.", "Pull the image's manifest through the gate first.";
    PolicyDenies = "policy-denies", "The policy that governs this repository says no to everything in it.", "Pull from where its reason says, or ask its owner.";
    RegistryUnknown = "registry-unknown", "The registry has no `[upstream]` table.", "Add one to the configuration if nodes may pull from it.";
    ScopeUnmatched = "scope-unmatched", "No policy's scope matches this repository, and `unmatched` is \"deny\".", "Add a policy with a scope for the repository.";

    // What the evidence lacks.
    AgeUnknown = "age-unknown", "The requirement limits age, and no trusted clock says when this was signed.", "Sign with a transparency log or a timestamp authority.";
    AttestationMissing = "attestation-missing", "No verified attestation of the predicate type that the requirement names.", "Attest the digest: `cosign attest --type TYPE --predicate FILE IMAGE@DIGEST`.";
    AttestationTooOld = "attestation-too-old", "What would meet the requirement was signed longer ago than its max_age.", "Build and attest again.";
    EvidenceLimit = "evidence-limit", "There is more evidence than the gate reads for one subject.", "Remove signatures and referrers that are no longer needed.";
    NoEvidence = "no-evidence", "Nothing that could be a signature or attestation was found for this digest.", "Sign the digest: `cosign sign IMAGE@DIGEST`.";
    NoSignature = "no-signature", "No verified signature by an authority that the requirement names.", "Sign with one of the named authorities, or name the signer in the policy.";
    Threshold = "threshold", "Fewer distinct authorities signed than the threshold asks for.", "Have another of the named authorities sign, each with a key or identity of its own.";
    TooYoung = "too-young", "What would meet the requirement was signed less long ago than its min_age.", "Wait: `ripe_at` of the record says until when.";

    // Why one piece of evidence did not count.
    AnnotationMissing = "annotation-missing", "The signed payload lacks an annotation that the requirement asks for.", "Sign with `-a KEY=VALUE`.";
    AttributeCritical = "attribute-critical", "The signature names a critical attribute that is not known.", "Sign without extended attributes that are critical.";
    AttributeInvalid = "attribute-invalid", "A signed attribute of the envelope is missing, contradicts another or is not of its form.", "Sign again with a current tool.";
    AuthorityUse = "authority-use", "The authority counts for signatures only, or for attestations only.", "Change `use` of the authority, or sign with another.";
    BundleInvalid = "bundle-invalid", "Not a Sigstore bundle of a version that is read, or over its limits.", "Sign again with a current tool.";
    CallerUnpinned = "caller-unpinned", "The identity is a shared workflow, or a pipeline of a CI on another host than its source, and the authority does not pin for whom it ran.", "Add claims = { source_repository_uri = \"…\" } to the authority.";
    CertificateExpired = "certificate-expired", "A certificate of the chain, or its authority in the trust root, was not valid at the signing time.", "Sign again; check the trust root.";
    CertificateInvalid = "certificate-invalid", "The certificate or its chain is not one that may sign code.", "Sign again with a certificate of the trust table's authority.";
    CertificateRevoked = "certificate-revoked", "A list of revocations of the trust table names a certificate of the chain.", "Sign again with another certificate.";
    CertificateUntrusted = "certificate-untrusted", "The certificate does not chain to the trust table of the authority.", "Check which instance signed and which trust table the authority names; of Notation also by which scheme, since each has a store of its own.";
    CheckpointInvalid = "checkpoint-invalid", "The log's checkpoint is unsigned, signed by another or malformed.", "Sign again.";
    CheckpointMismatch = "checkpoint-mismatch", "The proof leads to another tree than the log's checkpoint is about, or there is no checkpoint.", "Sign again.";
    ClaimMismatch = "claim-mismatch", "A claim of the certificate differs from what the authority asks for.", "Compare the claims that `pullgate verify` prints with the policy.";
    ClaimedReferenceDiffers = "claimed-reference-differs", "The payload that counted names another repository than the one it was found in; nothing follows from it.", "Say claimed_reference = true in the requirement, if it must be this one.";
    ClaimedReferenceMismatch = "claimed-reference-mismatch", "The payload names another repository, and the requirement asks for this one.", "Sign the image under the name it is pulled by.";
    DigestMismatch = "digest-mismatch", "The signed payload is about another digest.", "Sign this digest; a copied signature counts for nothing.";
    DsseSignatureCount = "dsse-signature-count", "The envelope has no signature, or more than may stand together.", "Attach one envelope for each signature.";
    EnvelopeInvalid = "envelope-invalid", "Not a signature envelope of its form, or over its limits.", "Sign again with a current tool.";
    EvidenceIncomplete = "evidence-incomplete", "A piece of evidence that is listed could not be fetched whole.", "Copy the image with its referrers (`oras cp -r`, `regctl image copy --referrers --digest-tags`), or sign again.";
    EvidenceTooLarge = "evidence-too-large", "One piece of evidence is larger than the gate reads.", "Attach a smaller document.";
    IdentityAmbiguous = "identity-ambiguous", "The certificate has none or several subject alternative names.", "Sign with a certificate that names one identity.";
    IdentityMalformed = "identity-malformed", "The identity is too long or has characters that cannot be shown safely.", "Sign with another identity.";
    InclusionProofInvalid = "inclusion-proof-invalid", "The proof does not lead from the entry to the checkpoint.", "Sign again.";
    InclusionProofMissing = "inclusion-proof-missing", "The format demands a proof that the entry is in the log, and it has none.", "Sign again with a current tool.";
    IssuerConflict = "issuer-conflict", "The certificate's two issuer extensions disagree.", "Sign again.";
    KeyUnsupported = "key-unsupported", "A key type, size or hash that is not accepted.", "Use ECDSA P-256, P-384, P-521, Ed25519, or RSA 2048 to 4096.";
    LogEntryKind = "log-entry-kind", "A kind of log entry that is not read, or another kind than the bundle says.", "Sign again with a current tool.";
    LogEntryMismatch = "log-entry-mismatch", "The log entry is about another artifact, signature or key.", "Sign again; do not copy log entries.";
    LogEntryMissing = "log-entry-missing", "The authority demands a transparency log entry, and there is none.", "Sign with the log, or set transparency = \"optional\" for the key.";
    LogUnknown = "log-unknown", "The entry is of a log that the trust table does not hold for that time.", "Check the trust table.";
    NoTrustedTime = "no-trusted-time", "No trusted clock says when the certificate signed.", "Sign with a transparency log or a timestamp authority.";
    NotASignature = "not-a-signature", "An attestation, where the requirement asks for a signature.", "Sign the image too: `cosign sign IMAGE@DIGEST`.";
    PayloadInvalid = "payload-invalid", "The signed payload is not the document that its type says.", "Sign again with a current tool.";
    PayloadType = "payload-type", "The envelope's payload type is not in-toto's.", "Attest with a tool that writes in-toto statements.";
    PredicateInvalid = "predicate-invalid", "The predicate is neither an object nor absent.", "Attest with a predicate document.";
    PredicateType = "predicate-type", "An attestation of another predicate type than the requirement names.", "Attest with the predicate type that the policy names.";
    ProvenanceBuilder = "provenance-builder", "The provenance was signed by another than the builder that the requirement names.", "Build with that builder, or name the one that signs; a builder that a predicate merely names counts for nothing.";
    ProvenanceConflict = "provenance-conflict", "The predicate names another source, ref or commit than the certificate of its signer.", "Attest in the workflow that built it.";
    ProvenanceLevel = "provenance-level", "The identity that signed proves a lower SLSA build level.", "Build on a hosted platform (2), with a workflow outside of the source repository (3), or ask for a lower level.";
    ProvenanceRef = "provenance-ref", "The provenance is about another ref, or names none.", "Build from the ref that the requirement names.";
    ProvenanceSource = "provenance-source", "The provenance is about another source repository, or names none.", "Build from the repository that the requirement names.";
    ReferrersIncomplete = "referrers-incomplete", "The registry's list of referrers did not end within the limits.", "Remove referrers that are no longer needed.";
    RevocationUnknown = "revocation-unknown", "A certificate of the chain can be revoked, and no current list of the trust table says whether it is.", "Put a current CRL of its issuer into `crls`, or say revocation = \"none\" in the authority.";
    SctInvalid = "sct-invalid", "The certificate's timestamp is not one of a certificate log of the trust table.", "Check the trust table.";
    SctMissing = "sct-missing", "The certificate has no signed certificate timestamp.", "Use an instance with a certificate log, or say sct = \"none\" in its trust table.";
    SetInvalid = "set-invalid", "The log's signed entry timestamp does not verify.", "Sign again.";
    SignatureExpired = "signature-expired", "The signature, or what vouches for it, had an end, which has passed.", "Sign again.";
    SignatureInvalid = "signature-invalid", "The signature is not one of these bytes.", "Sign again.";
    StatementInvalid = "statement-invalid", "Not an in-toto statement, or over its limits.", "Attest with a current tool.";
    SubjectMismatch = "subject-mismatch", "The statement, or the referrer, is about another digest.", "Attest this digest.";
    TimeInFuture = "time-in-future", "The proven signing time lies in the future.", "Set the gate's clock.";
    TimeOutsideCertificate = "time-outside-certificate", "The certificate was not valid when it signed.", "Sign again, within the certificate's life.";
    TimestampInvalid = "timestamp-invalid", "A timestamp is not an RFC 3161 token that can be verified.", "Sign again.";
    TimestampMismatch = "timestamp-mismatch", "A timestamp is about other bytes than the signature.", "Sign again; a timestamp is over the signature, not over the signed bytes.";
    TimestampUntrusted = "timestamp-untrusted", "A timestamp is by an authority that the trust table does not hold for that time.", "Check the trust table.";
    TrustStale = "trust-stale", "The trust root is older than its max_age allows.", "Refresh the trust root.";
    UnknownAuthority = "unknown-authority", "Signed by a key or identity that the requirement does not name.", "Sign with a named authority, or add the signer to the policy; `pullgate verify` says who signed and who was nearly right.";
    Unsupported = "unsupported", "Evidence of a kind that this release does not verify; it counts for nothing.", "Sign with cosign, by key or keyless, or with Notation without a plugin that verifies.";
    WhereError = "where-error", "The expression has no value for this attestation: a field is absent, or of another type.", "Write has(…) around a field that may be absent; compare values of one type.";
    WhereFalse = "where-false", "The expression is false for this attestation.", "Attest what the policy asks for, or change the expression.";
    WhereNotBool = "where-not-bool", "The expression's value is neither true nor false.", "Compare something.";
    WhereTooLarge = "where-too-large", "The statement is larger than an expression is asked about.", "Attest with a smaller predicate, or ask for its type alone.";

    // Why nothing could be decided.
    AuditUnwritable = "audit-unwritable", "The audit log cannot be written, and audit.on_failure is \"refuse\".", "Free the disk or mend the log's folder.";
    ClockImplausible = "clock-implausible", "The host's clock is before the release of this program.", "Set the clock.";
    Deadline = "deadline", "No verdict within the time a client waits; the work goes on.", "Try again.";
    EvidenceUnavailable = "evidence-unavailable", "The registry could not be asked for evidence.", "Look at the upstream; try again.";
    Internal = "internal", "A fault in the gate.", "Report it with the decision id.";
    IssuerUnreachable = "issuer-unreachable", "The client's token cannot be checked: its issuer does not give its keys.", "Look at the network between the gate and the issuer, or name a file with its keys: `jwks`.";
    Overload = "overload", "More verdicts, or questions to one upstream, are in work than the gate allows.", "Try again.";
    RealmRefused = "realm-refused", "The upstream sends to a token service that the configuration does not list.", "Add its host to token_hosts if it is right.";
    RedirectRefused = "redirect-refused", "The upstream redirects to where the gate does not go.", "Add the host to redirect_hosts if it is right.";
    Storage = "storage", "The gate's own store failed.", "Look at the disk.";
    UpstreamEncoding = "upstream-encoding", "The upstream compressed the content, against the request.", "Look at the upstream or the proxy before it.";
    UpstreamIntegrity = "upstream-integrity", "The upstream's content does not hash to its digest, or is not whole.", "Look at the upstream; nothing was kept.";
    UpstreamNotShown = "upstream-not-shown", "The content needs credentials, which the gate does not have; or it does not exist.", "Check the name; for a private one give the upstream's table `credentials`.";
    UpstreamProtocol = "upstream-protocol", "The upstream's answer is not that of a registry.", "Look at the upstream or the proxy before it.";
    UpstreamStatus = "upstream-status", "The upstream answered with an error of its own.", "Look at the upstream; try again.";
    UpstreamTimeout = "upstream-timeout", "The upstream did not answer in time.", "Look at the upstream; try again.";
    UpstreamTls = "upstream-tls", "The upstream's TLS certificate or protocol is not acceptable.", "Check its certificate and the ca of its table.";
    UpstreamUnauthorized = "upstream-unauthorized", "The upstream refused the gate's credentials.", "Check the credentials of its table.";
    UpstreamUnreachable = "upstream-unreachable", "No connection to the upstream.", "Look at the network; try again.";
}

impl Code {
    /// Finds a code by its text.
    #[must_use]
    pub fn find(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == text)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl serde::Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for Code {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
        Self::find(&text).ok_or_else(|| serde::de::Error::custom("unknown code"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_kebab_case_and_each_is_one() {
        let mut seen = std::collections::BTreeSet::new();
        for code in Code::ALL {
            assert!(code.as_str().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{code}");
            assert!(seen.insert(code.as_str()), "{code}");
            assert_eq!(Code::find(code.as_str()), Some(*code));
        }
    }
}
