//! TLS towards an upstream: what is not believed, what it costs, and the gate's own certificate.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pullgate_config::Secret;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::server::{upstream, whole};
use super::{BODY, TYPE, manifest};
use crate::still::still;
use crate::{Fault, Files, Upstream};

pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

pub(super) struct Pair {
    chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
}

impl Authority {
    pub(super) fn new() -> Self {
        Self(CertifiedIssuer::self_signed(authority("root"), KeyPair::generate().unwrap()).unwrap())
    }

    pub(super) fn pem(&self) -> Vec<u8> {
        self.0.pem().into_bytes()
    }

    pub(super) fn issue(&self, name: &str, until: i32) -> Pair {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        Pair { chain: vec![params.signed_by(&key, &self.0).unwrap().der().clone()], key }
    }

    pub(super) fn server(&self) -> Pair {
        self.issue("127.0.0.1", 2099)
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

impl Pair {
    pub(super) fn of(chain: Vec<CertificateDer<'static>>, key: KeyPair) -> Self {
        Self { chain, key }
    }

    fn pem(&self) -> String {
        String::from_utf8(self.certificates_pem()).unwrap() + &self.key.serialize_pem()
    }

    pub(super) fn certificates_pem(&self) -> Vec<u8> {
        let chain = self.chain.iter().map(|one| {
            let text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, one);
            format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
        });
        chain.collect::<String>().into_bytes()
    }
}

/// A registry that shows this certificate, asks for one of `clients` if there is such, and answers every request alike.
pub(super) async fn registry(pair: Pair, clients: Option<&Authority>) -> String {
    registry_that(pair, clients, whole("200 OK", &[TYPE], BODY)).await
}

/// The same, with another answer.
pub(super) async fn registry_that(pair: Pair, clients: Option<&Authority>, answer: Vec<u8>) -> String {
    let acceptor = acceptor(pair, clients);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, answer) = (acceptor.clone(), answer.clone());
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                if matches!(stream.read(&mut [0; 8192]).await, Ok(read) if read > 0) {
                    let _ = stream.write_all(&answer).await;
                    let _ = stream.shutdown().await;
                }
            });
        }
    });
    url
}

/// Shows this certificate, and asks for one of `clients` if there is such.
pub(super) fn acceptor(pair: Pair, clients: Option<&Authority>) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(authority.0.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let key = PrivateKeyDer::try_from(pair.key.serialize_der()).unwrap();
    TlsAcceptor::from(Arc::new(builder.with_single_cert(pair.chain, key).unwrap()))
}

fn trusting(url: &str, authority: &Authority) -> Upstream {
    upstream(url, |table| table.ca_pem = Some(authority.pem()))
}

#[tokio::test]
async fn a172_a_certificate_that_is_not_the_upstreams_is_believed_in_no_form() {
    let (ours, other) = (Authority::new(), Authority::new());
    assert!(manifest(&trusting(&registry(ours.server(), None).await, &ours)).await.is_ok());
    for (what, pair) in [
        ("another authority's", other.server()),
        ("another name's", ours.issue("localhost", 2099)),
        ("expired", ours.issue("127.0.0.1", 2021)),
    ] {
        let url = registry(pair, None).await;
        assert_eq!(manifest(&trusting(&url, &ours)).await.unwrap_err(), Fault::Tls, "{what}");
    }
    let url = registry(ours.server(), None).await;
    assert_eq!(manifest(&upstream(&url, |_| {})).await.unwrap_err(), Fault::Tls, "the system's authorities");
}

/// The versions that a ClientHello offers: its extension `supported_versions` (RFC 8446 §4.2.1).
fn offered(record: &[u8]) -> Vec<[u8; 2]> {
    let short = |bytes: &[u8]| usize::from(u16::from_be_bytes([bytes[0], bytes[1]]));
    // Behind the heads of record and message, the old version and the random bytes: session, suites, compression.
    let mut rest = &record[5 + 4 + 2 + 32..];
    rest = &rest[1 + usize::from(rest[0])..];
    rest = &rest[2 + short(rest)..];
    rest = &rest[1 + usize::from(rest[0])..];
    rest = &rest[2..];
    while short(rest) != 43 {
        rest = &rest[4 + short(&rest[2..])..];
    }
    rest[5..5 + usize::from(rest[4])].chunks(2).map(|version| [version[0], version[1]]).collect()
}

