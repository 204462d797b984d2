//! Registries that were asked for and are not served.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use super::fit;
use crate::audit::read::{Filter, ReadError, Reader};
use crate::limits::REPORT_CLIENTS_OF_ONE;

/// A registry without `[upstream]`.
#[derive(Debug, Serialize)]
pub struct Unserved {
    /// As it was asked for.
    pub registry: String,
    /// Requests.
    pub requests: u64,
    /// Clients that asked for it.
    pub clients: BTreeSet<String>,
    /// The last time.
    pub last: Timestamp,
}

pub(super) async fn of(reader: &Reader, filter: Filter, most: usize) -> Result<Vec<Unserved>, ReadError> {
    let mut all: BTreeMap<String, Unserved> = BTreeMap::new();
    let filter = Filter { code: Some("registry-unknown".to_owned()), ..filter };
    for found in reader.strangers(filter).await? {
        let record = found.record;
        let registry = fit(&record.upstream);
        if all.len() >= most && !all.contains_key(&registry) {
            continue;
        }
        let new = || Unserved {
            registry: registry.clone(),
            requests: 0,
            clients: BTreeSet::new(),
            last: found.time,
        };
        let one = all.entry(registry.clone()).or_insert_with(new);
        one.requests = one.requests.saturating_add(record.count.max(1));
        one.last = one.last.max(found.time);
        if let Some(client) = record.client.filter(|_| one.clients.len() < REPORT_CLIENTS_OF_ONE) {
            let address = client.forwarded.unwrap_or_else(|| without_port(client.address));
            let name = if client.names.is_empty() { address } else { client.names.join(", ") };
            one.clients.insert(fit(&name));
        }
    }
    let mut all: Vec<Unserved> = all.into_values().collect();
    all.sort_by(|a, b| (Reverse(a.requests), &a.registry).cmp(&(Reverse(b.requests), &b.registry)));
    Ok(all)
}

fn without_port(address: String) -> String {
    let ip = address.parse::<std::net::SocketAddr>().map(|socket| socket.ip().to_canonical().to_string());
    ip.unwrap_or(address)
}
