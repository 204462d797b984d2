//! One JSON reader for everything that is judged: manifests, indexes, payloads, statements, bundles (A126, A127, A258).
//!
//! Two readers that disagree are an attack: Go takes the last of two equal keys and matches keys without regard to
//! case. So equal keys, and keys that differ by case alone, are refused at every depth.

use serde::de::{self, DeserializeSeed as _};
use serde_json::{Number, Value};

use crate::limits;

/// Why a text is not the JSON that may be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonFault {
    /// Two keys of one object are equal, or equal but for case.
    #[error("an object has a key twice")]
    Ambiguous,
    /// Deeper than `json_depth`.
    #[error("nested deeper than {} levels", limits::JSON_DEPTH)]
    Depth,
    /// More values than the caller allows.
    #[error("more values than are read")]
    Values,
    /// A number that not every reader holds exactly.
    #[error("a number is out of range")]
    Number,
    /// Not JSON (RFC 8259), not UTF-8, or followed by something else.
    #[error("not valid JSON")]
    Syntax,
}

mod lent;
mod memory;
mod object;
mod tree;
mod without;

pub use lent::{parse_bundle, parse_envelope};
pub use without::{Left, fits, parse_without};

/// Reads one JSON text whose values take at most `json_memory`: parsed values can take a hundred times the bytes of
/// their text (A127, A602).
///
/// # Errors
/// [`JsonFault`] names the first fault.
pub fn parse(bytes: &[u8]) -> Result<Value, JsonFault> {
    parse_within(bytes, limits::JSON_MEMORY)
}

/// Reads one JSON text of at most `values` values.
///
/// # Errors
/// [`JsonFault`] names the first fault.
pub fn parse_up_to(bytes: &[u8], values: usize) -> Result<Value, JsonFault> {
    read(bytes, &mut Reading::new(values, usize::MAX))
}

/// Reads one JSON text whose values take at most `memory` bytes.
///
/// # Errors
/// [`JsonFault`] names the first fault.
pub fn parse_within(bytes: &[u8], memory: usize) -> Result<Value, JsonFault> {
    read(bytes, &mut Reading::new(usize::MAX, memory))
}

/// As [`parse_within`], for a text with free-form maps such as build arguments or labels: keys that differ by case
/// alone (`HTTP_PROXY` and `http_proxy`) are two keys, unless one of them is in `names`. Equal keys are refused as
/// everywhere.
///
/// # Errors
/// [`JsonFault`] names the first fault.
pub fn parse_free_form(bytes: &[u8], memory: usize, names: Names) -> Result<(Value, usize), JsonFault> {
    let mut reading = Reading { names: Some(names), ..Reading::new(usize::MAX, memory) };
    let value = read(bytes, &mut reading)?;
    Ok((value, memory - reading.memory))
}

/// Names that are read in a text of free form.
pub type Names = &'static [&'static str];

/// The same, with the bytes that they take.
///
/// # Errors
/// [`JsonFault`] names the first fault.
pub fn parse_counted(bytes: &[u8], memory: usize) -> Result<(Value, usize), JsonFault> {
    let mut reading = Reading::new(usize::MAX, memory);
    let value = read(bytes, &mut reading)?;
    Ok((value, memory - reading.memory))
}

fn read(bytes: &[u8], reading: &mut Reading) -> Result<Value, JsonFault> {
    read_lending(bytes, lent::Lend::No, reading)
}

fn read_lending(bytes: &[u8], lend: lent::Lend, reading: &mut Reading) -> Result<Value, JsonFault> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = tree::Node::lending(reading, lend)
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value));
    reading.answer(value)
}

/// The state of a text that is being read.
struct Reading {
    fault: Option<JsonFault>,
    /// How many values may still come.
    values: usize,
    /// How many bytes of memory they may still take.
    memory: usize,
    /// The names that are read, where other keys are of free form.
    names: Option<Names>,
    /// The payload of an envelope, where it is not kept.
    lent: Option<lent::Lent>,
}

impl Reading {
    fn new(values: usize, memory: usize) -> Self {
        Self { fault: None, values, memory, names: None, lent: None }
    }

    /// Whether a key of this folded form is read by its name.
    fn is_read(&self, folded: &str) -> bool {
        self.names.is_none_or(|names| names.iter().any(|name| fold(name) == folded))
    }

    fn answer<T>(&self, read: Result<T, serde_json::Error>) -> Result<T, JsonFault> {
        match (read, self.fault) {
            (_, Some(fault)) => Err(fault),
            (Ok(value), None) => Ok(value),
            (Err(_), None) => Err(JsonFault::Syntax),
        }
    }

    fn fail<E: de::Error>(&mut self, fault: JsonFault) -> E {
        self.fault = Some(fault);
        E::custom(fault)
    }

    /// One value more.
    fn value<E: de::Error>(&mut self) -> Result<(), E> {
        match self.values.checked_sub(1) {
            Some(left) => self.values = left,
            None => return Err(self.fail(JsonFault::Values)),
        }
        Ok(())
    }

    /// Takes `bytes` more of the memory.
    fn take<E: de::Error>(&mut self, bytes: usize) -> Result<(), E> {
        match self.memory.checked_sub(bytes) {
            Some(left) => self.memory = left,
            None => return Err(self.fail(JsonFault::Values)),
        }
        Ok(())
    }

    /// A level deeper.
    fn descend<E: de::Error>(&mut self, depth: usize) -> Result<(), E> {
        if depth >= limits::JSON_DEPTH { Err(self.fail(JsonFault::Depth)) } else { Ok(()) }
    }

