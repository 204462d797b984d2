//! The address that gates and registries of the suites listen at.
#![expect(clippy::panic, reason = "a helper of a test may fail as the test itself may")]

use std::net::{IpAddr, Ipv4Addr};

/// The variable that names another address of loopback, for example `::1`.
pub const VARIABLE: &str = "PULLGATE_LOOPBACK";

/// Loopback: 127.0.0.1 unless the environment names another.
///
/// # Panics
/// Where it names something else.
#[must_use]
pub fn address() -> IpAddr {
    let Ok(named) = std::env::var(VARIABLE) else { return Ipv4Addr::LOCALHOST.into() };
    let address = named.parse::<IpAddr>().ok().filter(IpAddr::is_loopback);
    address.unwrap_or_else(|| panic!("{VARIABLE}={named} is no address of loopback"))
}
