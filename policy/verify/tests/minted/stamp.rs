//! A timestamp authority of the test's own (RFC 3161), in bare DER.

use aws_lc_rs::digest::{Algorithm, SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, CustomExtension, IsCa, Issuer, KeyPair, SigningKey as _};
use serde_json::{Value, json};
use x509_cert::Certificate;
use x509_cert::der::{Decode as _, Encode as _};

use super::pki::key;

pub(crate) const SHA512_OID: &str = "0609608648016503040203";
const SHA256_OID: &str = "0609608648016503040201";
const ECDSA_SHA256_OID: &str = "06082a8648ce3d040302";
const RSA_SHA256_OID: &str = "06092a864886f70d01010b";
const SIGNED_DATA_OID: &str = "06092a864886f70d010702";
const TST_INFO_OID: &str = "060b2a864886f70d0109100104";
const CONTENT_TYPE_OID: &str = "06092a864886f70d010903";
const MESSAGE_DIGEST_OID: &str = "06092a864886f70d010904";
const SIGNING_CERTIFICATE_OID: &str = "060b2a864886f70d010910022f";
pub(crate) const TIME_STAMPING_OID: &str = "06082b06010505070308";
/// A policy that means nothing.
const POLICY_OID: &str = "06032a0304";

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OCTETS: u8 = 0x04;
const NUMBER: u8 = 0x02;
const TIME: u8 = 0x18;
/// The first field that is marked by its context.
const MARKED: u8 = 0xa0;

/// A root, and the clock that it certifies.
pub(crate) struct Authority {
    key: KeyPair,
    certificate: Vec<u8>,
    root: Vec<u8>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        Self::changed(|_| {}, |_| {})
    }

    /// The same by an RSA key.
    pub(crate) fn rsa() -> Self {
        Self::rsa_with(|_| {}, |_| {})
    }

    /// The same with another root, or another certificate.
    pub(crate) fn rsa_with(
        of_root: impl FnOnce(&mut CertificateParams),
        of_clock: impl FnOnce(&mut CertificateParams),
    ) -> Self {
        let (issuer, root) = root(of_root);
        Self::with_key(key(&rcgen::PKCS_RSA_SHA256), &issuer, root, of_clock)
    }

    /// The same with another root, or another certificate.
    pub(crate) fn changed(
        of_root: impl FnOnce(&mut CertificateParams),
        of_clock: impl FnOnce(&mut CertificateParams),
    ) -> Self {
        let (issuer, root) = root(of_root);
        Self::with_key(key(&rcgen::PKCS_ECDSA_P256_SHA256), &issuer, root, of_clock)
    }

    fn with_key(
        key: KeyPair,
        issuer: &Issuer<'static, KeyPair>,
        root: Vec<u8>,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, "test clock");
        params.custom_extensions.push(purposes(&[TIME_STAMPING_OID], true));
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2036, 1, 1);
        change(&mut params);
        let certificate = params.signed_by(&key, issuer).unwrap().der().to_vec();
        Self { key, certificate, root }
    }

    fn algorithm(&self) -> &'static str {
        if self.key.is_compatible(&rcgen::PKCS_RSA_SHA256) { RSA_SHA256_OID } else { ECDSA_SHA256_OID }
    }

    /// As a trusted root lists it.
    pub(crate) fn listed(&self) -> Value {
        json!({
            "subject": { "organization": "test", "commonName": "test clock" }, "uri": "https://clock.example",
            "certChain": { "certificates": [
                { "rawBytes": STANDARD.encode(&self.certificate) }, { "rawBytes": STANDARD.encode(&self.root) },
            ] },
            "validFor": { "start": "2026-01-01T00:00:00Z" },
        })
    }

    /// What it says of a signature at this time, `YYYYMMDDhhmmssZ`, in base64.
    pub(crate) fn token(&self, signature: &[u8], time: &str) -> String {
        self.token_of(signature, &Form { time, ..Form::default() })
    }

    /// The same in another form.
    pub(crate) fn token_of(&self, signature: &[u8], form: &Form<'_>) -> String {
        let granted = der(SEQUENCE, &[der(NUMBER, &[vec![0]])]);
        STANDARD.encode(der(SEQUENCE, &[granted, self.bare(signature, form)]))
    }

    /// The token alone.
    pub(crate) fn bare(&self, signature: &[u8], form: &Form<'_>) -> Vec<u8> {
        let sha256 = der(SEQUENCE, &[hex(SHA256_OID)]);
        let hashed = |bytes: &[u8]| der(OCTETS, &[digest(&SHA256, bytes).as_ref().to_vec()]);
        let number = |number: u8| der(NUMBER, &[vec![number]]);
        let (name, hash) = form.hash;
        let imprint = der(OCTETS, &[digest(hash, signature).as_ref().to_vec()]);
        let imprint = der(SEQUENCE, &[der(SEQUENCE, &[hex(name)]), imprint]);
        let time = der(TIME, &[form.time.as_bytes().to_vec()]);
        let mut fields = vec![number(1), hex(POLICY_OID), imprint, number(1), time, hex(form.accuracy)];
        fields.extend(
            form.extension.then(|| der(MARKED + 1, &[der(SEQUENCE, &[hex(POLICY_OID), der(OCTETS, &[])])])),
        );
        let said = der(SEQUENCE, &fields);
        let attribute = |oid: &str, value: Vec<u8>| der(SEQUENCE, &[hex(oid), der(SET, &[value])]);
        let mut attributes = vec![
            attribute(CONTENT_TYPE_OID, hex(TST_INFO_OID)),
            attribute(MESSAGE_DIGEST_OID, hashed(&said)),
        ];
        // The certificate by which it is signed, by SHA-256 (RFC 5035).
        let named = |certificate: &[u8]| {
            let named = der(SEQUENCE, &[der(SEQUENCE, &[der(SEQUENCE, &[hashed(certificate)])])]);
            attribute(SIGNING_CERTIFICATE_OID, named)
        };
        match form.names {
            Names::Itself => attributes.push(named(&self.certificate)),
            Names::Other => attributes.push(named(&self.root)),
            Names::Nobody => {}
        }
        let by = self.key.sign(&der(SET, &attributes)).unwrap();
        let certificate = Certificate::from_der(&self.certificate).unwrap().tbs_certificate;
        let signer = [certificate.issuer.to_der().unwrap(), certificate.serial_number.to_der().unwrap()];
        let signer = der(
            SEQUENCE,
            &[
                number(1),
                der(SEQUENCE, &signer),
                sha256.clone(),
                der(MARKED, &attributes),
                der(SEQUENCE, &[hex(self.algorithm())]),
                der(OCTETS, &[by]),
            ],
        );
        let content = der(SEQUENCE, &[hex(TST_INFO_OID), der(MARKED, &[der(OCTETS, &[said])])]);
        let signers = vec![signer; form.signers];
        let carried = match form.carries {
            Carries::Nothing => Vec::new(),
            Carries::Signer => der(MARKED, std::slice::from_ref(&self.certificate)),
        };
        let parts = [number(form.version), der(SET, &[sha256]), content, carried, der(SET, &signers)];
        der(SEQUENCE, &[hex(SIGNED_DATA_OID), der(MARKED, &[der(SEQUENCE, &parts)])])
    }

    /// Its root, in DER.
    pub(crate) fn root(&self) -> &[u8] {
        &self.root
    }
}

