//! Names that mean another address a moment later.

use std::net::Ipv4Addr;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

const PUBLIC: [u8; 4] = [1, 1, 1, 1];
const INWARD: [u8; 4] = [127, 0, 0, 1];

/// A resolver that gives these answers, one after the other.
fn resolver(answers: &[&[&str]]) -> (PublicOnly, Arc<Mutex<Vec<Vec<SocketAddr>>>>) {
    let address = |text: &&str| SocketAddr::new(text.parse().unwrap(), 0);
    let answers: Vec<_> = answers.iter().rev().map(|answer| answer.iter().map(address).collect()).collect();
    let left = Arc::new(Mutex::new(answers));
    let asked = Arc::clone(&left);
    let lookup = move |_: String| -> Boxed<Vec<SocketAddr>, BoxError> {
        let answer: Vec<SocketAddr> = asked.lock().pop().unwrap();
        Box::pin(async { Ok(answer) })
    };
    (PublicOnly(Arc::new(lookup)), left)
}

/// A connector to what no configuration names, by such a resolver. Its connections come from loopback, so that none
/// leaves this machine whatever it is to.
fn connector(names: PublicOnly, proxies: Proxies) -> Connector {
    let table = super::super::tests::table("https://registry.example");
    let settings = Settings::of(&"r.example".parse().unwrap(), &table).unwrap();
    let mut connector = Connector::new(&settings, Arc::new(Notices::of(&settings.registry))).unwrap();
    let mut public = HttpConnector::new_with_resolver(names.clone());
    prepare(&mut public);
    public.set_local_address(Some(Ipv4Addr::LOCALHOST.into()));
    connector.anywhere.set_local_address(Some(Ipv4Addr::LOCALHOST.into()));
    Connector { public, names, proxies, ..connector }
}

#[tokio::test]
async fn a161_of_the_addresses_of_a_name_the_public_ones_alone_are_dialled() {
    let inward =
        ["127.0.0.1", "10.0.0.1", "169.254.169.254", "100.64.0.1", "::1", "fd00::1", "::ffff:127.0.0.1"];
    let mixed = [&inward[..3], &["1.1.1.1"], &inward[3..], &["2606:4700:4700::1111"]].concat();
    let (names, _) = resolver(&[&mixed, &inward, &[]]);
    let found = names.addresses("mixed.example").await.unwrap();
    let found: Vec<String> = found.iter().map(|address| address.ip().to_string()).collect();
    assert_eq!(found, ["1.1.1.1", "2606:4700:4700::1111"]);
    for what in ["inward", "nothing"] {
        let refused = names.addresses("r.example").await.unwrap_err();
        assert_eq!(refused.downcast_ref(), Some(&Fault::RedirectRefused), "{what}");
    }
}

#[tokio::test]
async fn a161_the_address_that_was_checked_is_dialled_without_a_second_lookup() {
    let inward = TcpListener::bind((IpAddr::from(INWARD), 0)).await.unwrap();
    // What the system means by this name is inward, and so it is by the resolver of the test from the second time on.
    let url: Uri = format!("http://localhost:{}/x", inward.local_addr().unwrap().port()).parse().unwrap();
    let (names, left) = resolver(&[&["1.1.1.1"], &["127.0.0.1"], &["127.0.0.1"]]);
    let connector = connector(names, Proxies::default());
    let dialled = connector.clone().connect(url.clone()).await.map(|_| ());
    assert_eq!(dialled, Err(Fault::Unreachable), "{}: not from loopback", IpAddr::from(PUBLIC));
    assert_eq!(left.lock().len(), 2, "one lookup");
    assert_eq!(connector.connect(url).await.map(|_| ()), Err(Fault::RedirectRefused));
    assert_eq!(left.lock().len(), 1);
    let nobody = tokio::time::timeout(Duration::from_millis(100), inward.accept()).await;
    assert!(nobody.is_err(), "dialled inward");
}

#[tokio::test]
async fn a161_a_proxy_too_is_told_the_address_that_was_checked_and_not_the_name() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    let asked = tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(client.read_u8().await.unwrap());
        }
        client.write_all(b"HTTP/1.1 502 No\r\n\r\n").await.unwrap();
        (String::from_utf8(head).unwrap(), listener)
    });
    let (names, left) = resolver(&[&["10.0.0.1", "1.1.1.1"], &["10.0.0.1"]]);
    let connector = connector(names, Proxies::one(&proxy, ""));
    let url: Uri = "https://rebinding.example/x".parse().unwrap();
    assert_eq!(connector.clone().connect(url.clone()).await.map(|_| ()), Err(Fault::Unreachable));
    let (head, listener) = asked.await.unwrap();
    assert!(head.starts_with("CONNECT 1.1.1.1:443 HTTP/1.1\r\n") && !head.contains("rebinding"), "{head}");
    assert_eq!(connector.connect(url).await.map(|_| ()), Err(Fault::RedirectRefused));
    assert!(left.lock().is_empty());
    let nobody = tokio::time::timeout(Duration::from_millis(100), listener.accept()).await;
    assert!(nobody.is_err(), "the proxy is not asked about what is inward");
}
