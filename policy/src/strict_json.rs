//! One JSON reader for everything that is judged: manifests, indexes, payloads, statements, bundles (A126, A127, A258).
//!
//! Two readers that disagree are an attack: Go takes the last of two equal keys and matches keys without regard to
//! case. So equal keys, and keys that differ by case alone, are refused at every depth.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

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
    /// More values than the reader was told to expect.
    #[error("more values than are read")]
    Values,
    /// A number that not every reader holds exactly.
    #[error("a number is out of range")]
    Number,
    /// Not JSON (RFC 8259), not UTF-8, or followed by something else.
    #[error("not valid JSON")]
    Syntax,
}

/// Reads one JSON text.
///
/// # Errors
/// [`JsonFault`] names the first fault.
pub fn parse(bytes: &[u8]) -> Result<Value, JsonFault> {
    parse_up_to(bytes, usize::MAX)
}

/// Reads one JSON text of at most so many values: one in memory takes much more than the two bytes that it can be as text
/// (A127).
///
/// # Errors
/// [`JsonFault`] names the first fault.
pub fn parse_up_to(bytes: &[u8], values: usize) -> Result<Value, JsonFault> {
    let mut reading = Reading { fault: None, left: values };
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Node { depth: 0, reading: &mut reading }
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value));
    match (value, reading.fault) {
        (_, Some(fault)) => Err(fault),
        (Ok(value), None) => Ok(value),
        (Err(_), None) => Err(JsonFault::Syntax),
    }
}

/// What is known of a text that is being read.
struct Reading {
    fault: Option<JsonFault>,
    /// How many values may still come.
    left: usize,
}

/// A value inside `depth` arrays and objects.
struct Node<'a> {
    depth: usize,
    reading: &'a mut Reading,
}

impl Node<'_> {
    fn fail<E: de::Error>(self, fault: JsonFault) -> E {
        self.reading.fault = Some(fault);
        E::custom(fault)
    }

    /// One inside this one.
    fn inner(&mut self) -> Node<'_> {
        Node { depth: self.depth + 1, reading: &mut *self.reading }
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        match self.reading.left.checked_sub(1) {
            Some(left) => self.reading.left = left,
            None => return Err(self.fail(JsonFault::Values)),
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        // A whole number that is too large for u64 arrives here rounded: refused rather than changed.
        const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
        match Number::from_f64(value) {
            Some(number) if value.fract() != 0.0 || value.abs() < WHOLE_MAX => Ok(Value::Number(number)),
            Some(_) | None => Err(self.fail(JsonFault::Number)),
        }
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<Value, A::Error> {
        if self.depth >= limits::JSON_DEPTH {
            return Err(self.fail(JsonFault::Depth));
        }
        let mut values = Vec::new();
        while let Some(value) = seq.next_element_seed(self.inner())? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Value, A::Error> {
        if self.depth >= limits::JSON_DEPTH {
            return Err(self.fail(JsonFault::Depth));
        }
        let mut object = Map::new();
        // Folded forms of keys that are not their own: the others stand in the object, and a key is held once (A127).
        let mut folded = BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            let value = map.next_value_seed(self.inner())?;
            let fold = fold(&key);
            let seen = object.contains_key(&fold) || folded.contains(&fold);
            if seen {
                return Err(self.fail(JsonFault::Ambiguous));
            }
            if fold != key {
                folded.insert(fold);
            }
            object.insert(key, value);
        }
        Ok(Value::Object(object))
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
            assert_eq!(parse(text.as_bytes()), Err(JsonFault::Ambiguous), "{text}");
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
            assert_eq!(parse(bytes), Err(JsonFault::Syntax), "{bytes:?}");
        }
    }

    #[test]
    fn a127_depth_is_limited_by_one() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(parse(nested(limits::JSON_DEPTH).as_bytes()).is_ok());
        assert_eq!(parse(nested(limits::JSON_DEPTH + 1).as_bytes()), Err(JsonFault::Depth));
        let objects = |n: usize| format!("{}1{}", r#"{"a":"#.repeat(n), "}".repeat(n));
        assert!(parse(objects(limits::JSON_DEPTH).as_bytes()).is_ok());
        assert_eq!(parse(objects(limits::JSON_DEPTH + 1).as_bytes()), Err(JsonFault::Depth));
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
            assert!(parse(text.as_bytes()).is_ok(), "{text}");
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
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
