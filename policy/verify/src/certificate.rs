//! Who a code-signing certificate names: exactly one name, one issuer, and Fulcio's claims (Fulcio, `oid-info.md`).

use std::collections::BTreeMap;

use pullgate_policy::code::Code;
use pullgate_policy::identity::{Identity, Name, SanKind};
use pullgate_policy::limits;
use pullgate_policy::text;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::der::asn1::{ObjectIdentifier, Utf8StringRef};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use crate::fault::PieceFault;
use crate::key::{KeyFault, PublicKey};

pub(crate) mod holder;
pub(crate) mod names;
pub(crate) mod profile;

const SAN: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
const ISSUER_V1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.1");
const ISSUER_V2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.8");
/// The type of an `otherName` that holds a user name.
const USER_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.7");

/// How Fulcio writes a claim.
#[derive(Clone, Copy)]
enum Form {
    /// The bytes of the extension are the text; the first five claims.
    Bare,
    /// A DER UTF8String.
    Der,
}

const fn fulcio(oid: &'static str) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(oid)
}

const CLAIMS: [(ObjectIdentifier, &str, Form); 21] = [
    (fulcio("1.3.6.1.4.1.57264.1.2"), "github_workflow_trigger", Form::Bare),
    (fulcio("1.3.6.1.4.1.57264.1.3"), "github_workflow_sha", Form::Bare),
    (fulcio("1.3.6.1.4.1.57264.1.4"), "github_workflow_name", Form::Bare),
    (fulcio("1.3.6.1.4.1.57264.1.5"), "github_workflow_repository", Form::Bare),
    (fulcio("1.3.6.1.4.1.57264.1.6"), "github_workflow_ref", Form::Bare),
    (fulcio("1.3.6.1.4.1.57264.1.9"), "build_signer_uri", Form::Der),
    (fulcio("1.3.6.1.4.1.57264.1.10"), "build_signer_digest", Form::Der),
    (fulcio("1.3.6.1.4.1.57264.1.11"), "runner_environment", Form::Der),
    (fulcio("1.3.6.1.4.1.57264.1.12"), "source_repository_uri", Form::Der),
    (fulcio("1.3.6.1.4.1.57264.1.13"), "source_repository_digest", Form::Der),
    (fulcio("1.3.6.1.4.1.57264.1.14"), "source_repository_ref", Form::Der),
    (fulcio("1.3.6.1.4.1.57264.1.15"), "source_repository_identifier", Form::Der),
    (fulcio("1.3.6.1.4.1.57264.1.16"), "source_repository_owner_uri", Form::Der),
    (fulcio("1.3.6.1.4.1.57264.1.17"), "source_repository_owner_identifier", Form::Der),
    (fulcio("1.3.6.1.4.1.57264.1.18"), "build_config_uri", Form::Der),
    (fulcio("1.3.6.1.4.1.57264.1.19"), "build_config_digest", Form::Der),
    (fulcio("1.3.6.1.4.1.57264.1.20"), "build_trigger", Form::Der),
    (fulcio("1.3.6.1.4.1.57264.1.21"), "run_invocation_uri", Form::Der),
    (fulcio("1.3.6.1.4.1.57264.1.22"), "source_repository_visibility_at_signing", Form::Der),
    (fulcio("1.3.6.1.4.1.57264.1.23"), "deployment_environment", Form::Der),
    (fulcio("1.3.6.1.4.1.57264.1.24"), "token_subject", Form::Der),
];

/// Tells whether a certificate names itself as its issuer, as a root does. An unreadable one is not.
pub(crate) fn is_self_issued(der: &[u8]) -> bool {
    Certificate::from_der(der)
        .is_ok_and(|certificate| certificate.tbs_certificate.subject == certificate.tbs_certificate.issuer)
}

/// Whom the leaf names. The certificate itself must have been verified under `trust`.
pub(crate) fn identity(leaf: &[u8], trust: &Name) -> Result<Identity, PieceFault> {
    let certificate = Certificate::from_der(leaf)
        .map_err(|_| PieceFault::new(Code::CertificateInvalid, "the certificate cannot be read"))?;
    let extensions = certificate.tbs_certificate.extensions.as_deref().unwrap_or_default();
    let (kind, san) = name(extensions)?;
    let issuer = issuer(extensions)?;
    if [&san, &issuer].into_iter().any(|name| is_malformed(name)) {
        return Err(Code::IdentityMalformed.into());
    }
    let mut claims = BTreeMap::new();
    for (oid, name, form) in CLAIMS {
        if let Some(extension) = single(extensions, oid)? {
            claims.insert(name.to_owned(), read(extension, form)?);
        }
    }
    Ok(Identity { trust: trust.clone(), issuer, kind, san, claims, held: None })
}

