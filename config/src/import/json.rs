//! JSON with the line of each value. Whether it is JSON at all is decided by the strict reader; this one finds the places.

use std::sync::Arc;

use pullgate_policy::strict_json::{self, JsonFault};

use super::fault::{Fault, Unread};
use super::tree::{Node, Place, Scalar, Value};
use crate::limits;

pub(super) fn document(file: &Arc<str>, text: &str) -> Result<Node, Fault> {
    let whole = Place { file: file.clone(), line: 1 };
    strict_json::parse_up_to(text.as_bytes(), limits::IMPORT_VALUES).map_err(|fault| {
        let why = match fault {
            JsonFault::Ambiguous => Unread::Twice("a key".to_owned()),
            JsonFault::Depth => Unread::Depth,
            JsonFault::Values => Unread::Values,
            JsonFault::Number | JsonFault::Syntax => Unread::Json,
        };
        Fault::Unreadable { place: whole.clone(), why }
    })?;
    let mut scan = Scan { file, rest: text, line: 1 };
    scan.value().ok_or(Fault::Unreadable { place: whole, why: Unread::Json })
}

/// Walks over a text that is known to be JSON.
struct Scan<'a> {
    file: &'a Arc<str>,
    rest: &'a str,
    line: usize,
}

impl<'a> Scan<'a> {
    fn value(&mut self) -> Option<Node> {
        self.blank();
        let place = Place { file: self.file.clone(), line: self.line };
        let value = match self.rest.chars().next()? {
            '{' => Value::Map(self.entries()?),
            '[' => Value::List(self.items()?),
            '"' => Value::Scalar(Scalar::Quoted(self.string()?)),
            _ => match self.word() {
                "null" => Value::Null,
                word => Value::Scalar(Scalar::Plain(word.to_owned())),
            },
        };
        Some(Node { place, value })
    }

    fn entries(&mut self) -> Option<Vec<(String, Node)>> {
        let mut entries = Vec::new();
        self.step("{")?;
        while self.step("}").is_none() {
            let key = self.string()?;
            self.step(":")?;
            entries.push((key, self.value()?));
            let _last = self.step(",");
        }
        Some(entries)
    }

    fn items(&mut self) -> Option<Vec<Node>> {
        let mut items = Vec::new();
        self.step("[")?;
        while self.step("]").is_none() {
            items.push(self.value()?);
            let _last = self.step(",");
        }
        Some(items)
    }

    fn string(&mut self) -> Option<String> {
        self.blank();
        let inside = self.rest.strip_prefix('"')?;
        let mut escaped = false;
        let length = inside.bytes().position(|byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        })?;
        let written = self.rest.get(..length + 2)?;
        self.rest = self.rest.get(length + 2..)?;
        serde_json::from_str(written).ok()
    }

    /// A number, or a word.
    fn word(&mut self) -> &'a str {
        let length = self
            .rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')))
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(length);
        self.rest = rest;
        word
    }

    fn step(&mut self, over: &str) -> Option<()> {
        self.blank();
        self.rest = self.rest.strip_prefix(over)?;
        Some(())
    }

    fn blank(&mut self) {
        let rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
        let over = self.rest.len() - rest.len();
        self.line += self.rest.get(..over).unwrap_or_default().matches('\n').count();
        self.rest = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Node, Fault> {
        document(&Arc::from("p.json"), text)
    }

    #[test]
    fn each_value_knows_its_line() {
        let read =
            read("{\n\t\"a\\\"\": [1, true, null,\n \"x\\n\\\\\"],\n \"b\": {}, \"c\": -1.5e3 }\n").unwrap();
        let items = read.at(&["a\""]).unwrap().list().unwrap();
        assert_eq!((items[0].text().unwrap(), items[1].truth().unwrap()), ("1", true));
        assert!(matches!(items[2].value, Value::Null));
        assert_eq!((items[3].text().unwrap(), items[3].place.line), ("x\n\\", 3));
        assert_eq!(read.at(&["c"]).unwrap().place.line, 4);
    }

    #[test]
    fn what_the_strict_reader_refuses_is_refused() {
        for text in ["{\"a\":1,\"a\":2}", "{\"a\":1,\"A\":2}", "[1,]", "", "{} {}", "[\"\n\"]"] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(read(&format!("{}{}", "[".repeat(2_000), "]".repeat(2_000))).is_err());
    }

    #[test]
    fn values_end_at_their_limit() {
        let list = |items: usize| format!("[{}]", vec!["1"; items].join(","));
        assert!(read(&list(limits::IMPORT_VALUES - 1)).is_ok());
        assert!(read(&list(limits::IMPORT_VALUES)).is_err());
    }
}
