//! Signatures of the Notary Project's (Notation), in both envelopes, by certificate authorities of the test's own. They are
//! written by hand, so that each part can be another.
//!
//! The tests of `pullgate-verify` include this file by its path: they cannot depend on this package.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use serde_json::{Map, Value, json};

/// The artifact type of a manifest that carries one, or its config's type.
pub const NOTARY: &str = "application/vnd.cncf.notary.signature";
/// The layer's type of one envelope.
pub const JWS: &str = "application/jose+json";
/// The layer's type of the other.
pub const COSE: &str = "application/cose";
/// The type of what is signed.
pub const PAYLOAD: &str = "application/vnd.cncf.notary.payload.v1+json";
/// The subject of every signer here, as a policy asks for it.
pub const SUBJECT: &str = "C=DE, ST=Berlin, O=Granary, CN=signer";
/// When everything here is signed: its certificates hold from 2026 to 2036.
pub const SIGNED: &str = "2026-11-20T12:00:00Z";

const SCHEME: &str = "io.cncf.notary.signingScheme";
const SIGNING_TIME: &str = "io.cncf.notary.signingTime";

/// A certificate authority: its root.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    root: Vec<u8>,
}

/// Who signs: a chain, the leaf first, and the leaf's key.
pub struct Signer {
    /// In DER.
    pub certificates: Vec<Vec<u8>>,
    key: KeyPair,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").finish_non_exhaustive()
    }
}

impl Authority {
    /// One whose root has this common name.
    ///
    /// # Panics
    /// Never, as far as the library that makes certificates keeps its word.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let key = p256();
        let mut params = params(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let root = params.self_signed(&key).unwrap().der().to_vec();
        Self { issuer: Issuer::new(params, key), root }
    }

    /// Its root, in DER.
    #[must_use]
    pub fn root(&self) -> &[u8] {
        &self.root
    }

    /// The same in PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        pem("CERTIFICATE", &self.root)
    }

    /// Who signs the certificates.
    #[must_use]
    pub fn issuer(&self) -> &Issuer<'static, KeyPair> {
        &self.issuer
    }

    /// A signer called [`SUBJECT`].
    #[must_use]
    pub fn signer(&self) -> Signer {
        self.signer_with(|_| {})
    }

    /// The same with another certificate.
    ///
    /// # Panics
    /// As above.
    #[must_use]
    pub fn signer_with(&self, change: impl FnOnce(&mut CertificateParams)) -> Signer {
        self.signer_below(&self.issuer, &[], change)
    }

    /// The same with a certificate of another issuer, which these certificates lead to this authority's root.
    ///
    /// # Panics
    /// As above.
    #[must_use]
    pub fn signer_below(
        &self,
        issuer: &Issuer<'static, KeyPair>,
        between: &[Vec<u8>],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Signer {
        let key = p256();
        let mut params = params("signer");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        params.use_authority_key_identifier_extension = true;
        change(&mut params);
        let leaf = params.signed_by(&key, issuer).unwrap().der().to_vec();
        Signer { certificates: [&[leaf], between, std::slice::from_ref(&self.root)].concat(), key }
    }
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    for (kind, value) in [
        (DnType::CountryName, "DE"),
        (DnType::StateOrProvinceName, "Berlin"),
        (DnType::OrganizationName, "Granary"),
        (DnType::CommonName, name),
    ] {
        params.distinguished_name.push(kind, value);
    }
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2036, 1, 1);
    params
}

fn p256() -> KeyPair {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap()
}

/// A block of PEM.
#[must_use]
pub fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

impl Signer {
    /// A signer by these certificates with another's key.
    #[must_use]
    pub fn under(self, certificates: Vec<Vec<u8>>) -> Self {
        Self { certificates, ..self }
    }

