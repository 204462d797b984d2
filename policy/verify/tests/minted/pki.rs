//! A certificate authority and a transparency log of our own, so that each fault can be made alone. It stands for
//! Fulcio and Rekor v1; no clock and no service is involved.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use pullgate_policy::identity::Name;
use pullgate_verify::{Sct, TrustTable};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData as _, SanType, SigningKey as _,
};
use serde_json::{Value, json};

pub(crate) const OIDC_ISSUER: &str = "https://token.example";
pub(crate) const SAN: &str = "https://git.example/org/app/.github/workflows/build.yml@refs/heads/main";
/// The log's time: within the leaf's day.
pub(crate) const LOGGED: &str = "2026-11-24T12:00:00Z";

/// The origin of the log's checkpoints: as a tree of Rekor v1 has it, and as Rekor v2.
pub(crate) const TREE: &str = "log.example - 1";
pub(crate) const TILES: &str = "log.example";

/// From midnight to midnight around it.
const DAY: [u8; 2] = [24, 25];

/// Fulcio's arc.
const FULCIO: [u64; 9] = [1, 3, 6, 1, 4, 1, 57264, 1, 0];

pub(crate) struct Pki {
    issuer: Issuer<'static, KeyPair>,
    root: Vec<u8>,
    log: KeyPair,
}

/// A certificate and its key.
pub(crate) struct Leaf {
    pub(crate) der: Vec<u8>,
    pub(crate) key: KeyPair,
}

/// What to leave out of, or put wrong into, a bundle's log entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    Absent,
    Whole,
    /// Inclusion proof and checkpoint, but no signed timestamp.
    WithoutPromise,
    /// The signed timestamp alone.
    WithoutProof,
}

impl Pki {
    pub(crate) fn new() -> Self {
        Self::with_root(|_| {})
    }

    /// The same with a log by this kind of key.
    pub(crate) fn with_log(algorithm: &'static rcgen::SignatureAlgorithm) -> Self {
        Self { log: key(algorithm), ..Self::new() }
    }

