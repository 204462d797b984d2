//! An original as plain data, with the line of each value.

use std::sync::Arc;

use super::fault::Fault;

/// A place in an original.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// The file's name as people know it, fit to be shown.
    pub(super) file: Arc<str>,
    /// The line, from 1.
    pub(super) line: usize,
}

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

#[derive(Debug, Clone)]
pub(super) enum Value {
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
    Null,
    Scalar(Scalar),
}

/// A text as it stands there; one without quotes may be a number or a truth value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scalar {
    Plain(String),
    Quoted(String),
}

impl Scalar {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Plain(text) | Self::Quoted(text) => text,
        }
    }
}

impl Node {
    /// A text.
    pub(super) fn text(&self) -> Result<&str, Fault> {
        match &self.value {
            Value::Scalar(scalar) => Ok(scalar.text()),
            Value::List(_) | Value::Map(_) | Value::Null => Err(self.unexpected("a text")),
        }
    }

    /// `true` or `false`, without quotes.
    pub(super) fn truth(&self) -> Result<bool, Fault> {
        match &self.value {
            Value::Scalar(Scalar::Plain(text)) if text == "true" => Ok(true),
            Value::Scalar(Scalar::Plain(text)) if text == "false" => Ok(false),
            Value::Scalar(_) | Value::List(_) | Value::Map(_) | Value::Null => {
                Err(self.unexpected("`true` or `false`"))
            }
        }
    }

    /// A whole number that counts something.
    pub(super) fn count(&self) -> Result<usize, Fault> {
        match &self.value {
            Value::Scalar(Scalar::Plain(text)) => text.parse().map_err(|_| self.unexpected("a whole number")),
            Value::Scalar(Scalar::Quoted(_)) | Value::List(_) | Value::Map(_) | Value::Null => {
                Err(self.unexpected("a whole number"))
            }
        }
    }

    pub(super) fn list(&self) -> Result<&[Self], Fault> {
        match &self.value {
            Value::List(items) => Ok(items),
            Value::Null => Ok(&[]),
            Value::Map(_) | Value::Scalar(_) => Err(self.unexpected("a list")),
        }
    }

    /// Its fields, to be taken one by one.
    pub(super) fn fields(&self) -> Result<Fields<'_>, Fault> {
        match &self.value {
            Value::Map(entries) => Ok(Fields { place: self.place.clone(), left: entries.iter().collect() }),
            Value::Null => Ok(Fields { place: self.place.clone(), left: Vec::new() }),
            Value::List(_) | Value::Scalar(_) => Err(self.unexpected("fields")),
        }
    }

    /// What a path of keys leads to, where it leads anywhere.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Self> {
        let Some((first, rest)) = path.split_first() else { return Some(self) };
        let Value::Map(entries) = &self.value else { return None };
        entries.iter().find(|(key, _)| key == first)?.1.at(rest)
    }

    /// The text that a path of keys leads to.
    pub(super) fn text_at(&self, path: &[&str]) -> Option<&str> {
        self.at(path)?.text().ok()
    }

    pub(super) fn unexpected(&self, wanted: &'static str) -> Fault {
        Fault::Unexpected { place: self.place.clone(), wanted }
    }
}

/// The fields of a value that nobody has read yet. What is left at the end might be a condition that was not imported.
pub(super) struct Fields<'a> {
    pub(super) place: Place,
    left: Vec<&'a (String, Node)>,
}

impl<'a> Fields<'a> {
    /// A field; one without a value is as good as absent.
    pub(super) fn take(&mut self, key: &str) -> Option<&'a Node> {
        let at = self.left.iter().position(|(name, _)| name == key)?;
        Some(&self.left.remove(at).1).filter(|node| !matches!(node.value, Value::Null))
    }

    pub(super) fn text(&mut self, key: &str) -> Result<Option<&'a str>, Fault> {
        self.take(key).map(Node::text).transpose()
    }

    pub(super) fn truth(&mut self, key: &str) -> Result<Option<bool>, Fault> {
        self.take(key).map(Node::truth).transpose()
    }

    pub(super) fn list(&mut self, key: &str) -> Result<&'a [Node], Fault> {
        Ok(self.take(key).map(Node::list).transpose()?.unwrap_or_default())
    }

    /// Takes what says nothing about what an image must have.
    pub(super) fn pass_over(&mut self, keys: &[&str]) {
        self.left.retain(|(name, _)| !keys.contains(&name.as_str()));
    }

    /// The first field that nobody asked for.
    pub(super) fn first_left(&self) -> Option<(&'a str, &'a Place)> {
        self.left.first().map(|(name, node)| (name.as_str(), &node.place))
    }
}
