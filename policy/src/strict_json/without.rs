//! One reader keeps nothing, the other all but one member: a statement of 16 MiB is read as strictly as any other, and
//! takes no more memory than its bytes (A602).

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::object::{self, Members};
use super::{JsonFault, Names, Reading, memory, tree};
use crate::limits;

/// The kind of a member that was read and not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// Null.
    Null,
    /// An object.
    Object,
    /// Anything else.
    Other,
}

/// Reads one JSON text, keeps nothing, and says how much memory its values would take.
///
/// # Errors
/// [`JsonFault`] names the first fault; [`JsonFault::Values`] where they would take more than `memory`.
pub fn fits(bytes: &[u8], memory: usize) -> Result<usize, JsonFault> {
    let mut reading = Reading::new(usize::MAX, limits::JSON_MEMORY);
    let mut would = memory;
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let read = Skim { depth: 0, reading: &mut reading, would: &mut would }
        .deserialize(&mut deserializer)
        .and_then(|_| deserializer.end());
    reading.answer(read).map(|()| memory - would)
}

/// Reads one JSON object and keeps it without its member `name`, of which it returns the kind. The rest takes at most
/// `memory`. With `names` keys are of free form, as [`parse_free_form`](super::parse_free_form) reads them.
///
/// # Errors
/// [`JsonFault`] names the first fault.
pub fn parse_without(
    bytes: &[u8],
    name: &str,
    memory: usize,
    names: Option<Names>,
) -> Result<(Value, Option<Left>), JsonFault> {
    let mut reading = Reading { names, ..Reading::new(usize::MAX, memory) };
    let mut left = None;
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Without { name, left: &mut left, reading: &mut reading }
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value));
    reading.answer(value).map(|value| (value, left))
}

/// A value that is read and not kept.
struct Skim<'a> {
    depth: usize,
    reading: &'a mut Reading,
    /// What is left of the memory that the value would take if it were kept.
    would: &'a mut usize,
}