    /// The same; `change` makes its root another one.
    pub(crate) fn with_root(change: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = key(&rcgen::PKCS_ECDSA_P256_SHA256);
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(rcgen::DnType::CommonName, "test root");
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2036, 1, 1);
        change(&mut params);
        let root = params.self_signed(&key).unwrap().der().to_vec();
        Self { issuer: Issuer::new(params, key), root, log: self::key(&rcgen::PKCS_ECDSA_P256_SHA256) }
    }

    /// The trust table, without certificate log.
    pub(crate) fn table(&self, name: &str) -> TrustTable {
        self.table_with(name, &[])
    }

    /// The same with these timestamp authorities.
    pub(crate) fn table_with(&self, name: &str, timestamp_authorities: &[Value]) -> TrustTable {
        let root = self.root(timestamp_authorities).to_string();
        TrustTable::from_json(Name::new(name), root.as_bytes(), Sct::None).unwrap()
    }

    /// The trusted root of that table.
    pub(crate) fn root(&self, timestamp_authorities: &[Value]) -> Value {
        let window = json!({ "start": "2026-01-01T00:00:00Z" });
        json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [{
                "baseUrl": "https://log.example", "hashAlgorithm": "SHA2_256",
                "publicKey": {
                    "rawBytes": STANDARD.encode(self.log.subject_public_key_info()),
                    "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": window,
                },
                "logId": { "keyId": STANDARD.encode(self.log_id()) },
            }],
            "certificateAuthorities": [{
                "subject": { "organization": "test", "commonName": "test root" }, "uri": "https://ca.example",
                "certChain": { "certificates": [{ "rawBytes": STANDARD.encode(&self.root) }] }, "validFor": window,
            }],
            "ctlogs": [], "timestampAuthorities": timestamp_authorities,
        })
    }

    /// A certificate for `names` with these extensions of Fulcio's arc.
    pub(crate) fn leaf(&self, names: Vec<SanType>, extensions: &[(u64, Vec<u8>)], key: KeyPair) -> Leaf {
        leaf_by(&self.issuer, names, extensions, key, DAY)
    }

    /// The usual certificate: one URI, the issuer in its current form, the repository that the name lies in.
    pub(crate) fn usual_leaf(&self) -> Leaf {
        usual_leaf_by(&self.issuer)
    }

    /// The same, good from one day of that month to another.
    pub(crate) fn leaf_of(&self, days: [u8; 2]) -> Leaf {
        leaf_by(
            &self.issuer,
            vec![uri(SAN)],
            &[(8, utf8(OIDC_ISSUER))],
            key(&rcgen::PKCS_ECDSA_P256_SHA256),
            days,
        )
    }

    /// An authority between the root and its leaves, which no trust table lists.
    pub(crate) fn between(&self) -> (Vec<u8>, Issuer<'static, KeyPair>) {
        between_by(&self.issuer, |_| {})
    }

    /// The log's key.
    pub(crate) fn log_key(&self) -> Vec<u8> {
        self.log.subject_public_key_info()
    }

    /// The root's certificate.
    pub(crate) fn certificate(&self) -> &[u8] {
        &self.root
    }

    /// The root as who issues.
    pub(crate) fn issuer(&self) -> &Issuer<'static, KeyPair> {
        &self.issuer
    }

    /// The trusted root with these certificates as its authority's chain, its own root behind them.
    pub(crate) fn root_of(&self, between: &[&[u8]], timestamp_authorities: &[Value]) -> Value {
        let mut root = self.root(timestamp_authorities);
        let chain = between.iter().copied().chain([self.root.as_slice()]);
        let chain: Vec<_> = chain.map(|der| json!({ "rawBytes": STANDARD.encode(der) })).collect();
        root["certificateAuthorities"][0]["certChain"]["certificates"] = json!(chain);
        root
    }

    /// A v0.3 (with proof) or v0.1 (without) bundle of a message signature over `manifest`.
    pub(crate) fn bundle(&self, leaf: &Leaf, manifest: &[u8], entry: Entry) -> Value {
        let signature = leaf.key.sign(manifest).unwrap();
        let version = if entry == Entry::WithoutProof { "+json;version=0.1" } else { ".v0.3+json" };
        let certificate = json!({ "rawBytes": STANDARD.encode(&leaf.der) });
        let signer = match entry {
            Entry::WithoutProof => json!({ "x509CertificateChain": { "certificates": [certificate] } }),
            Entry::Absent | Entry::Whole | Entry::WithoutPromise => json!({ "certificate": certificate }),
        };
        let mut material = signer;
        material["tlogEntries"] = match entry {
            Entry::Absent => json!([]),
            _ => json!([self.entry(manifest, &signature, &pem("CERTIFICATE", &leaf.der), entry)]),
        };
        json!({
            "mediaType": format!("application/vnd.dev.sigstore.bundle{version}"),
            "verificationMaterial": material,
            "messageSignature": {
                "messageDigest": { "algorithm": "SHA2_256", "digest": STANDARD.encode(digest(&SHA256, manifest)) },
                "signature": STANDARD.encode(&signature),
            },
        })
    }

    /// The same by a key that no certificate is for.
    pub(crate) fn keyed_bundle(&self, signer: &KeyPair, manifest: &[u8], entry: Entry) -> Value {
        let signature = signer.sign(manifest).unwrap();
        self.keyed_bundle_of(&signature, &signer.subject_public_key_info(), manifest, entry)
    }

    /// The same of a signature that is there, by the key of a SubjectPublicKeyInfo.
    pub(crate) fn keyed_bundle_of(
        &self,
        signature: &[u8],
        spki: &[u8],
        manifest: &[u8],
        entry: Entry,
    ) -> Value {
        let verifier = pem("PUBLIC KEY", spki);
        json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {
                "publicKey": { "hint": "" },
                "tlogEntries": [self.entry(manifest, signature, &verifier, entry)],
            },
            "messageSignature": {
                "messageDigest": { "algorithm": "SHA2_256", "digest": STANDARD.encode(digest(&SHA256, manifest)) },
                "signature": STANDARD.encode(signature),
            },
        })
    }

    fn entry(&self, message: &[u8], signature: &[u8], verifier: &str, entry: Entry) -> Value {
        let body = json!({
            "apiVersion": "0.0.1", "kind": "hashedrekord",
            "spec": {
                "data": { "hash": { "algorithm": "sha256", "value": hex::encode(digest(&SHA256, message)) } },
                "signature": {
                    "content": STANDARD.encode(signature),
                    "publicKey": { "content": STANDARD.encode(verifier) },
                },
            },
        });
        self.logged(&body, entry)
    }

    /// The log's entry with this body.
    pub(crate) fn logged(&self, body: &Value, entry: Entry) -> Value {
        let (kind, version) = (body["kind"].clone(), body["apiVersion"].clone());
        let kind_version = json!({ "kind": kind, "version": version });
        let body = body.to_string();
        let time = LOGGED.parse::<Timestamp>().unwrap().as_second();
        let promise = json!({
            "body": STANDARD.encode(&body), "integratedTime": time,
            "logID": hex::encode(self.log_id()), "logIndex": 0,
        });
        let promise = self.log.sign(promise.to_string().as_bytes()).unwrap();
        let mut whole = json!({
            "logIndex": "0", "logId": { "keyId": STANDARD.encode(self.log_id()) },
            "kindVersion": kind_version,
            "integratedTime": time.to_string(), "canonicalizedBody": STANDARD.encode(&body),
        });
        if entry != Entry::WithoutPromise {
            whole["inclusionPromise"] = json!({ "signedEntryTimestamp": STANDARD.encode(promise) });
        }
        if entry != Entry::WithoutProof {
            let second = version == "0.0.2" && kind == "hashedrekord";
            let origin = if second { TILES } else { TREE };
            whole["inclusionProof"] = self.proof(origin, body.as_bytes());
        }
        whole
    }

    /// The proof of the only leaf of a tree (RFC 6962, 2.1) and its checkpoint.
    fn proof(&self, origin: &str, body: &[u8]) -> Value {
        let root = STANDARD.encode(digest(&SHA256, &[&[0], body].concat()));
        let envelope = self.checkpoint(origin, 1, &root);
        json!({ "logIndex": "0", "rootHash": root, "treeSize": "1", "hashes": [], "checkpoint": { "envelope": envelope } })
    }

    /// What the log signs of a tree of this size with this root.
    pub(crate) fn checkpoint(&self, origin: &str, size: u64, root: &str) -> String {
        let note = format!("{origin}\n{size}\n{root}\n");
        format!("{note}\n{}", self.line("log.example", &note))
    }

    /// A signature line of the log's under this name.
    pub(crate) fn line(&self, name: &str, note: &str) -> String {
        let signature = [&self.log_id()[..4], &self.log.sign(note.as_bytes()).unwrap()].concat();
        format!("\u{2014} {name} {}\n", STANDARD.encode(signature))
    }

    pub(crate) fn log_id(&self) -> Vec<u8> {
        digest(&SHA256, &self.log.subject_public_key_info()).as_ref().to_vec()
    }
}

