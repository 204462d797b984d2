//! TLS on the data port: who is refused in the handshake, and what a changed certificate does.

use std::net::SocketAddr;
use std::sync::Arc;

use pullgate::upstream::limits;
use pullgate_tests::asking::{Answer, ask, ask_over, raw};
use pullgate_tests::gate_in_process::Setup;
use pullgate_tests::waiting::still;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType,
};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::clients::slow::{assert_closed, assert_open, may_open_many_files};
use crate::stage::{KEYED, Stage, assert_denied, assert_serves, manifest};

/// A certificate authority of the test's own.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
#[derive(Clone)]
struct Pair {
    cert: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    fn issue(&self, usage: ExtendedKeyUsagePurpose, until: i32) -> Pair {
        self.certify(CertificateParams::new(vec!["localhost".to_owned()]).unwrap(), usage, until)
    }

    /// A client's certificate with no name but this URI.
    fn called(&self, uri: &str) -> Pair {
        let mut params = CertificateParams::default();
        params.subject_alt_names.push(SanType::URI(uri.try_into().unwrap()));
        self.certify(params, ExtendedKeyUsagePurpose::ClientAuth, 2099)
    }

    fn certify(&self, mut params: CertificateParams, usage: ExtendedKeyUsagePurpose, until: i32) -> Pair {
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.extended_key_usages = vec![usage];
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.0).unwrap();
        Pair { cert: cert.pem(), key: key.serialize_pem() }
    }

    fn server(&self) -> Pair {
        self.issue(ExtendedKeyUsagePurpose::ServerAuth, 2099)
    }

    fn client(&self) -> Pair {
        self.issue(ExtendedKeyUsagePurpose::ClientAuth, 2099)
    }
}

/// A client that trusts `authority` and shows `own`, if anything.
fn client(authority: &Authority, own: Option<&Pair>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    Arc::new(match own {
        None => builder.with_no_client_auth(),
        Some(pair) => {
            let chain = vec![CertificateDer::from_pem_slice(pair.cert.as_bytes()).unwrap()];
            builder
                .with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap())
                .unwrap()
        }
    })
}

async fn connect(address: SocketAddr, config: &Arc<ClientConfig>) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::clone(config)).connect(name, stream).await
}

async fn get(stage: &Stage, config: &Arc<ClientConfig>, target: &str) -> Answer {
    let stream = connect(stage.gate.data, config).await.unwrap();
    ask_over(stream, "localhost", "GET", target).await
}

