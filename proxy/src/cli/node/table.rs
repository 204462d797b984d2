//! Small readings of foreign tables.

use serde_json::Value;

/// A text that is there and says something.
pub(super) fn word<'a>(table: &'a Value, key: &str) -> Option<&'a str> {
    table.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// The tables of a list.
pub(super) fn each<'a>(table: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    table.get(key).and_then(Value::as_array).into_iter().flatten()
}

/// The texts of a list.
pub(super) fn words<'a>(table: &'a Value, key: &str) -> impl Iterator<Item = &'a str> {
    each(table, key).filter_map(Value::as_str)
}

/// Whether it says so; whatever is no truth value says no.
pub(super) fn says(table: &Value, key: &str) -> bool {
    table.get(key) == Some(&Value::Bool(true))
}
