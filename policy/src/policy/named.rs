//! Two sets of named things, compared.

use std::collections::BTreeMap;

/// A sentence for each name that is new, gone, or stands for something else.
#[must_use]
pub fn changes(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<String> {
    let gone = before.keys().filter(|name| !after.contains_key(*name)).map(|name| format!("{name}: removed"));
    let others = after.iter().filter_map(|(name, text)| match before.get(name) {
        None => Some(format!("{name}: added")),
        Some(other) if other != text => Some(format!("{name}: changed")),
        Some(_) => None,
    });
    gone.chain(others).collect()
}
