//! A reader of JSON that keeps nothing, and says whether an object has a key twice: the other opinion on `strict_json`.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Any JSON in which no object has two keys that are equal but for case.
pub(super) struct Unique;

struct Values;

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Values)
    }
}

impl<'de> Visitor<'de> for Values {
    type Value = Unique;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Unique, A::Error> {
        while items.next_element::<Unique>()?.is_some() {}
        Ok(Unique)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Unique, A::Error> {
        let mut keys = BTreeSet::new();
        while let Some(key) = members.next_key::<String>()? {
            if !keys.insert(key.to_lowercase()) {
                // The rest is read, so that other faults of the text are told as such.
                while members.next_entry::<IgnoredAny, IgnoredAny>().is_ok_and(|entry| entry.is_some()) {}
                return Err(de::Error::custom("a key stands twice"));
            }
            members.next_value::<Unique>()?;
        }
        Ok(Unique)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_stands_twice_is_seen_at_every_depth() {
        for text in [r#"{"a":1,"a":1}"#, r#"{"a":1,"A":1}"#, r#"[{"x":{"b":[],"b":[]}}]"#] {
            assert!(serde_json::from_str::<Unique>(text).is_err(), "{text}");
        }
        assert!(serde_json::from_str::<Unique>(r#"{"a":[{"b":1.5},null,true,-1,"c"],"b":{}}"#).is_ok());
    }
}
