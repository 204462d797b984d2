//! The policy file.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

/// Whom to trust, and which repositories ask for what.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its shape counts")]
pub(crate) struct PolicyFile {
    /// What happens to a repository that no scope matches. Default: "deny".
    unmatched: Option<Unmatched>,
    /// Trust tables; "sigstore" and "github" are built in.
    trust: Option<BTreeMap<String, Trust>>,
    /// Whom requirements may name.
    authority: Option<BTreeMap<String, Authority>>,
    policy: Option<Vec<Policy>>,
    block: Option<Vec<Block>>,
    exempt: Option<Vec<Exempt>>,
}

/// What happens to a repository that no scope matches.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unmatched {
    Deny,
    Permit,
    Warn,
}

/// Certificate authorities, logs and timestamp authorities that are believed together.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its shape counts")]
pub(crate) struct Trust {
    /// A trusted_root.json, pinned: it is not refreshed and does not expire.
    trusted_root: Option<String>,
    /// In place of a trusted root: certificate authorities in PEM.
    fulcio_ca: Option<Files>,
    /// In place of a trusted root: public keys of transparency logs (Rekor v1).
    rekor_keys: Option<Files>,
    /// In place of a trusted root: public keys of certificate logs.
    ct_keys: Option<Files>,
    /// In place of a trusted root: chains of timestamp authorities in PEM, the root last.
    tsa_chain: Option<Files>,
    /// In place of a trusted root: stores of X.509 certificates, for signatures of the Notary Project's.
    x509: Option<Stores>,
    /// The TUF repository that the trusted root is refreshed from.
    tuf: Option<Tuf>,
    /// How long the table counts after its TUF metadata has expired. Default: "7d"; for "sigstore" and "github" for ever.
    #[schemars(extend("pattern" = "^[0-9]+[smhd]$"))]
    max_age: Option<String>,
    /// Whether a certificate must carry a signed certificate timestamp. Default: "required".
    sct: Option<Sct>,
}

/// Stores of X.509 certificates, PEM or DER: `ca` or `signing_authority` at least.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its shape counts")]
pub(crate) struct Stores {
    /// Vouch for signers (scheme `notary.x509`).
    #[schemars(length(min = 1))]
    ca: Option<Vec<String>>,
    /// Vouch for signing authorities, which tell the time too (scheme `notary.x509.signingAuthority`).
    #[schemars(length(min = 1))]
    signing_authority: Option<Vec<String>>,
    /// Roots of timestamp authorities.
    #[schemars(length(min = 1))]
    tsa: Option<Vec<String>>,
    /// Lists of revocations.
    #[schemars(length(min = 1))]
    crls: Option<Vec<String>>,
}

/// One file, or several.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its shape counts")]
pub(crate) enum Files {
    One(String),
    Several(Vec<String>),
}

/// A TUF repository.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its shape counts")]
pub(crate) struct Tuf {
    /// https:// or http://, a host, perhaps a port and a path; or file:/// and a folder.
    url: String,
    /// The root.json that every later root follows from; "sigstore" and "github" have one built in.
    root: Option<String>,
    /// Which file of the repository it is. Default: "trusted_root.json".
    target: Option<String>,
}

/// Whether a certificate must carry a signed certificate timestamp.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Sct {
    None,
    Required,
}