    /// A fraction, or an integer too large for u64, which arrives rounded: refused rather than changed.
    fn number<E: de::Error>(&mut self, value: f64) -> Result<Number, E> {
        const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
        match Number::from_f64(value) {
            Some(number) if value.fract() != 0.0 || value.abs() < WHOLE_MAX => Ok(number),
            Some(_) | None => Err(self.fail(JsonFault::Number)),
        }
    }
}

/// The case folding of Go's `encoding/json`, the reader that most nodes use: ASCII, and the two letters that Unicode
/// folds into ASCII (`ſ` to `s`, the Kelvin sign to `k`).
#[must_use]
pub fn fold(key: &str) -> String {
    key.chars()
        .map(|c| match c {
            '\u{17f}' => 's',
            '\u{212a}' => 'k',
            c => c.to_ascii_lowercase(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every reader says the same of a text.
    fn faults(text: &[u8]) -> [Result<(), JsonFault>; 3] {
        let all = usize::MAX;
        [
            parse(text).map(|_| ()),
            fits(text, all).map(|_| ()),
            parse_without(text, "a", all, None).map(|_| ()),
        ]
    }

    #[test]
    fn a126_equal_keys_and_keys_equal_but_for_case_are_refused_at_any_depth() {
        for text in [
            r#"{"a":1,"a":2}"#,
            r#"{"layers":[],"Layers":[]}"#,
            r#"{"Layers":[],"layers":[]}"#,
            r#"{"LAYERS":[],"Layers":[]}"#,
            r#"{"x":[{"digest":"","DIGEST":""}]}"#,
            "{\"keys\":1,\"\u{212a}ey\u{17f}\":2}",
            r#"{"a":1,"\u0061":2}"#,
        ] {
            assert_eq!(faults(text.as_bytes()), [Err(JsonFault::Ambiguous); 3], "{text}");
        }
    }

    #[test]
    fn a126_free_form_keys_that_differ_by_case_are_two_unless_one_is_read() {
        let parse = |text: &str| {
            let read = parse_free_form(text.as_bytes(), usize::MAX, &["digest", "buildType"]);
            read.map(|(value, _)| value)
        };
        for text in [
            r#"{"HTTP_PROXY":"a","http_proxy":"b"}"#,
            r#"{"x":[{"Team":1,"team":2,"TEAM":3}],"digest":1}"#,
            "{\"keys\":1,\"\u{212a}ey\u{17f}\":2}",
        ] {
            assert_eq!(parse(text), Ok(serde_json::from_str(text).unwrap()), "{text}");
        }
        for text in [
            r#"{"a":1,"a":2}"#,
            r#"{"x":{"HTTP_PROXY":1,"http_proxy":2,"HTTP_PROXY":3}}"#,
            r#"{"x":[{"digest":"","DIGEST":""}]}"#,
            r#"{"BuildType":1,"buildtype":2}"#,
        ] {
            assert_eq!(parse(text), Err(JsonFault::Ambiguous), "{text}");
        }
    }

    #[test]
    fn each_kind_of_value_is_read_as_it_is() {
        let text = r#"{"a":[null,true,false,-1,1,0.5,-2.5,1.0,1e3,"x","\n",[],{}]}"#;
        let expected = serde_json::json!({
            "a": [null, true, false, -1, 1, 0.5, -2.5, 1.0, 1000.0, "x", "\n", [], {}]
        });
        assert_eq!(parse(text.as_bytes()), Ok(expected));
    }

    #[test]
    fn a126_what_is_not_json_is_refused() {
        for bytes in [
            &b"{} x"[..],
            b"\xef\xbb\xbf{}",
            b"{\"a\":\"\xff\"}",
            b"NaN",
            b"{\"a\":1}\0",
            b"",
            br#"{"a":"\ud800"}"#,
            b"[1,]",
        ] {
            assert_eq!(faults(bytes), [Err(JsonFault::Syntax); 3], "{bytes:?}");
        }
    }

    #[test]
    fn a127_depth_is_limited_by_one() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(parse(nested(limits::JSON_DEPTH).as_bytes()).is_ok());
        assert_eq!(faults(nested(limits::JSON_DEPTH + 1).as_bytes()), [Err(JsonFault::Depth); 3]);
        let objects = |n: usize| format!("{}1{}", r#"{"a":"#.repeat(n), "}".repeat(n));
        assert!(parse(objects(limits::JSON_DEPTH).as_bytes()).is_ok());
        assert_eq!(faults(objects(limits::JSON_DEPTH + 1).as_bytes()), [Err(JsonFault::Depth); 3]);
        assert!(parse(nested(100_000).as_bytes()).is_err());
    }

    #[test]
    fn a127_values_are_limited_by_one() {
        for text in [r#"[1,2,[3,"four"]]"#, r#"{"a":1,"b":2,"c":{"d":3,"e":null}}"#] {
            assert!(parse_up_to(text.as_bytes(), 6).is_ok(), "{text}");
            assert_eq!(parse_up_to(text.as_bytes(), 5), Err(JsonFault::Values), "{text}");
        }
    }

    #[test]
    fn a258_numbers_are_exact_or_refused() {
        for text in ["9007199254740993", "-9223372036854775808", "18446744073709551615", "1.5", "0"] {
            assert_eq!(faults(text.as_bytes()), [Ok(()); 3], "{text}");
        }
        for text in [
            "18446744073709551616",
            "1e400",
            "1e300",
            "-9223372036854775809",
            "01",
            "+1",
            "9007199254740992.0",
        ] {
            assert!(faults(text.as_bytes()).iter().all(Result::is_err), "{text}");
        }
    }
}