    /// Its key, in PEM.
    #[must_use]
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// Its signature of `message`, as two numbers.
    ///
    /// # Panics
    /// As above.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &self.key.serialize_der());
        key.unwrap().sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
    }

    /// An envelope in JWS about a manifest.
    #[must_use]
    pub fn jws(&self, manifest: &[u8], media_type: &str) -> Vec<u8> {
        self.jws_of(&protected(), &payload(manifest, media_type)).to_string().into_bytes()
    }

    /// The same of any header and payload.
    #[must_use]
    pub fn jws_of(&self, protected: &Value, payload: &Value) -> Value {
        self.jws_over(&protected.to_string(), &payload.to_string())
    }

    /// The same of texts.
    #[must_use]
    pub fn jws_over(&self, protected: &str, payload: &str) -> Value {
        let (protected, payload) = (URL_SAFE_NO_PAD.encode(protected), URL_SAFE_NO_PAD.encode(payload));
        let signature = self.sign(format!("{protected}.{payload}").as_bytes());
        let chain: Vec<_> = self.certificates.iter().map(|der| STANDARD.encode(der)).collect();
        json!({
            "payload": payload, "protected": protected, "header": { "x5c": chain },
            "signature": URL_SAFE_NO_PAD.encode(signature),
        })
    }

    /// An envelope in COSE about a manifest.
    #[must_use]
    pub fn cose(&self, manifest: &[u8], media_type: &str) -> Vec<u8> {
        self.cose_of(&labels(), payload(manifest, media_type).to_string().as_bytes())
    }

    /// The same of any protected header and payload.
    #[must_use]
    pub fn cose_of(&self, protected: &[(Vec<u8>, Vec<u8>)], payload: &[u8]) -> Vec<u8> {
        self.cose_with(protected, payload, &[])
    }

    /// The same with more unprotected headers.
    #[must_use]
    pub fn cose_with(
        &self,
        protected: &[(Vec<u8>, Vec<u8>)],
        payload: &[u8],
        unprotected: &[(Vec<u8>, Vec<u8>)],
    ) -> Vec<u8> {
        let protected = cbor::bytes(&cbor::map(protected));
        let message = [cbor::text("Signature1"), protected.clone(), cbor::bytes(&[]), cbor::bytes(payload)];
        let signature = self.sign(&cbor::array(&message));
        let chain: Vec<_> = self.certificates.iter().map(|der| cbor::bytes(der)).collect();
        let unprotected = [&[(cbor::int(33), cbor::array(&chain))], unprotected].concat();
        let parts = [protected, cbor::map(&unprotected), cbor::bytes(payload), cbor::bytes(&signature)];
        cbor::tag(18, &cbor::array(&parts))
    }
}

/// What is signed of a manifest.
#[must_use]
pub fn payload(manifest: &[u8], media_type: &str) -> Value {
    let digest = format!("sha256:{}", hex::encode(digest(&SHA256, manifest)));
    json!({ "targetArtifact": { "mediaType": media_type, "digest": digest, "size": manifest.len() } })
}

/// The protected header of a JWS.
#[must_use]
pub fn protected() -> Value {
    json!({ "alg": "ES256", "cty": PAYLOAD, "crit": [SCHEME], SCHEME: "notary.x509", SIGNING_TIME: SIGNED })
}

/// The same with other members; one that is null is left out.
///
/// # Panics
/// Where `more` is no object.
#[must_use]
pub fn protected_with(more: &Value) -> Value {
    let mut all: Map<String, Value> = protected().as_object().unwrap().clone();
    all.extend(more.as_object().unwrap().clone());
    all.retain(|_, value| !value.is_null());
    Value::Object(all)
}

/// The protected header of a COSE_Sign1, encoded.
#[must_use]
pub fn labels() -> Vec<(Vec<u8>, Vec<u8>)> {
    let seconds = SIGNED.parse::<jiff::Timestamp>().unwrap().as_second();
    vec![
        (cbor::int(1), cbor::int(-7)),
        (cbor::int(2), cbor::array(&[cbor::text(SCHEME)])),
        (cbor::int(3), cbor::text(PAYLOAD)),
        (cbor::text(SCHEME), cbor::text("notary.x509")),
        (cbor::text(SIGNING_TIME), cbor::tag(1, &cbor::int(seconds))),
    ]
}

/// Values in CBOR, in their shortest form.
pub mod cbor {
    fn head(major: u8, number: u64) -> Vec<u8> {
        let first = major << 5;
        let bytes = number.to_be_bytes();
        match number {
            0..=23 => vec![first | bytes[7]],
            24..=0xff => vec![first | 24, bytes[7]],
            0x100..=0xffff => [&[first | 25], &bytes[6..]].concat(),
            0x1_0000..=0xffff_ffff => [&[first | 26], &bytes[4..]].concat(),
            _ => [&[first | 27], &bytes[..]].concat(),
        }
    }

    /// A whole number.
    #[must_use]
    pub fn int(number: i64) -> Vec<u8> {
        match number {
            0.. => head(0, number.unsigned_abs()),
            _ => head(1, (-1 - number).unsigned_abs()),
        }
    }

    /// A byte string.
    #[must_use]
    pub fn bytes(bytes: &[u8]) -> Vec<u8> {
        [head(2, bytes.len() as u64), bytes.to_vec()].concat()
    }

    /// A text.
    #[must_use]
    pub fn text(text: &str) -> Vec<u8> {
        [head(3, text.len() as u64), text.as_bytes().to_vec()].concat()
    }

    /// A list.
    #[must_use]
    pub fn array(values: &[Vec<u8>]) -> Vec<u8> {
        [head(4, values.len() as u64), values.concat()].concat()
    }

    /// A map.
    #[must_use]
    pub fn map(members: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
        let members: Vec<_> = members.iter().map(|(label, value)| [&label[..], value].concat()).collect();
        [head(5, members.len() as u64), members.concat()].concat()
    }

    /// A value under a tag.
    #[must_use]
    pub fn tag(number: u64, value: &[u8]) -> Vec<u8> {
        [head(6, number), value.to_vec()].concat()
    }
}