/// One key, one kind of identity, or one holder of a certificate: `key`; or `issuer` with `identity` or `identity_regex`; or
/// `ca` with a name; or `subjects` (or `any_subject`) for signatures of the Notary Project's.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its shape counts")]
pub(crate) struct Authority {
    /// A file with one public key, PEM or DER.
    key: Option<String>,
    /// A file with certificate authorities in PEM, to which the signer's certificate must lead.
    ca: Option<String>,
    /// The e-mail address that the certificate must have, byte for byte.
    email: Option<String>,
    /// The DNS name that the certificate must have, byte for byte.
    dns: Option<String>,
    /// The URI that the certificate must have, byte for byte.
    uri: Option<String>,
    /// The certificate's whole subject (RFC 4514), such as "CN=ci,O=Corp".
    subject: Option<String>,
    /// Of the Notary Project's: subjects of which the certificate must have one, each by some of its attributes (RFC 4514),
    /// C, ST and O at least.
    #[schemars(length(min = 1))]
    subjects: Option<Vec<String>>,
    /// In place of `subjects`: whoever the stores of the trust table vouch for.
    any_subject: Option<bool>,
    /// With `subjects`: when a timestamp is asked for. Default: "always" where the trust table has `tsa`, else "none".
    timestamp: Option<Timestamp>,
    /// With `subjects`: whether revocation is looked at. Default: "required".
    revocation: Option<Revocation>,
    /// Who vouches for the identity, byte for byte.
    issuer: Option<String>,
    /// The same as a regular expression over the whole issuer.
    issuer_regex: Option<String>,
    /// The subject alternative name of the certificate, byte for byte.
    identity: Option<String>,
    /// The same as a regular expression over the whole name.
    identity_regex: Option<String>,
    /// Extensions of the certificate that must be equal.
    claims: Option<BTreeMap<String, String>>,
    /// Whether an entry in a log is demanded: "required" (default), "optional" with a key, "none" with a certificate.
    transparency: Option<Transparency>,
    /// The trust table. Default: "sigstore".
    trust: Option<String>,
    /// What it counts for. Default: both.
    r#use: Option<Vec<Use>>,
}

/// When a timestamp is asked for.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Timestamp {
    AfterExpiry,
    Always,
    None,
}

/// Whether revocation is looked at.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Revocation {
    None,
    Required,
}

/// Whether an entry in a log is demanded.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Transparency {
    None,
    Optional,
    Required,
}

/// What an authority counts for.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Use {
    Attestation,
    Signature,
}

/// Repositories and their requirements.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its shape counts")]
pub(crate) struct Policy {
    /// Shown to people and in every record.
    name: String,
    /// Globs over registry/repository; the most specific scope wins.
    #[schemars(length(min = 1))]
    scope: Vec<String>,
    /// Default: "enforce".
    mode: Option<Mode>,
    /// Default: "deny".
    on_undecided: Option<OnUndecided>,
    /// Whether a layer may name URLs, from which a client fetches it past the gate. Default: "deny".
    foreign_layers: Option<ForeignLayers>,
    /// Which evidence leaves without a verdict of its own: that in which something by an authority of the policy was
    /// verified, or whatever is nothing but evidence. Default: "verified".
    evidence: Option<EvidencePasses>,
    /// By what an index is judged: by its own evidence, which carries its children, or each child by its own.
    /// Default: "itself".
    index: Option<IndexRule>,
    /// Requirements, of which every one must hold.
    #[schemars(length(min = 1))]
    require: Option<Vec<Require>>,
    /// In place of requirements: nothing is served.
    #[schemars(extend("const" = true))]
    deny: Option<bool>,
    /// Why everything is denied.
    reason: Option<String>,
    /// In place of requirements: nothing is checked.
    #[schemars(extend("const" = true))]
    insecure_permit_anything: Option<bool>,
}

/// Which evidence leaves without a verdict of its own.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum EvidencePasses {
    /// That in which something by an authority of the policy was verified.
    Verified,
    /// Whatever is nothing but evidence.
    WellFormed,
}

/// By what an index is judged.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum IndexRule {
    /// By its own evidence.
    Itself,
    /// Each child by its own.
    EachChild,
}

/// Whether a denial denies.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mode {
    Enforce,
    Warn,
}

/// Whether layers may name URLs.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ForeignLayers {
    Deny,
    Permit,
}

/// What is done when the upstream cannot be asked.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its shape counts")]
pub(crate) enum OnUndecided {
    Word(OnUndecidedWord),
    LastPermit(LastPermit),
}