/// The key in a certificate. One that is not of an accepted kind is refused by name, before the verifier sees it (A251).
pub(crate) fn key(leaf: &[u8]) -> Result<PublicKey, PieceFault> {
    let certificate = Certificate::from_der(leaf)
        .map_err(|_| PieceFault::new(Code::CertificateInvalid, "the certificate cannot be read"))?;
    match PublicKey::from_spki(&certificate.tbs_certificate.subject_public_key_info) {
        Ok(key) if key.may_be_certified() => Ok(key),
        Ok(_) => Err(PieceFault::new(Code::KeyUnsupported, "an ECDSA P-521 key in a certificate")),
        Err(KeyFault::Unsupported(detail)) => Err(PieceFault::new(Code::KeyUnsupported, detail)),
        Err(_) => Err(PieceFault::new(Code::CertificateInvalid, "the certificate holds no key")),
    }
}

/// Control and bidirectional characters could make one identity look like another (A238).
fn is_malformed(name: &str) -> bool {
    name.is_empty() || name.len() > limits::IDENTITY_BYTES || name.chars().any(text::is_unsafe)
}

/// The one extension with this id; a second one is refused, since two readers could choose differently.
fn single(extensions: &[Extension], oid: ObjectIdentifier) -> Result<Option<&Extension>, PieceFault> {
    let mut found = extensions.iter().filter(|extension| extension.extn_id == oid);
    match (found.next(), found.next()) {
        (first, None) => Ok(first),
        (_, Some(_)) => Err(PieceFault::new(Code::CertificateInvalid, "an extension stands twice")),
    }
}

fn read(extension: &Extension, form: Form) -> Result<String, PieceFault> {
    let bytes = extension.extn_value.as_bytes();
    let text = match form {
        Form::Bare => std::str::from_utf8(bytes).ok().map(str::to_owned),
        Form::Der => Utf8StringRef::from_der(bytes).ok().map(|text| text.as_str().to_owned()),
    };
    text.ok_or_else(|| PieceFault::new(Code::CertificateInvalid, "an extension cannot be read"))
}

/// The one subject alternative name, with its kind (A239). The subject's common name never counts.
fn name(extensions: &[Extension]) -> Result<(SanKind, String), PieceFault> {
    let extension = single(extensions, SAN)?.ok_or(Code::IdentityAmbiguous)?;
    let names = SubjectAltName::from_der(extension.extn_value.as_bytes()).map_err(|_| {
        PieceFault::new(Code::CertificateInvalid, "the subject alternative name cannot be read")
    })?;
    match names.0.as_slice() {
        [GeneralName::Rfc822Name(name)] => Ok((SanKind::Email, name.to_string())),
        [GeneralName::UniformResourceIdentifier(name)] => Ok((SanKind::Uri, name.to_string())),
        [GeneralName::OtherName(other)] if other.type_id == USER_NAME => {
            let name = other.value.decode_as::<Utf8StringRef<'_>>();
            let name =
                name.map_err(|_| PieceFault::new(Code::CertificateInvalid, "the user name cannot be read"))?;
            Ok((SanKind::OtherName, name.as_str().to_owned()))
        }
        [_] => Err(PieceFault::new(Code::IdentityAmbiguous, "a name of a kind that is no identity")),
        names => Err(PieceFault::new(Code::IdentityAmbiguous, format!("{} names", names.len()))),
    }
}

/// The issuer: the current extension, or the older one; where both stand they must agree (A241).
fn issuer(extensions: &[Extension]) -> Result<String, PieceFault> {
    let v1 = single(extensions, ISSUER_V1)?.map(|extension| read(extension, Form::Bare)).transpose()?;
    let v2 = single(extensions, ISSUER_V2)?.map(|extension| read(extension, Form::Der)).transpose()?;
    match (v1, v2) {
        (Some(v1), Some(v2)) if v1 != v2 => Err(Code::IssuerConflict.into()),
        (_, Some(issuer)) | (Some(issuer), None) => Ok(issuer),
        (None, None) => Err(PieceFault::new(Code::CertificateInvalid, "the certificate names no issuer")),
    }
}
