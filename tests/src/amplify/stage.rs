//! What comes before a request that is measured.

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pullgate_policy::limits;
use serde_json::{Value, json};

use super::Ask;
use crate::gate_in_process::{Gate, Setup};
use crate::issuer::{DISCOVERY, Issuer, KEYS, TokenKey};
use crate::made::{Layer, Made, fresh};
use crate::signing::{DSSE, SIGN_PREDICATE, Signer, carrier, evidence_tag, referrer};
use crate::upstream::{Fault, ReferrersApi, Upstream, When};

const POLICY: &str = "unmatched = \"deny\"\n[authority.release]\nkey = \"release.pub\"\ntransparency = \"optional\"\n[[policy]]\nname = \"production\"\nscope = [\"registry.test/org/**\"]\n[[policy.require]]\nsigned_by = { any_of = [\"release\"] }\n";
/// One user, of the lowest cost.
const USERS: &str = "node:$2b$04$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy\n";
/// Children of the index that is gone from its upstream.
const CHILDREN: usize = pullgate::limits::CHILDREN_READ_FOR_BLOB;
/// Bundles on one digest, more than are read.
const BUNDLES: usize = limits::EVIDENCE_MANIFESTS + 8;
/// Attestations that are as much as is read for one subject, each as large as may be.
const LARGE: u64 = limits::EVIDENCE_BYTES / LARGE_BYTES;
/// Bytes of each: of such a one, the library is given the payload.
const LARGE_BYTES: u64 = limits::LIBRARY_BYTES / 3 * 4;

/// A gate and everybody that it asks.
pub(super) struct Stage {
    pub(super) upstream: Upstream,
    pub(super) gate: Gate,
    signer: Signer,
    issuer: Issuer,
}

