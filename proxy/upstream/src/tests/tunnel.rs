//! Through a proxy: a tunnel to what the configuration names, and no way inward.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::manifest;
use super::server::{redirect, upstream_via};
use super::tls::{Authority, registry, registry_that};
use crate::tunnel::Proxies;
use crate::{Fault, Upstream};

/// A proxy that knows one way, and whom it lets through.
struct Proxy {
    address: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    async fn before(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (heads, target) =
            (Arc::<Mutex<Vec<String>>>::default(), target.trim_start_matches("https://").to_owned());
        let seen = Arc::clone(&heads);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(client.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap();
                let known = head.to_lowercase().contains("proxy-authorization: basic dxnlcjpwdw==");
                seen.lock().push(head);
                if !known {
                    client.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await.unwrap();
                    continue;
                }
                let mut upstream = TcpStream::connect(&target).await.unwrap();
                client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                tokio::spawn(async move { tokio::io::copy_bidirectional(&mut client, &mut upstream).await });
            }
        });
        Self { address, heads }
    }

    fn lines(&self) -> Vec<String> {
        let first = |head: &String| head.lines().next().unwrap().to_owned();
        self.heads.lock().iter().map(first).collect()
    }
}

fn through(proxy: &Proxy, (user, no): (&str, &str), authority: &Authority) -> Upstream {
    let proxies = Proxies::one(&format!("http://{user}{}", proxy.address), no);
    upstream_via("https://registry.invalid", proxies, |table| table.ca_pem = Some(authority.pem()))
}

#[tokio::test]
async fn an_upstream_is_asked_through_the_proxy_under_its_own_certificate() {
    let ours = Authority::new();
    let proxy = Proxy::before(&registry(ours.issue("registry.invalid", 2099), None).await).await;
    assert!(manifest(&through(&proxy, ("user:pw@", ""), &ours)).await.is_ok());
    assert_eq!(proxy.lines(), ["CONNECT registry.invalid:443 HTTP/1.1"]);
    // Whoever stands at the other end of the tunnel is no upstream by that.
    let other = Proxy::before(&registry(Authority::new().issue("registry.invalid", 2099), None).await).await;
    assert_eq!(manifest(&through(&other, ("user:pw@", ""), &ours)).await.unwrap_err(), Fault::Tls);
}

#[tokio::test]
async fn without_the_proxy_there_is_no_other_way_and_no_proxy_is_none_for_whom_it_names() {
    let ours = Authority::new();
    let proxy = Proxy::before(&registry(ours.issue("registry.invalid", 2099), None).await).await;
    assert_eq!(manifest(&through(&proxy, ("", ""), &ours)).await.unwrap_err(), Fault::Unreachable, "407");
    assert!(!proxy.lines().is_empty());
    let before = proxy.lines().len();
    assert_eq!(
        manifest(&through(&proxy, ("user:pw@", "registry.invalid"), &ours)).await.unwrap_err(),
        Fault::Unreachable
    );
    assert_eq!(proxy.lines().len(), before, "NO_PROXY");
}

#[tokio::test]
async fn a161_a_redirect_leads_inward_through_no_proxy_either() {
    for (target, fault) in [
        ("https://169.254.169.254/latest", Fault::RedirectRefused),
        ("https://10.0.0.1/x", Fault::RedirectRefused),
        ("https://[::ffff:10.0.0.1]/x", Fault::RedirectRefused),
        ("https://[fd00::1]/x", Fault::RedirectRefused),
        // A name whose address, looked up here, is inward.
        ("https://2130706433/x", Fault::RedirectRefused),
        // It means nothing here, and whatever it likes there.
        ("https://metadata.invalid/x", Fault::Unreachable),
    ] {
        let ours = Authority::new();
        let url = registry_that(ours.issue("registry.invalid", 2099), None, redirect(target)).await;
        let proxy = Proxy::before(&url).await;
        let refused = manifest(&through(&proxy, ("user:pw@", ""), &ours)).await.unwrap_err();
        assert_eq!(refused, fault, "{target}");
        assert!(proxy.lines().iter().all(|line| line == "CONNECT registry.invalid:443 HTTP/1.1"), "{target}");
    }
}
