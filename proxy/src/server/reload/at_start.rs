//! Settings that are read once, when the process starts: a reload reports each that has changed, until the restart.

use pullgate_config::Config;

/// Their keys, as they are written, and whether they are the same in two configurations.
type Setting = (&'static str, fn(&Config, &Config) -> bool);

const SETTINGS: [Setting; 8] = [
    ("admin.address", |a, b| a.admin.address == b.admin.address),
    ("audit.gate", |a, b| a.audit.gate == b.audit.gate),
    ("audit.key_file", |a, b| a.audit.key_file == b.audit.key_file),
    ("audit.log", |a, b| a.audit.log == b.audit.log),
    ("audit.on_failure", |a, b| a.audit.on_failure == b.audit.on_failure),
    ("listen.address", |a, b| a.listen.address == b.listen.address),
    ("seal_key_file", |a, b| a.seal_key_file == b.seal_key_file),
    ("state", |a, b| a.state == b.state),
];

/// The keys that are another now than at the start: they wait for a restart.
pub(super) fn waiting(started: &Config, now: &Config) -> Vec<&'static str> {
    SETTINGS.iter().filter(|(_, same)| !same(started, now)).map(|(key, _)| *key).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    /// The settings that a reload puts in force; a table includes all its keys.
    const AT_ONCE: [&str; 13] = [
        "audit.retain",
        "audit.retain_max",
        "audit.shadow",
        "cache.blobs_max",
        "cache.deny_ttl",
        "cache.permit_ttl",
        "cache.tag_ttl",
        "clients",
        "listen.default_registry",
        "listen.denied_head_status",
        "listen.trusted_proxies",
        "policy",
        "upstream",
    ];
    /// TLS: a changed certificate counts from the next handshake.
    const TLS: &str = "listen.tls";

    /// Every key of the configuration, tables by their keys, but those that a reload takes whole.
    fn keys(schema: &Value, of: &Value, before: &str, into: &mut BTreeSet<String>) {
        for (key, value) in of["properties"].as_object().into_iter().flatten() {
            let named = format!("{before}{key}");
            let target = value["$ref"]
                .as_str()
                .or_else(|| value["anyOf"].as_array()?.iter().find_map(|one| one["$ref"].as_str()));
            let table = target.and_then(|path| schema.pointer(path.trim_start_matches('#')));
            let is_whole = AT_ONCE.contains(&named.as_str()) || named == TLS;
            match table.filter(|table| !is_whole && table["properties"].is_object()) {
                Some(table) => keys(schema, table, &format!("{named}."), into),
                None => drop(into.insert(named)),
            }
        }
    }

    #[test]
    fn every_setting_is_taken_by_a_reload_or_reported_until_the_restart() {
        let text = include_str!("../../../../config/schema/pullgate.schema.json");
        let schema: Value = serde_json::from_str(text).unwrap();
        let mut written = BTreeSet::new();
        keys(&schema, &schema, "", &mut written);
        let at_start = SETTINGS.iter().map(|(key, _)| *key);
        let known: BTreeSet<String> = at_start.chain(AT_ONCE).chain([TLS]).map(str::to_owned).collect();
        assert_eq!(written, known);
    }
}