/// What a token may be like.
#[derive(Clone, Copy)]
pub(crate) struct Form<'a> {
    pub(crate) time: &'a str,
    pub(crate) hash: (&'static str, &'static Algorithm),
    pub(crate) names: Names,
    pub(crate) signers: usize,
    pub(crate) extension: bool,
    /// Whether the signer's certificate travels in it.
    pub(crate) carries: Carries,
    /// `Accuracy`, in hexadecimal; nothing where it is empty.
    pub(crate) accuracy: &'a str,
    /// The version of its content.
    pub(crate) version: u8,
}

/// What certificates travel in a token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carries {
    Nothing,
    Signer,
}

impl Default for Form<'_> {
    fn default() -> Self {
        let hash = (SHA256_OID, &SHA256);
        let (time, names, carries) = ("20261124120000Z", Names::Itself, Carries::Nothing);
        Self { time, hash, names, signers: 1, extension: false, carries, accuracy: "", version: 3 }
    }
}

/// Whose certificate its signing-certificate attribute is of.
#[derive(Clone, Copy)]
pub(crate) enum Names {
    Itself,
    Other,
    Nobody,
}

fn root(change: impl FnOnce(&mut CertificateParams)) -> (Issuer<'static, KeyPair>, Vec<u8>) {
    let key = key(&rcgen::PKCS_ECDSA_P256_SHA256);
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, "test clocks");
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2036, 1, 1);
    change(&mut params);
    let certificate = params.self_signed(&key).unwrap().der().to_vec();
    (Issuer::new(params, key), certificate)
}

/// The extension that names purposes, in DER.
pub(crate) fn purposes(oids: &[&str], critical: bool) -> CustomExtension {
    let content = der(SEQUENCE, &oids.iter().map(|oid| hex(oid)).collect::<Vec<_>>());
    let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, 37], content);
    extension.set_criticality(critical);
    extension
}

fn hex(text: &str) -> Vec<u8> {
    ::hex::decode(text).unwrap()
}

/// A tag, the length of its parts, and the parts (X.690, 8.1).
fn der(tag: u8, parts: &[Vec<u8>]) -> Vec<u8> {
    let content = parts.concat();
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    let head = match length {
        [0, short @ 0..128] => vec![tag, short],
        [0, long] => vec![tag, 0x81, long],
        [high, low] => vec![tag, 0x82, high, low],
    };
    [head, content].concat()
}
