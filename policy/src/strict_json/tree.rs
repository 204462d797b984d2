//! The reader that keeps what it reads.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::lent::Lend;
use super::object::{self, Members};
use super::{Reading, memory};

/// A value inside `depth` arrays and objects.
pub(super) struct Node<'a> {
    pub(super) depth: usize,
    pub(super) reading: &'a mut Reading,
    pub(super) lend: Lend,
}

impl<'a> Node<'a> {
    pub(super) fn root(reading: &'a mut Reading) -> Self {
        Self { depth: 0, reading, lend: Lend::No }
    }

    pub(super) fn lending(reading: &'a mut Reading, lend: Lend) -> Self {
        Self { lend, ..Self::root(reading) }
    }

    /// One inside the root.
    pub(super) fn member(reading: &'a mut Reading) -> Self {
        Self { depth: 1, ..Self::root(reading) }
    }

    /// One inside this one.
    fn inner(&mut self) -> Node<'_> {
        Node { depth: self.depth + 1, reading: &mut *self.reading, lend: Lend::No }
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.reading.value()?;
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
        self.reading.number(value).map(Value::Number)
    }

    fn visit_borrowed_str<E: de::Error>(self, value: &'de str) -> Result<Value, E> {
        match (self.lend, &mut self.reading.lent) {
            (Lend::This, Some(lent)) => {
                lent.keep(value);
                Ok("".into())
            }
            (_, _) => self.visit_str(value),
        }
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        self.reading.take(memory::text(value.len()))?;
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<Value, A::Error> {
        self.reading.descend(self.depth)?;
        let mut values = Vec::new();
        while let Some(value) = seq.next_element_seed(self.inner())? {
            self.reading.take(memory::element(values.len()))?;
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Value, A::Error> {
        self.reading.descend(self.depth)?;
        let mut kept = ObjectTree { object: Map::new(), within: self };
        object::read(map, &mut kept)?;
        Ok(Value::Object(kept.object))
    }
}

/// An object whose members are kept.
struct ObjectTree<'a> {
    object: Map<String, Value>,
    within: Node<'a>,
}

impl<'de> Members<'de> for ObjectTree<'_> {
    fn reading(&mut self) -> &mut Reading {
        self.within.reading
    }

    fn has(&self, key: &str) -> bool {
        self.object.contains_key(key)
    }

    fn member<A: MapAccess<'de>>(&mut self, key: String, map: &mut A) -> Result<(), A::Error> {
        self.within.reading.take(memory::key(self.object.len(), &key))?;
        let lend = self.within.lend.member(&key);
        let value = map.next_value_seed(Node { lend, ..self.within.inner() })?;
        self.object.insert(key, value);
        Ok(())
    }
}