pub(crate) fn usual_leaf_by(issuer: &Issuer<'static, KeyPair>) -> Leaf {
    let claims = [(8, utf8(OIDC_ISSUER)), (12, utf8("https://git.example/org/app"))];
    leaf_by(issuer, vec![uri(SAN)], &claims, key(&rcgen::PKCS_ECDSA_P256_SHA256), DAY)
}

/// An authority by an issuer; `change` makes it another one.
pub(crate) fn between_by(
    issuer: &Issuer<'static, KeyPair>,
    change: impl FnOnce(&mut CertificateParams),
) -> (Vec<u8>, Issuer<'static, KeyPair>) {
    let key = key(&rcgen::PKCS_ECDSA_P256_SHA256);
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
    params.distinguished_name.push(rcgen::DnType::CommonName, "test between");
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2036, 1, 1);
    change(&mut params);
    let der = params.signed_by(&key, issuer).unwrap().der().to_vec();
    (der, Issuer::new(params, key))
}

fn leaf_by(
    issuer: &Issuer<'static, KeyPair>,
    names: Vec<SanType>,
    extensions: &[(u64, Vec<u8>)],
    key: KeyPair,
    days: [u8; 2],
) -> Leaf {
    let der = leaf_params(names, extensions, days).signed_by(&key, issuer).unwrap().der().to_vec();
    Leaf { der, key }
}

/// The usual certificate; `change` makes it another one.
pub(crate) fn changed_leaf(
    issuer: &Issuer<'static, KeyPair>,
    key: KeyPair,
    change: impl FnOnce(&mut CertificateParams),
) -> Leaf {
    let claims = [(8, utf8(OIDC_ISSUER)), (12, utf8("https://git.example/org/app"))];
    let mut params = leaf_params(vec![uri(SAN)], &claims, DAY);
    change(&mut params);
    let der = params.signed_by(&key, issuer).unwrap().der().to_vec();
    Leaf { der, key }
}

fn leaf_params(
    names: Vec<SanType>,
    extensions: &[(u64, Vec<u8>)],
    [from, until]: [u8; 2],
) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.subject_alt_names = names;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
    params.not_before = rcgen::date_time_ymd(2026, 11, from);
    params.not_after = rcgen::date_time_ymd(2026, 11, until);
    for (number, content) in extensions {
        let oid: Vec<u64> = FULCIO[..8].iter().copied().chain([*number]).collect();
        params.custom_extensions.push(CustomExtension::from_oid_content(&oid, content.clone()));
    }
    params
}

pub(crate) fn key(algorithm: &'static rcgen::SignatureAlgorithm) -> KeyPair {
    KeyPair::generate_for(algorithm).unwrap()
}

pub(crate) fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

/// A DER UTF8String.
pub(crate) fn utf8(text: &str) -> Vec<u8> {
    [&[12, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
}

pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}