/// What is done when the upstream cannot be asked, in a word.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnUndecidedWord {
    Deny,
    InsecurePermit,
}

/// Serve what had a permit, decided anew from evidence of at most this age.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its shape counts")]
pub(crate) struct LastPermit {
    #[schemars(extend("pattern" = "^[0-9]+[smhd]$"))]
    last_permit: String,
}

/// One predicate type, or several.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its shape counts")]
pub(crate) enum Types {
    One(Type),
    Several(Vec<Type>),
}

/// A short name, a URI, or any text in a table of its own.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its shape counts")]
pub(crate) enum Type {
    Named(String),
    Exact(ExactType),
}

/// A predicate type that is no URI, byte for byte.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its shape counts")]
pub(crate) struct ExactType {
    r#type: String,
}

/// One condition: a signature, or with `attestation` an attestation.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its shape counts")]
pub(crate) struct Require {
    /// In place of everything else: requirements of which one will do.
    #[schemars(length(min = 1))]
    any: Option<Vec<Self>>,
    /// Compulsory but beside `any`.
    signed_by: Option<SignedBy>,
    /// "slsa-provenance", "spdx", "cyclonedx", "openvex", "vsa", "test-result", "vuln", or a predicate type URI; or a list
    /// of which any will do.
    attestation: Option<Types>,
    /// What the signed payload must say besides.
    annotations: Option<BTreeMap<String, String>>,
    /// The repository that the signed payload names must be the one that is judged.
    claimed_reference: Option<bool>,
    /// How long ago, at most, a trusted clock saw the signing.
    #[schemars(extend("pattern" = "^[0-9]+[smhd]$"))]
    max_age: Option<String>,
    /// How long ago, at least, a trusted clock saw the signing.
    #[schemars(extend("pattern" = "^[0-9]+[smhd]$"))]
    min_age: Option<String>,
    /// Each attestation of the type by these authorities must meet `where` and `slsa`, not one of them.
    every: Option<bool>,
    /// An expression (CEL) over `predicate`, `statement`, `provenance`, `identity` and `image`.
    #[serde(rename = "where")]
    condition: Option<String>,
    slsa: Option<Slsa>,
}

/// What must be true of an attestation as provenance; one key at least.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its shape counts")]
pub(crate) struct Slsa {
    /// The SLSA build level, at least, as the identity of the signer proves it.
    #[schemars(range(min = 1, max = 3))]
    level: Option<u8>,
    /// The source repository, such as "github.com/myorg/myrepo".
    source: Option<String>,
    /// The ref, compared whole, such as "refs/heads/main".
    #[serde(rename = "ref")]
    reference: Option<String>,
    /// Who signed: "github", "gitlab", "slsa-github-generator", or an identity.
    builder: Option<String>,
}

/// Authorities, of which `threshold` must be met, each by another key or identity.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its shape counts")]
pub(crate) struct SignedBy {
    #[schemars(length(min = 1))]
    any_of: Vec<String>,
    /// Default: 1.
    #[schemars(range(min = 1))]
    threshold: Option<usize>,
}

/// A digest that is never served.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its shape counts")]
pub(crate) struct Block {
    #[schemars(extend("pattern" = "^sha256:[0-9a-f]{64}$"))]
    digest: String,
    /// For the record and for people.
    reason: String,
}

/// A dated hole with an owner: `scope` or `digest`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its shape counts")]
pub(crate) struct Exempt {
    scope: Option<Vec<String>>,
    #[schemars(extend("pattern" = "^sha256:[0-9a-f]{64}$"))]
    digest: Option<String>,
    /// The end of that day in UTC, or a date-time with offset.
    #[schemars(with = "String")]
    until: toml::value::Datetime,
    /// Who answers for it.
    owner: String,
    /// For the record.
    reason: String,
}
