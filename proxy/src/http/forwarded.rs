//! The client's address behind proxies: taken from those in `listen.trusted_proxies` only. It is for the pull log
//! alone; no verdict, right or limit rests on it.

use std::net::{IpAddr, SocketAddr};

use http::header::FORWARDED;
use http::{HeaderMap, HeaderName};
use ipnet::IpNet;

use crate::limits::FORWARDED_HOPS;

/// The header of most proxies, which append to it; the last entry is the newest.
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address that the last trusted proxy names, of those behind it; `None` where the peer is no such proxy, or its
/// header is unreadable. Where there is an `X-Forwarded-For`, a `Forwarded` is not read: a proxy that writes the first
/// passes on the second as its client wrote it.
pub(super) fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> Option<IpAddr> {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    if !is_trusted(&peer.to_canonical()) {
        return None;
    }
    let named = if headers.contains_key(&X_FORWARDED_FOR) { X_FORWARDED_FOR } else { FORWARDED };
    // A line that is not UTF-8 is read too: it must not hide a proxy's entry behind it.
    let texts: Vec<_> =
        headers.get_all(&named).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    let mut nearest = None;
    for hop in texts.iter().rev().flat_map(|text| text.rsplit(',')).take(FORWARDED_HOPS) {
        // Half of a quoted text: no trusted proxy wrote its content.
        let is_whole = hop.matches('"').count().is_multiple_of(2);
        let read = if named == FORWARDED { of_forwarded(hop) } else { address(hop) };
        let address = read.filter(|_| is_whole);
        // Entries further left are not vouched for.
        let Some(address) = address else { return nearest };
        nearest = Some(address);
        if !is_trusted(&address) {
            return nearest;
        }
    }
    nearest
}

/// `for` of one element (RFC 7239 §4); `None` where it is obfuscated or unknown.
fn of_forwarded(element: &str) -> Option<IpAddr> {
    let pair = element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then_some(value)
    });
    address(pair?)
}

/// An address, perhaps quoted, in brackets, or with a port.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let parsed = bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()));
    parsed.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn named(peer: &str, headers: &[(&str, &str)]) -> Option<String> {
        let trusted: Vec<IpNet> = ["10.0.0.0/8", "fd00::/8"].iter().map(|net| net.parse().unwrap()).collect();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(
                HeaderName::try_from(*name).unwrap(),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        client(peer.parse().unwrap(), &map, &trusted).map(|address| address.to_string())
    }

    #[test]
    fn a_trusted_proxy_names_its_client_and_nobody_else_does() {
        let x = "x-forwarded-for";
        for (peer, headers, expected) in [
            ("10.0.0.1", vec![(x, "192.0.2.7")], Some("192.0.2.7")),
            ("192.0.2.9", vec![(x, "192.0.2.7")], None),
            ("10.0.0.1", vec![], None),
            // What a client writes itself stands further left.
            ("10.0.0.1", vec![(x, "203.0.113.1, 192.0.2.7, 10.0.0.2")], Some("192.0.2.7")),
            ("10.0.0.1", vec![(x, "203.0.113.1"), (x, "192.0.2.7")], Some("192.0.2.7")),
            ("10.0.0.1", vec![(x, "203.0.113.1, nonsense, 10.0.0.2")], Some("10.0.0.2")),
            (
                "::ffff:10.0.0.1",
                vec![("forwarded", "for=203.0.113.1, For=\"[2001:db8::7]:4711\";proto=https")],
                Some("2001:db8::7"),
            ),
            ("10.0.0.1", vec![("forwarded", "for=_hidden")], None),
            // What a client sends of the other header is passed on by its proxy.
            ("10.0.0.1", vec![("forwarded", "for=203.0.113.66"), (x, "192.0.2.7")], Some("192.0.2.7")),
            ("10.0.0.1", vec![(x, "203.0.113.1, \u{e9}, 192.0.2.7")], Some("192.0.2.7")),
            ("10.0.0.1", vec![(x, "203.0.113.1"), (x, "\u{e9}, 192.0.2.7")], Some("192.0.2.7")),
            (
                "10.0.0.1",
                vec![("forwarded", "for=\"x, for=203.0.113.1, for=10.0.0.3\", for=10.0.0.2")],
                Some("10.0.0.2"),
            ),
            ("fd00::1", vec![(x, "192.0.2.7:80")], Some("192.0.2.7")),
        ] {
            assert_eq!(named(peer, &headers).as_deref(), expected, "{peer} {headers:?}");
        }
    }

    #[test]
    fn over_the_limit_of_hops_the_nearest_that_was_read_counts() {
        let hops = |n: usize| vec!["10.0.0.2"; n].join(", ");
        let within = format!("192.0.2.7, {}", hops(FORWARDED_HOPS - 1));
        assert_eq!(named("10.0.0.1", &[("x-forwarded-for", &within)]).as_deref(), Some("192.0.2.7"));
        let over = format!("192.0.2.7, {}", hops(FORWARDED_HOPS));
        assert_eq!(named("10.0.0.1", &[("x-forwarded-for", &over)]).as_deref(), Some("10.0.0.2"));
    }
}
