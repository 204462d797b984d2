//! The gate, as a runtime reaches it.

use http::Uri;
use http::uri::Scheme;

/// Where a runtime finds the gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Gate {
    pub(in crate::cli) tls: Transport,
    pub(in crate::cli) authority: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Transport {
    Plain,
    Tls,
}

impl Gate {
    /// An address without a path.
    pub(in crate::cli) fn parse(text: &str) -> Result<Self, String> {
        let says = || {
            "an address such as http://127.0.0.1:5000 or https://gate.example:5000, without a path".to_owned()
        };
        let uri: Uri = text.parse().map_err(|_| says())?;
        let tls = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => Transport::Plain,
            Some(scheme) if *scheme == Scheme::HTTPS => Transport::Tls,
            Some(_) | None => return Err(says()),
        };
        match uri.authority() {
            Some(authority)
                if uri.path() == "/" && uri.query().is_none() && !authority.as_str().contains('@') =>
            {
                Ok(Self { tls, authority: authority.to_string() })
            }
            Some(_) | None => Err(says()),
        }
    }

    pub(in crate::cli) fn scheme(&self) -> &'static str {
        match self.tls {
            Transport::Plain => "http",
            Transport::Tls => "https",
        }
    }

    /// Whether nobody else than this machine is asked.
    pub(in crate::cli) fn is_loopback(&self) -> bool {
        let host = self.authority.rsplit_once(':').map_or(self.authority.as_str(), |(host, _)| host);
        host == "localhost" || host.starts_with("127.") || host == "[::1]"
    }

    /// Whether an address of a runtime's configuration, with or without scheme and path, is this gate's.
    fn is_at(&self, address: &str) -> bool {
        let (scheme, rest) = address.split_once("://").unwrap_or(("", address));
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default().to_ascii_lowercase();
        let ours = self.authority.to_ascii_lowercase();
        let port = match scheme {
            "http" => ":80",
            "https" | "" => ":443",
            _ => return false,
        };
        let own_port = match self.tls {
            Transport::Plain => ":80",
            Transport::Tls => ":443",
        };
        // Without a scheme it is a name and a port, as `registries.conf` writes it.
        (scheme.is_empty() && authority == ours)
            || with_port(&authority, port) == with_port(&ours, own_port) && !authority.is_empty()
    }
}

fn with_port(authority: &str, port: &str) -> String {
    let has = authority
        .rsplit_once(':')
        .is_some_and(|(_, digits)| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit()));
    if has { authority.to_owned() } else { format!("{authority}{port}") }
}

impl std::fmt::Display for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}", self.scheme(), self.authority)
    }
}

/// Whether an address is that of one of the gates.
pub(super) fn is_gate(gates: &[Gate], address: &str) -> bool {
    gates.iter().any(|gate| gate.is_at(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_the_gates_by_host_and_port_alone() {
        let gates = ["http://127.0.0.1:5000", "https://gate.example"].map(|text| Gate::parse(text).unwrap());
        for ours in [
            "http://127.0.0.1:5000",
            "127.0.0.1:5000/docker.io",
            "https://127.0.0.1:5000/v2",
            "https://GATE.example/v2",
            "gate.example:443",
        ] {
            assert!(is_gate(&gates, ours), "{ours}");
        }
        for other in [
            "",
            "http://127.0.0.1:5001",
            "127.0.0.1",
            "http://127.0.0.1:5000.evil.example",
            "http://127.0.0.1:5000@evil.example",
            "http://evil.example/127.0.0.1:5000",
            "http://gate.example",
            "unix://127.0.0.1:5000",
            "docker.io",
        ] {
            assert!(!is_gate(&gates, other), "{other}");
        }
    }
}