/// Whether the gate lets this client say anything: in TLS 1.3 a refusal comes after the client's own part.
async fn is_refused(stage: &Stage, config: &Arc<ClientConfig>, target: &str) -> bool {
    let Ok(mut stream) = connect(stage.gate.data, config).await else { return true };
    let request = format!("GET {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    let mut answer = Vec::new();
    let sent = stream.write_all(request.as_bytes()).await;
    let read = stream.read_to_end(&mut answer).await;
    (sent.is_err() || read.is_err()) && answer.is_empty()
}

const TLS: &str = "tls = { cert = \"cert.pem\", key = \"key.pem\" }";
const MUTUAL: &str = "tls = { cert = \"cert.pem\", key = \"key.pem\", client_ca = \"clients.pem\" }";

fn with_pair(setup: Setup, pair: &Pair) -> Setup {
    setup.file("cert.pem", pair.cert.clone()).file("key.pem", pair.key.clone())
}

async fn stage(authority: &Authority) -> Stage {
    let pair = authority.server();
    Stage::with(KEYED, |setup| with_pair(setup, &pair).listen_also(TLS)).await
}

#[tokio::test]
async fn pulls_go_through_tls_like_through_plain_http() {
    let authority = Authority::new();
    let stage = stage(&authority).await;
    let (image, _) = (stage.signed("org/app", "v1"), stage.unsigned("org/app", "bad"));
    let config = client(&authority, None);
    assert_serves(&get(&stage, &config, &manifest("org/app", "v1")).await, &image);
    assert_denied(&get(&stage, &config, &manifest("org/app", "bad")).await);
    let layer = get(&stage, &config, &format!("/v2/org/app/blobs/{}", image.layer())).await;
    assert_eq!(layer.status, 200);
}

#[tokio::test]
async fn a055_no_client_gets_http_2_by_alpn() {
    let authority = Authority::new();
    let stage = stage(&authority).await;
    let mut config = client(&authority, None).as_ref().clone();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let stream = connect(stage.gate.data, &Arc::new(config.clone())).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    config.alpn_protocols = vec![b"h2".to_vec()];
    assert!(connect(stage.gate.data, &Arc::new(config)).await.is_err());
}

#[tokio::test]
async fn a056_broken_handshakes_are_closed_and_harm_nobody_else() {
    let authority = Authority::new();
    let stage = stage(&authority).await;
    let image = stage.signed("org/app", "v1");
    let mut halves = Vec::new();
    for _ in 0..32 {
        let mut stream = TcpStream::connect(stage.gate.data).await.unwrap();
        // A record header that promises a ClientHello, and the beginning of one.
        stream.write_all(&[22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]).await.unwrap();
        halves.push(stream);
    }
    for bytes in
        [&[0_u8; 512][..], &[0xff; 64], b"\x16\x03\x01\xff\xff", b"GET /v2/ HTTP/1.1\r\nhost: a\r\n\r\n"]
    {
        let answer = raw(stage.gate.data, bytes).await;
        assert!(!answer.starts_with("HTTP/"), "{answer}");
    }
    let config = client(&authority, None);
    assert_serves(&get(&stage, &config, &manifest("org/app", "v1")).await, &image);
    for mut half in halves {
        let mut rest = Vec::new();
        let _ = half.read_to_end(&mut rest).await;
    }
    assert_eq!(stage.gate.records().await.len(), 1, "only the whole handshake led to a request");
}

/// A stream between a client and the gate that carries what the client sends in pieces: its first record, the
/// ClientHello, as many records of few bytes each, all of it in packets of their own.
async fn in_pieces(address: SocketAddr) -> tokio::io::DuplexStream {
    const RECORD_HEAD: usize = 5;
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let gate = TcpStream::connect(address).await.unwrap();
    gate.set_nodelay(true).unwrap();
    let (mut answers, mut asks) = gate.into_split();
    let (mut from_client, mut to_client) = tokio::io::split(theirs);
    tokio::spawn(async move { tokio::io::copy(&mut answers, &mut to_client).await });
    tokio::spawn(async move {
        let mut head = [0; RECORD_HEAD];
        from_client.read_exact(&mut head).await?;
        let mut hello = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
        from_client.read_exact(&mut hello).await?;
        for piece in hello.chunks(16) {
            let length = u8::try_from(piece.len()).unwrap();
            let record = [&head[..3], &[0, length], piece].concat();
            for byte in record {
                asks.write_u8(byte).await?;
            }
        }
        tokio::io::copy(&mut from_client, &mut asks).await
    });
    ours
}

#[tokio::test]
async fn a056_a_client_hello_in_pieces_or_without_a_host_is_a_handshake_like_others() {
    let authority = Authority::new();
    let stage = stage(&authority).await;
    let image = stage.signed("org/app", "v1");
    let mut config = client(&authority, None).as_ref().clone();
    for sni in [true, false] {
        config.enable_sni = sni;
        let config = Arc::new(config.clone());
        assert_serves(&get(&stage, &config, &manifest("org/app", "v1")).await, &image);
        let name = ServerName::try_from("localhost").unwrap();
        let pieces = in_pieces(stage.gate.data).await;
        let stream = TlsConnector::from(config).connect(name, pieces).await.unwrap();
        assert_serves(&ask_over(stream, "localhost", "GET", &manifest("org/app", "v1")).await, &image);
    }
}

/// The gate is in this thread: its timers stand still but where the test says so, and whoever is served waited for none.
#[tokio::test(start_paused = true)]
async fn a056_hundreds_who_connect_and_say_nothing_are_closed_in_time_and_hold_up_nobody() {
    if !may_open_many_files() {
        return;
    }
    let (_still, authority) = (still(), Authority::new());
    let stage = stage(&authority).await;
    let image = stage.signed("org/app", "v1");
    let mut silent = Vec::new();
    for _ in 0..500 {
        silent.push(TcpStream::connect(stage.gate.data).await.unwrap());
    }
    let (config, bit) = (client(&authority, None), std::time::Duration::from_millis(10));
    for _ in 0..10 {
        assert_serves(&get(&stage, &config, &manifest("org/app", "v1")).await, &image);
    }
    tokio::time::advance(limits::TLS_HANDSHAKE - bit).await;
    for one in &mut silent {
        assert_open(one).await;
    }
    tokio::time::advance(bit).await;
    for one in &mut silent {
        assert_closed(one).await;
    }
}

#[tokio::test]
async fn a065_without_a_certificate_of_the_clients_authority_no_route_answers() {
    let (authority, clients, others) = (Authority::new(), Authority::new(), Authority::new());
    let pair = authority.server();
    let stage = Stage::with(KEYED, |setup| {
        with_pair(setup, &pair).file("clients.pem", clients.pem()).listen_also(MUTUAL)
    })
    .await;
    let image = stage.signed("org/app", "v1");
    let refused = [
        ("none", client(&authority, None)),
        ("another authority's", client(&authority, Some(&others.client()))),
        ("expired", client(&authority, Some(&clients.issue(ExtendedKeyUsagePurpose::ClientAuth, 2021)))),
        ("a server's", client(&authority, Some(&clients.server()))),
    ];
    for (what, config) in &refused {
        for target in ["/v2/", &manifest("org/app", "v1"), "/v2/org/app/tags/list"] {
            assert!(is_refused(&stage, config, target).await, "{what} {target}");
        }
    }
    assert!(
        !raw(stage.gate.data, "GET /v2/ HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            .await
            .contains("200")
    );
    assert_eq!(
        (stage.upstream.count("/"), stage.gate.records().await.len()),
        (0, 0),
        "no handler was called"
    );
    let good = client(&authority, Some(&clients.client()));
    assert_serves(&get(&stage, &good, &manifest("org/app", "v1")).await, &image);
}

#[tokio::test]
async fn a065_a_session_does_not_outlive_the_authority_of_its_client() {
    let (authority, before, after) = (Authority::new(), Authority::new(), Authority::new());
    let pair = authority.server();
    let stage = Stage::with(KEYED, |setup| {
        with_pair(setup, &pair).file("clients.pem", before.pem()).listen_also(MUTUAL)
    })
    .await;
    let (old, new) = (client(&authority, Some(&before.client())), client(&authority, Some(&after.client())));
    assert_eq!(get(&stage, &old, "/v2/").await.status, 200);
    assert!(is_refused(&stage, &new, "/v2/").await);
    stage.gate.write("clients.pem", after.pem());
    stage.reload(KEYED).await;
    assert!(is_refused(&stage, &old, "/v2/").await, "the same client, which kept what it learned");
    assert_eq!(get(&stage, &new, "/v2/").await.status, 200);
}

#[tokio::test]
async fn a_changed_certificate_is_shown_from_then_on_and_a_broken_one_changes_nothing() {
    let (before, after) = (Authority::new(), Authority::new());
    let stage = stage(&before).await;
    let (old, new) = (client(&before, None), client(&after, None));
    assert_eq!(get(&stage, &old, "/v2/").await.status, 200);
    let (pair, stranger) = (after.server(), after.server());
    stage.gate.write("cert.pem", &pair.cert);
    stage.gate.write("key.pem", &stranger.key);
    stage.reload(KEYED).await;
    assert_eq!(get(&stage, &old, "/v2/").await.status, 200, "a key of another certificate");
    let ready = ask(stage.gate.admin, "GET", "/readyz", &[]).await;
    assert!(String::from_utf8_lossy(&ready.body).contains("listen.tls"), "{ready:?}");
    stage.gate.write("key.pem", &pair.key);
    stage.reload(KEYED).await;
    assert_eq!(get(&stage, &new, "/v2/").await.status, 200);
    assert!(connect(stage.gate.data, &old).await.is_err());
}

#[tokio::test]
async fn a063_a_certificate_proves_its_names_to_the_rules_of_clients() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let pair = authority.server();
    let rules = "[clients]\nallow = [{ who = [\"localhost\"], read = [\"registry.test/org/**\"] }]\n";
    let stage = Stage::with(KEYED, |setup| {
        with_pair(setup, &pair).file("clients.pem", clients.pem()).listen_also(MUTUAL).table(rules)
    })
    .await;
    let (image, _) = (stage.signed("org/app", "v1"), stage.signed("private/app", "v1"));
    let config = client(&authority, Some(&clients.client()));
    assert_serves(&get(&stage, &config, &manifest("org/app", "v1")).await, &image);
    assert_eq!(stage.gate.record().await["client"]["names"], serde_json::json!(["localhost"]));
    assert_denied(&get(&stage, &config, &manifest("private/app", "v1")).await);
}

#[tokio::test]
async fn a_certificate_proves_no_name_that_only_a_token_could() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let pair = authority.server();
    let rules = "[clients]\noidc = [{ issuer = \"http://127.0.0.1:9\", audience = \"gate\", name = \"ci\" }]\nallow = [{ who = [\"oidc:ci:ci\", \"spiffe:ci\"], read = [\"**\"] }]\n";
    let stage = Stage::with(KEYED, |setup| {
        with_pair(setup, &pair).file("clients.pem", clients.pem()).listen_also(MUTUAL).table(rules)
    })
    .await;
    let image = stage.signed("org/app", "v1");
    let target = manifest("org/app", "v1");
    let other = client(&authority, Some(&clients.called("spiffe:ci")));
    assert_serves(&get(&stage, &other, &target).await, &image);
    let pretender = client(&authority, Some(&clients.called("oidc:ci:ci")));
    assert_eq!(get(&stage, &pretender, &target).await.status, 401);
    assert!(stage.gate.refusal().await["client"]["names"].is_null());
}
