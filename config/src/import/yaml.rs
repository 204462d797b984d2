//! YAML as originals are written in it, within limits: what was meant to be read is small.

use std::collections::BTreeMap;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::fault::{Fault, Unread};
use super::tree::{Node, Place, Scalar, Value};
use crate::limits;

/// The documents of a file.
///
/// Refused are equal keys and merges (`<<`), of which two readers make two things, tags, and keys that are no texts.
pub(super) fn documents(file: &Arc<str>, text: &str) -> Result<Vec<Node>, Fault> {
    let mut reading = Reading {
        file: file.clone(),
        open: Vec::new(),
        anchors: BTreeMap::new(),
        documents: Vec::new(),
        values: limits::IMPORT_VALUES,
    };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            let place = Place { file: file.clone(), line: error.marker().line() };
            Fault::Unreadable { place, why: Unread::Yaml(error.info().to_owned()) }
        })?;
        reading.take(event, span)?;
    }
    Ok(reading.documents)
}

struct Reading {
    file: Arc<str>,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
    documents: Vec<Node>,
    /// How many values may still come, those that an alias repeats among them.
    values: usize,
}

/// A list or a map that has not ended.
struct Open {
    place: Place,
    anchor: usize,
    holds: Holds,
}

enum Holds {
    List(Vec<Node>),
    Map(Vec<(String, Node)>, Option<String>),
}

impl Reading {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Fault> {
        let place = Place { file: self.file.clone(), line: span.start.line() };
        match event {
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, Some(_))
            | Event::MappingStart(_, Some(_)) => Err(unreadable(place, Unread::Tag)),
            Event::Scalar(text, style, anchor, None) => {
                let node = Node { place, value: scalar(text.into_owned(), style) };
                let values = count(&node);
                self.put(anchor, node, values)
            }
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor).cloned() else {
                    return Err(unreadable(place, Unread::Alias));
                };
                let values = count(&node);
                self.put(0, node, values)
            }
            Event::SequenceStart(anchor, None) => self.begin(place, anchor, Holds::List(Vec::new())),
            Event::MappingStart(anchor, None) => self.begin(place, anchor, Holds::Map(Vec::new(), None)),
            Event::SequenceEnd | Event::MappingEnd => self.end(),
        }
    }

    fn begin(&mut self, place: Place, anchor: usize, holds: Holds) -> Result<(), Fault> {
        if self.open.len() >= limits::IMPORT_DEPTH {
            return Err(unreadable(place, Unread::Depth));
        }
        self.open.push(Open { place, anchor, holds });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Fault> {
        let Some(Open { place, anchor, holds }) = self.open.pop() else { return Ok(()) };
        let value = match holds {
            Holds::List(items) => Value::List(items),
            Holds::Map(entries, _) => Value::Map(entries),
        };
        self.put(anchor, Node { place, value }, 1)
    }

    fn put(&mut self, anchor: usize, node: Node, values: usize) -> Result<(), Fault> {
        let Some(left) = self.values.checked_sub(values) else {
            return Err(unreadable(node.place, Unread::Values));
        };
        self.values = left;
        if anchor > 0 {
            // What is kept under its name is a value more.
            self.values = self.values.saturating_sub(count(&node));
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|open| &mut open.holds) {
            None => self.documents.push(node),
            Some(Holds::List(items)) => items.push(node),
            Some(Holds::Map(entries, key @ None)) => *key = Some(new_key(entries, node)?),
            Some(Holds::Map(entries, key)) => {
                entries.extend(key.take().map(|key| (key, node)));
            }
        }
        Ok(())
    }
}

fn new_key(entries: &[(String, Node)], node: Node) -> Result<String, Fault> {
    let Value::Scalar(key) = node.value else { return Err(unreadable(node.place, Unread::Key)) };
    let key = key.text().to_owned();
    if key == "<<" {
        return Err(unreadable(node.place, Unread::Merge));
    }
    if entries.iter().any(|(other, _)| *other == key) {
        return Err(unreadable(node.place, Unread::Twice(key)));
    }
    Ok(key)
}

