//! Whether a record of the pull log is one by the published schema: of JSON Schema the words that it is written in, and no
//! others.
#![expect(clippy::panic, reason = "a helper of a test may fail as the test itself may")]

use std::sync::LazyLock;

use serde_json::Value;

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let text = include_str!("../../proxy/schema/audit.schema.json");
    serde_json::from_str(text).unwrap_or_else(|fault| panic!("the schema: {fault}"))
});

/// Every word of a schema that is understood, or says nothing of a value.
const WORDS: [&str; 16] = [
    "$defs",
    "$ref",
    "$schema",
    "anyOf",
    "const",
    "description",
    "enum",
    "format",
    "items",
    "maximum",
    "minimum",
    "oneOf",
    "properties",
    "required",
    "title",
    "type",
];

/// Fails where a line of the pull log is no record by the schema.
///
/// # Panics
/// Then.
pub fn assert_record(line: &Value) {
    if let Err(why) = check(&SCHEMA, line) {
        panic!("no record by proxy/schema/audit.schema.json: {why}: {line}");
    }
    let time = line["time"].as_str().unwrap_or_default();
    assert_eq!(time.len(), "2026-11-30T12:00:00.000Z".len(), "a time of another width: {line}");
}

fn check(schema: &Value, value: &Value) -> Result<(), String> {
    let Some(words) = schema.as_object() else { return Ok(()) };
    for (word, says) in words {
        let right = match word.as_str() {
            "$ref" => {
                let path = says.as_str().unwrap_or_default().trim_start_matches('#');
                let other = SCHEMA.pointer(path).ok_or_else(|| format!("no {path}"))?;
                check(other, value)?;
                true
            }
            "type" => match says {
                Value::Array(types) => types.iter().any(|one| is_type(one, value)),
                one => is_type(one, value),
            },
            "const" => says == value,
            "enum" => says.as_array().is_some_and(|all| all.contains(value)),
            "anyOf" | "oneOf" => {
                says.as_array().is_some_and(|all| all.iter().any(|one| check(one, value).is_ok()))
            }
            "required" => says.as_array().is_some_and(|all| {
                all.iter().all(|key| key.as_str().is_some_and(|key| value.get(key).is_some()))
            }),
            "maximum" => value.as_f64() <= says.as_f64(),
            "minimum" => value.as_f64() >= says.as_f64(),
            "format" if says == "date-time" => {
                value.as_str().is_some_and(|text| text.parse::<jiff::Timestamp>().is_ok())
            }
            "items" => {
                for item in value.as_array().into_iter().flatten() {
                    check(says, item)?;
                }
                true
            }
            "properties" => {
                for (key, member) in value.as_object().into_iter().flatten() {
                    let of = says.get(key).ok_or_else(|| format!("`{key}` is no field"))?;
                    check(of, member).map_err(|why| format!("`{key}`: {why}"))?;
                }
                true
            }
            word => WORDS.contains(&word),
        };
        if !right {
            return Err(format!("`{word}` is {says}"));
        }
    }
    Ok(())
}

fn is_type(name: &Value, value: &Value) -> bool {
    match name.as_str().unwrap_or_default() {
        "array" => value.is_array(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "object" => value.is_object(),
        "string" => value.is_string(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record() -> Value {
        json!({
            "time": "2026-11-30T12:00:00.000Z", "id": "00", "kind": "manifest", "verdict": "deny", "status": 403,
            "policy_revision": "", "trust_revision": "", "milliseconds": 0,
        })
    }

    #[test]
    fn what_is_no_record_is_found() {
        assert_eq!(check(&SCHEMA, &record()), Ok(()));
        for (key, value) in [
            ("time", json!("yesterday")),
            ("kind", json!("other")),
            ("status", json!("403")),
            ("status", json!(null)),
            ("reasons", json!([{ "code": 1, "text": "" }])),
            ("unknown", json!(1)),
        ] {
            let mut record = record();
            record[key] = value;
            assert!(check(&SCHEMA, &record).is_err(), "{record}");
        }
        let mut short = record();
        short.as_object_mut().unwrap().remove("status");
        assert!(check(&SCHEMA, &short).is_err());
    }
}