impl Skim<'_> {
    fn inner(&mut self) -> Skim<'_> {
        Skim { depth: self.depth + 1, reading: &mut *self.reading, would: &mut *self.would }
    }

    fn would<E: de::Error>(&mut self, bytes: usize) -> Result<(), E> {
        match self.would.checked_sub(bytes) {
            Some(left) => *self.would = left,
            None => return Err(self.reading.fail(JsonFault::Values)),
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Skim<'_> {
    type Value = Left;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Left, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Skim<'_> {
    type Value = Left;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Left, E> {
        Ok(Left::Null)
    }

    fn visit_bool<E: de::Error>(self, _value: bool) -> Result<Left, E> {
        Ok(Left::Other)
    }

    fn visit_i64<E: de::Error>(self, _value: i64) -> Result<Left, E> {
        Ok(Left::Other)
    }

    fn visit_u64<E: de::Error>(self, _value: u64) -> Result<Left, E> {
        Ok(Left::Other)
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Left, E> {
        self.reading.number(value).map(|_| Left::Other)
    }

    fn visit_str<E: de::Error>(mut self, value: &str) -> Result<Left, E> {
        self.would(memory::text(value.len()))?;
        Ok(Left::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<Left, A::Error> {
        self.reading.descend(self.depth)?;
        let mut length = 0;
        while seq.next_element_seed(self.inner())?.is_some() {
            self.would(memory::element(length))?;
            length += 1;
        }
        Ok(Left::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Left, A::Error> {
        self.reading.descend(self.depth)?;
        let before = self.reading.memory;
        let mut skimmed = Skimmed { names: BTreeSet::new(), within: self };
        object::read(map, &mut skimmed)?;
        // Its names are held no longer than it is read.
        skimmed.within.reading.memory = before;
        Ok(Left::Object)
    }
}

/// An object of which nothing is kept but the names, while it is read.
struct Skimmed<'a> {
    names: BTreeSet<String>,
    within: Skim<'a>,
}

impl<'de> Members<'de> for Skimmed<'_> {
    fn reading(&mut self) -> &mut Reading {
        self.within.reading
    }

    fn has(&self, key: &str) -> bool {
        self.names.contains(key)
    }

    fn member<A: MapAccess<'de>>(&mut self, key: String, map: &mut A) -> Result<(), A::Error> {
        self.within.would(memory::key(self.names.len(), &key))?;
        map.next_value_seed(self.within.inner())?;
        self.within.reading.take(memory::known(&key))?;
        self.names.insert(key);
        Ok(())
    }
}

/// The object that is kept without one member.
struct Without<'a> {
    name: &'a str,
    left: &'a mut Option<Left>,
    reading: &'a mut Reading,
}

impl<'de> DeserializeSeed<'de> for Without<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Without<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        tree::Node::root(self.reading).visit_unit()
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        tree::Node::root(self.reading).visit_bool(value)
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        tree::Node::root(self.reading).visit_i64(value)
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        tree::Node::root(self.reading).visit_u64(value)
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        tree::Node::root(self.reading).visit_f64(value)
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        tree::Node::root(self.reading).visit_str(value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Value, A::Error> {
        tree::Node::root(self.reading).visit_seq(seq)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Value, A::Error> {
        let mut kept = KeptWithout { object: Map::new(), within: self };
        object::read(map, &mut kept)?;
        Ok(Value::Object(kept.object))
    }
}

/// An object whose members are kept but for one.
struct KeptWithout<'a> {
    object: Map<String, Value>,
    within: Without<'a>,
}

impl<'de> Members<'de> for KeptWithout<'_> {
    fn reading(&mut self) -> &mut Reading {
        self.within.reading
    }

    fn has(&self, key: &str) -> bool {
        self.object.contains_key(key) || (key == self.within.name && self.within.left.is_some())
    }

    fn member<A: MapAccess<'de>>(&mut self, key: String, map: &mut A) -> Result<(), A::Error> {
        let Without { name, left, reading } = &mut self.within;
        reading.take(memory::key(self.object.len(), &key))?;
        if key == *name {
            let mut would = usize::MAX;
            let skim = Skim { depth: 1, reading, would: &mut would };
            **left = Some(map.next_value_seed(skim)?);
        } else {
            let value = map.next_value_seed(tree::Node::member(reading))?;
            self.object.insert(key, value);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{parse, parse_within};
    use super::*;

    #[test]
    fn a602_what_is_not_kept_is_read_as_strictly_and_takes_no_memory() {
        let many = format!("[{}]", vec![r#"{"a":0}"#; 100_000].join(","));
        let text = format!(r#"{{"before":1,"predicate":{{"x":{many}}},"after":"b"}}"#);
        assert_eq!(parse(text.as_bytes()), Err(JsonFault::Values));
        let read = parse_without(text.as_bytes(), "predicate", 8 * 1024, None).unwrap();
        assert_eq!(read, (serde_json::json!({ "before": 1, "after": "b" }), Some(Left::Object)));
        let broken = text.replacen(r#"{"a":0}"#, r#"{"a":0,"A":0}"#, 1);
        assert_eq!(parse_without(broken.as_bytes(), "predicate", 8 * 1024, None), Err(JsonFault::Ambiguous));
        assert_eq!(parse_without(text.as_bytes(), "after", 8 * 1024, None), Err(JsonFault::Values));
        for (key, read) in [("http_proxy", true), ("HTTP_PROXY", false), ("NAME", false)] {
            let text = format!(r#"{{"predicate":{{"HTTP_PROXY":1,"{key}":2,"name":3}}}}"#);
            let free = parse_without(text.as_bytes(), "predicate", 8 * 1024, Some(&["name"]));
            assert_eq!(free.is_ok(), read, "{key}");
        }
        for (text, left) in
            [("[]", Left::Other), ("0", Left::Other), ("\"\"", Left::Other), ("null", Left::Null)]
        {
            let text = format!(r#"{{"a":{text}}}"#);
            assert_eq!(parse_without(text.as_bytes(), "a", 8 * 1024, None).unwrap().1, Some(left), "{text}");
        }
        assert_eq!(parse_without(br#"{"a":1}"#, "b", 8 * 1024, None).unwrap().1, None);
        assert_eq!(parse_without(br#"[1]"#, "b", 8 * 1024, None).unwrap().0, serde_json::json!([1]));
    }

    #[test]
    fn a602_memory_is_limited_by_one_byte() {
        for text in [r#"[1,2,[3,"four"]]"#, r#"{"a":1,"B":"x","c":{"d":[],"e":null}}"#, r#""text""#] {
            let all = usize::MAX;
            let mut reading = Reading::new(all, all);
            super::super::read(text.as_bytes(), &mut reading).unwrap();
            let takes = all - reading.memory;
            assert!(parse_within(text.as_bytes(), takes).is_ok(), "{text}");
            assert_eq!(parse_within(text.as_bytes(), takes - 1), Err(JsonFault::Values), "{text}");
            let would = fits(text.as_bytes(), all).unwrap();
            assert_eq!(fits(text.as_bytes(), would), Ok(would));
            assert_eq!(fits(text.as_bytes(), would - 1), Err(JsonFault::Values), "{text}");
        }
    }
}