/// A ServerHello of this version, as servers of that time sent it (RFC 5246 §7.4.1.3).
fn server_hello(version: [u8; 2]) -> Vec<u8> {
    let suite = [0xC0, 0x13];
    let hello = [&version[..], &[7; 32], &[0], &suite, &[0]].concat();
    let length = u8::try_from(hello.len()).unwrap();
    [&[22][..], &version, &[0, length + 4, 2, 0, 0, length], &hello].concat()
}

#[tokio::test]
async fn a172_a_protocol_before_tls_1_2_is_neither_offered_nor_taken() {
    for version in [[3, 0], [3, 1], [3, 2]] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let seen = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut hello = vec![0; 8192];
            let length = stream.read(&mut hello).await.unwrap();
            stream.write_all(&server_hello(version)).await.unwrap();
            let mut alert = Vec::new();
            let _ = stream.read_to_end(&mut alert).await;
            (offered(&hello[..length]), alert)
        });
        assert_eq!(manifest(&upstream(&url, |_| {})).await.unwrap_err(), Fault::Tls);
        let (offered, alert) = seen.await.unwrap();
        assert_eq!(offered, [[3, 4], [3, 3]], "TLS 1.3 and 1.2");
        // A fatal alert, protocol_version (RFC 5246 §7.2): it is this that it minds.
        assert_eq!((alert[0], &alert[5..]), (21, &[2, 70][..]), "{version:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a173_a_chain_of_crossed_certificates_costs_no_more_than_its_budget() {
    for count in [120, 1_000] {
        assert_refuses_crossed(count).await;
    }
}

/// The shorter of these chains is as long as one message of the handshake may be; the longer one is not even read.
async fn assert_refuses_crossed(count: usize) {
    let ours = Authority::new();
    // Many authorities of one name and one key, each a possible issuer of each, and none of them ours.
    let pem = KeyPair::generate().unwrap().serialize_pem();
    let key = || KeyPair::from_pem(&pem).unwrap();
    let crossed = CertifiedIssuer::self_signed(authority("crossed"), key()).unwrap();
    let leaf_key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let mut chain = vec![leaf.signed_by(&leaf_key, &crossed).unwrap().der().clone()];
    for _ in 0..count {
        chain.push(authority("crossed").signed_by(&key(), &crossed).unwrap().der().clone());
    }
    let url = registry(Pair { chain, key: leaf_key }, None).await;
    let _still = still();
    let begun = Instant::now();
    assert_eq!(manifest(&trusting(&url, &ours)).await.unwrap_err(), Fault::Tls);
    // Every way through them would take longer than there are seconds.
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn an_upstream_that_asks_for_a_certificate_gets_the_gates_own() {
    let (ours, clients) = (Authority::new(), Authority::new());
    let url = registry(ours.server(), Some(&clients)).await;
    assert!(manifest(&trusting(&url, &ours)).await.is_err(), "none to show");
    let with = |pair: &Pair| {
        let pem = pair.pem();
        upstream(&url, |table| {
            table.ca_pem = Some(ours.pem());
            table.client_cert_pem = Some(Secret::new(pem));
        })
    };
    assert!(manifest(&with(&clients.issue("gate.example", 2099))).await.is_ok());
    assert!(
        manifest(&with(&Authority::new().issue("gate.example", 2099))).await.is_err(),
        "another authority's"
    );
}

#[tokio::test]
async fn files_are_had_from_a_host_whose_certificate_is_believed_and_from_no_other() {
    let (ours, others) = (Authority::new(), Authority::new());
    let url = registry(ours.server(), None).await;
    let read = async |ca: Option<Vec<u8>>| {
        let files = Files::below(&url, ca).unwrap();
        (files.read("a", 1 << 20).await, files.read_elsewhere(&format!("{url}/b"), 1 << 20).await)
    };
    let (below, elsewhere) = read(Some(ours.pem())).await;
    assert_eq!((below.unwrap().unwrap(), elsewhere.unwrap().unwrap()), (BODY.into(), BODY.into()));
    for ca in [None, Some(others.pem())] {
        assert_eq!(read(ca).await, (Err(Fault::Tls), Err(Fault::Tls)));
    }
    let files = Files::below(&url, Some(ours.pem())).unwrap();
    // In clear only where the files themselves are; to another host only by a public address.
    for address in
        [url.replace("https:", "http:"), url.replace("127.0.0.1", "127.0.0.2"), "https://10.0.0.1".to_owned()]
    {
        assert_eq!(files.read_elsewhere(&address, 1 << 20).await, Err(Fault::RedirectRefused), "{address}");
    }
    assert!(Files::below(&url, Some(b"no certificate".to_vec())).is_err());
}
