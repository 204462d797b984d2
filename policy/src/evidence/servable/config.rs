//! The second defence, independent of reading archives: a config that starts nothing is not run (A601).

use serde_json::Value;

/// Tells whether an image config names anything that a runtime would start, mount or set: entry point, command, user,
/// volumes, environment, and whatever comes after them. cosign writes `"config":{}`, or none.
pub(super) fn is_of_something_that_runs(config: &Value) -> bool {
    // Go, in which runtimes read it, matches keys without regard to case.
    let runs = |key: &str| ["config", "container_config"].iter().any(|name| key.eq_ignore_ascii_case(name));
    config.as_object().is_some_and(|members| members.iter().any(|(key, value)| runs(key) && !is_empty(value)))
}

/// Nothing, or an object of nothings.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(members) => members.values().all(|value| match value {
            Value::Object(inner) => inner.is_empty(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                is_empty(value)
            }
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a601_a_config_that_names_anything_to_run_is_not_one_of_evidence() {
        for config in [
            json!({"config": {"Entrypoint": ["/bin/run"]}}),
            json!({"config": {"Cmd": ["/bin/run"]}}),
            json!({"config": {"User": "root"}}),
            json!({"config": {"Volumes": {"/srv": {}}}}),
            json!({"config": {"Env": ["PATH=/bin"], "Cmd": null}}),
            json!({"config": {"WorkingDir": "/"}}),
            json!({"config": {"Healthcheck": {"Test": ["CMD", "x"]}}}),
            json!({"config": {"ArgsEscaped": true}}),
            json!({"config": {"entrypoint": ["/bin/run"]}}),
            json!({"Config": {"ENTRYPOINT": ["/bin/run"]}}),
            json!({"CONFIG": {"cMD": "x"}}),
            json!({"container_config": {"Cmd": ["x"]}}),
            json!({"Container_Config": {"Cmd": ["x"]}}),
            json!({"config": ["x"]}),
            json!({"config": "x"}),
        ] {
            assert!(is_of_something_that_runs(&config), "{config}");
        }
    }

    #[test]
    fn a_config_as_signers_write_it_names_nothing() {
        for config in [
            json!({}),
            json!({"architecture": "", "created": "0001-01-01T00:00:00Z", "history": [{"created": "0001-01-01T00:00:00Z"}],
                "os": "", "rootfs": {"type": "layers", "diff_ids": ["sha256:00"]}, "config": {}}),
            json!({"architecture": "unknown", "os": "unknown", "config": {}}),
            json!({"config": null}),
            json!({"config": {"Entrypoint": null, "Cmd": [], "User": "", "Volumes": {}, "AttachStdin": false}}),
        ] {
            assert!(!is_of_something_that_runs(&config), "{config}");
        }
    }
}
