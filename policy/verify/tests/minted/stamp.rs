//! A timestamp authority of the test's own (RFC 3161), in bare DER.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair, SigningKey as _};
use serde_json::{Value, json};
use x509_cert::Certificate;
use x509_cert::der::{Decode as _, Encode as _};

use crate::pki::key;

const SHA256_OID: &str = "0609608648016503040201";
const ECDSA_SHA256_OID: &str = "06082a8648ce3d040302";
const SIGNED_DATA_OID: &str = "06092a864886f70d010702";
const TST_INFO_OID: &str = "060b2a864886f70d0109100104";
const CONTENT_TYPE_OID: &str = "06092a864886f70d010903";
const MESSAGE_DIGEST_OID: &str = "06092a864886f70d010904";
/// A policy that means nothing.
const POLICY_OID: &str = "06032a0304";

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OCTETS: u8 = 0x04;
const NUMBER: u8 = 0x02;
const TIME: u8 = 0x18;
/// The first field that is marked by its context.
const MARKED: u8 = 0xa0;

pub(crate) struct Authority {
    key: KeyPair,
    certificate: Vec<u8>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = key(&rcgen::PKCS_ECDSA_P256_SHA256);
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, "test clock");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::TimeStamping];
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2036, 1, 1);
        let certificate = params.self_signed(&key).unwrap().der().to_vec();
        Self { key, certificate }
    }

    /// As a trusted root lists it.
    pub(crate) fn listed(&self) -> Value {
        json!({
            "subject": { "organization": "test", "commonName": "test clock" }, "uri": "https://clock.example",
            "certChain": { "certificates": [{ "rawBytes": STANDARD.encode(&self.certificate) }] },
            "validFor": { "start": "2026-01-01T00:00:00Z" },
        })
    }

    /// What it says of a signature at this time, `YYYYMMDDhhmmssZ`, in base64.
    pub(crate) fn token(&self, signature: &[u8], time: &str) -> String {
        let sha256 = der(SEQUENCE, &[hex(SHA256_OID)]);
        let hashed = |bytes: &[u8]| der(OCTETS, &[digest(&SHA256, bytes).as_ref().to_vec()]);
        let number = |number: u8| der(NUMBER, &[vec![number]]);
        let imprint = der(SEQUENCE, &[sha256.clone(), hashed(signature)]);
        let time = der(TIME, &[time.as_bytes().to_vec()]);
        let said = der(SEQUENCE, &[number(1), hex(POLICY_OID), imprint, number(1), time]);
        let attribute = |oid: &str, value: Vec<u8>| der(SEQUENCE, &[hex(oid), der(SET, &[value])]);
        let attributes =
            [attribute(CONTENT_TYPE_OID, hex(TST_INFO_OID)), attribute(MESSAGE_DIGEST_OID, hashed(&said))];
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
                der(SEQUENCE, &[hex(ECDSA_SHA256_OID)]),
                der(OCTETS, &[by]),
            ],
        );
        let content = der(SEQUENCE, &[hex(TST_INFO_OID), der(MARKED, &[der(OCTETS, &[said])])]);
        let signed = der(SEQUENCE, &[number(3), der(SET, &[sha256]), content, der(SET, &[signer])]);
        STANDARD.encode(der(SEQUENCE, &[hex(SIGNED_DATA_OID), der(MARKED, &[signed])]))
    }
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