/// What is asked, and with which headers.
pub(super) type Asked = (String, Vec<(&'static str, String)>);

impl Stage {
    pub(super) async fn new(ask: Ask) -> Self {
        let (upstream, issuer) = (Upstream::start().await.expect("an upstream"), Issuer::start().await);
        let signer = Signer::new();
        let setup = Setup::before(&upstream.url()).policy(POLICY).file("release.pub", signer.public_pem());
        let setup = match ask {
            Ask::WrongPassword => setup.file("users", USERS).table("[clients]\nhtpasswd = \"users\"\n"),
            Ask::Token | Ask::TokenAgain => setup.table(&format!(
                "[clients]\noidc = [{{ issuer = \"{}\", audience = \"gate\", name = \"ci\" }}]\n",
                issuer.url()
            )),
            _ => setup,
        };
        Self { gate: Gate::start(&setup).await, upstream, signer, issuer }
    }

    /// Requests to all whom the gate asks.
    pub(super) fn requests(&self) -> usize {
        self.upstream.seen().len() + self.issuer.count(DISCOVERY) + self.issuer.count(KEYS)
    }

    /// What comes before, and what is asked then.
    pub(super) async fn prepare(&self, ask: Ask) -> Asked {
        let plain = |target: String| (target, Vec::new());
        match ask {
            Ask::Base => plain("/v2/".to_owned()),
            Ask::Unmatched => plain("/v2/other/app/manifests/v1".to_owned()),
            Ask::UnknownTag => plain(manifest(&fresh())),
            Ask::UnknownDigest => plain(manifest(&format!("sha256:{:064x}", 7))),
            Ask::UnknownBlob | Ask::UnknownBlobAgain | Ask::BrokenChildren => {
                plain(self.unknown_blob(ask).await)
            }
            Ask::Unsigned | Ask::UnsignedAgain | Ask::Referrers | Ask::Tags => {
                plain(self.unsigned(ask).await)
            }
            Ask::Layer | Ask::LayerAgain | Ask::SlowReader => {
                (self.layer(ask).await, vec![("range", "bytes=0-0".to_owned())])
            }
            // `node:wrong`.
            Ask::WrongPassword => {
                ("/v2/".to_owned(), vec![("authorization", "Basic bm9kZTp3cm9uZw==".to_owned())])
            }
            Ask::Token | Ask::TokenAgain => self.token(ask).await,
            Ask::Broken => {
                self.upstream.fail(When::on("/manifests/"), Fault::Status(503));
                plain(manifest("v1"))
            }
            Ask::Bundles | Ask::Attestations | Ask::Timestamps => {
                self.evidence(ask);
                plain(manifest("v1"))
            }
        }
    }

    async fn unknown_blob(&self, ask: Ask) -> String {
        let stray = |number: usize| format!("/v2/org/app/blobs/sha256:{number:064x}");
        self.index().await;
        if ask == Ask::UnknownBlobAgain {
            self.gate.get(&stray(1)).await;
        }
        if ask == Ask::BrokenChildren {
            self.upstream.fail(When::on("/manifests/"), Fault::Status(503));
        }
        stray(2)
    }

    /// A permitted index whose children are gone.
    async fn index(&self) {
        let index = Made::index((0..CHILDREN).map(|_| Made::image()).collect());
        index.tag(&self.upstream, "org/app", "v1");
        self.signer.sign_at(&self.upstream, "org/app", &index.digest());
        for child in &index.children {
            self.upstream.remove("org/app", &child.digest());
        }
        self.gate.get(&manifest("v1")).await;
    }

    async fn unsigned(&self, ask: Ask) -> String {
        let image = Made::image();
        image.tag(&self.upstream, "org/app", "v1");
        if ask == Ask::UnsignedAgain {
            self.gate.get(&manifest(&image.digest())).await;
        }
        match ask {
            Ask::Referrers => format!("/v2/org/app/referrers/{}", image.digest()),
            Ask::Tags => "/v2/org/app/tags/list".to_owned(),
            _ => manifest(&image.digest()),
        }
    }

    async fn layer(&self, ask: Ask) -> String {
        let image = Made::image_of_bytes(super::LAYER);
        image.tag(&self.upstream, "org/app", "v1");
        self.signer.sign_at(&self.upstream, "org/app", &image.digest());
        self.gate.get(&manifest("v1")).await;
        let layer = format!("/v2/org/app/blobs/{}", image.layer());
        if ask != Ask::Layer {
            self.gate.get(&layer).await;
        }
        layer
    }

    /// As many keys as are taken, and a token that names none of them.
    async fn token(&self, ask: Ask) -> Asked {
        let keys: Vec<_> = (0..limits::ISSUER_KEYS).map(|n| TokenKey::new(&format!("k{n}")).jwk()).collect();
        self.issuer.publish(&keys);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let claims = self.issuer.claims(i64::try_from(now).unwrap_or_default());
        let token = TokenKey::new("other").token(&claims);
        let asked: Asked = ("/v2/".to_owned(), vec![("authorization", format!("Bearer {token}"))]);
        if ask == Ask::TokenAgain {
            let headers = asked.1.iter().map(|(name, value)| (*name, value.as_str())).collect::<Vec<_>>();
            self.gate.get_with(&asked.0, &headers).await;
        }
        asked
    }

    fn evidence(&self, ask: Ask) {
        let (image, stranger) = (Made::image(), Signer::new());
        image.tag(&self.upstream, "org/app", "v1");
        match ask {
            Ask::Attestations => {
                let layers = (0..LARGE).map(|_| large(&stranger, &image)).collect();
                carrier(layers).tag(&self.upstream, "org/app", &evidence_tag(&image.digest(), ".att"));
            }
            Ask::Timestamps => {
                self.upstream.set_referrers(ReferrersApi::Whole);
                let bundle = timestamped(&self.signer.bundle(&image.digest(), SIGN_PREDICATE));
                referrer(&image.descriptor(), bundle).put(&self.upstream, "org/app");
            }
            _ => {
                self.upstream.set_referrers(ReferrersApi::Whole);
                for _ in 0..BUNDLES {
                    let bundle = stranger.bundle(&image.digest(), SIGN_PREDICATE);
                    referrer(&image.descriptor(), bundle).put(&self.upstream, "org/app");
                }
            }
        }
    }
}

fn manifest(reference: &str) -> String {
    format!("/v2/org/app/manifests/{reference}")
}

/// An attestation as large as may be, of as many values as fit into it.
fn large(signer: &Signer, image: &Made) -> Layer {
    let begins = format!(
        r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[{{"digest":{{"sha256":"{}"}}}}],"predicateType":"https://spdx.dev/Document","predicate":{{"n":"{}","packages":["#,
        image.hex(),
        fresh()
    );
    let most = usize::try_from(LARGE_BYTES).unwrap_or_default() / 4 * 3 - 1024;
    let package = r#"{"name":"p","version":"1"}"#;
    let packages = vec![package; (most - begins.len()) / (package.len() + 1)].join(",");
    let envelope = signer.envelope_of(format!("{begins}{packages}]}}}}").as_bytes()).to_string();
    Layer::new(DSSE, envelope.into_bytes())
}

/// The bundle with as many timestamps as may be, of which none is one.
fn timestamped(bundle: &Layer) -> Layer {
    let mut value: Value = serde_json::from_slice(&bundle.bytes).expect("a bundle");
    let tokens: Vec<_> = (0..limits::TIMESTAMPS)
        .map(|n| json!({ "signedTimestamp": STANDARD.encode(format!("no timestamp, number {n}")) }))
        .collect();
    let material = value.get_mut("verificationMaterial").and_then(Value::as_object_mut).expect("material");
    material.insert("timestampVerificationData".to_owned(), json!({ "rfc3161Timestamps": tokens }));
    Layer { bytes: value.to_string().into_bytes(), ..bundle.clone() }
}