fn scalar(text: String, style: ScalarStyle) -> Value {
    match style {
        ScalarStyle::Plain if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL") => Value::Null,
        ScalarStyle::Plain => Value::Scalar(Scalar::Plain(text)),
        ScalarStyle::SingleQuoted
        | ScalarStyle::DoubleQuoted
        | ScalarStyle::Literal
        | ScalarStyle::Folded => Value::Scalar(Scalar::Quoted(text)),
    }
}

/// Of a value and what it holds, no deeper than what was read; of a long text one for every 64 bytes, since an alias
/// repeats them all.
fn count(node: &Node) -> usize {
    1 + match &node.value {
        Value::List(items) => items.iter().map(count).sum(),
        Value::Map(entries) => entries.iter().map(|(_, node)| count(node)).sum(),
        Value::Null => 0,
        Value::Scalar(scalar) => scalar.text().len() / 64,
    }
}

fn unreadable(place: Place, why: Unread) -> Fault {
    Fault::Unreadable { place, why }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Node>, Fault> {
        documents(&Arc::from("p.yaml"), text)
    }

    fn why(text: &str) -> Unread {
        match read(text) {
            Err(Fault::Unreadable { why, .. }) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_value_knows_its_line_and_whether_it_was_quoted() {
        let read = read("a: &x\n  - true\n  - \"true\"\nb: *x\n---\nc: |-\n  text\n").unwrap();
        let [first, second] = &read[..] else { panic!("{read:?}") };
        let items = first.at(&["b"]).unwrap().list().unwrap();
        assert_eq!((items[0].truth().unwrap(), items[0].place.line), (true, 2));
        assert!(items[1].truth().is_err());
        assert_eq!(second.text_at(&["c"]), Some("text"));
        // A block begins with its first line.
        assert_eq!(second.at(&["c"]).unwrap().place.line, 7);
    }

    #[test]
    fn what_two_readers_read_as_two_things_is_refused() {
        assert_eq!(why("a: 1\na: 2\n"), Unread::Twice("a".to_owned()));
        assert_eq!(why("a: &a {b: 1}\nc:\n  <<: *a\n"), Unread::Merge);
        assert_eq!(why("a: !!binary aGk=\n"), Unread::Tag);
        assert_eq!(why("? [a]\n: 1\n"), Unread::Key);
        assert!(matches!(why("a: *b\n"), Unread::Alias | Unread::Yaml(_)));
        assert!(matches!(why("a: [\n"), Unread::Yaml(_)));
    }

    #[test]
    fn a_bomb_of_aliases_is_cut_at_the_number_of_values() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for at in 1..10 {
            let item = format!("*a{}", at - 1);
            bomb.push_str(&format!("a{at}: &a{at} [{}]\n", vec![item; 10].join(", ")));
        }
        assert_eq!(why(&bomb), Unread::Values);
        let list = |items: usize| format!("a: [{}]\n", vec!["x"; items].join(","));
        // The list, its key and the document are three more.
        let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(64_000), vec!["*a"; 300].join(","));
        assert_eq!(why(&long), Unread::Values);
        assert!(read(&list(limits::IMPORT_VALUES - 3)).is_ok());
        assert_eq!(why(&list(limits::IMPORT_VALUES - 2)), Unread::Values);
    }

    #[test]
    fn nesting_ends_at_its_limit() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(read(&nested(limits::IMPORT_DEPTH)).is_ok());
        assert_eq!(why(&nested(limits::IMPORT_DEPTH + 1)), Unread::Depth);
        assert!(read(&"[".repeat(100_000)).is_err());
        let blocks: String = (0..5_000).map(|depth| format!("{}- \n", " ".repeat(depth))).collect();
        assert_eq!(why(&blocks), Unread::Depth);
    }
}
