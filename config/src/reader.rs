//! A table that knows which of its keys were asked for: what nobody took is a fault with the near name (A401).

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use toml::value::Datetime;

use crate::code::Code;
use crate::source::{Sources, Text};

/// Where faults go, and which file they are about.
pub(crate) struct Context<'a> {
    pub(crate) sources: &'a mut Sources,
    pub(crate) text: Text,
}

/// A value with its place.
#[derive(Debug, Clone)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) span: Range<usize>,
}

/// A TOML value.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    Array(Vec<At<Node>>),
    Boolean(bool),
    Date(Datetime),
    Float,
    Integer(Option<i64>),
    String(String),
    Table(Entries),
}

/// The keys of a table with their places.
pub(crate) type Entries = BTreeMap<String, (Range<usize>, At<Node>)>;

/// A table that is being read.
pub(crate) struct Table {
    entries: Entries,
    known: Vec<&'static str>,
    name: String,
    pub(crate) span: Range<usize>,
}

impl Node {
    fn of(value: DeValue<'_>) -> Self {
        match value {
            DeValue::Array(values) => Self::Array(values.into_iter().map(at).collect()),
            DeValue::Boolean(value) => Self::Boolean(value),
            DeValue::Datetime(value) => Self::Date(value),
            DeValue::Float(_) => Self::Float,
            DeValue::Integer(value) => Self::Integer(i64::from_str_radix(value.as_str(), value.radix()).ok()),
            DeValue::String(text) => Self::String(text.into_owned()),
            DeValue::Table(table) => Self::Table(entries(table)),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Array(_) => "an array",
            Self::Boolean(_) => "a boolean",
            Self::Date(_) => "a date",
            Self::Float => "a float",
            Self::Integer(_) => "an integer",
            Self::String(_) => "a string",
            Self::Table(_) => "a table",
        }
    }
}

fn at(value: Spanned<DeValue<'_>>) -> At<Node> {
    At { span: value.span(), value: Node::of(value.into_inner()) }
}

fn entries(table: DeTable<'_>) -> Entries {
    table.into_iter().map(|(key, value)| (key.get_ref().to_string(), (key.span(), at(value)))).collect()
}

impl Context<'_> {
    pub(crate) fn fault(&mut self, span: &Range<usize>, code: Code, message: impl Into<String>) {
        self.sources.fault(&self.text, span.clone(), code, message.into(), None);
    }

    pub(crate) fn hinted(
        &mut self,
        span: &Range<usize>,
        code: Code,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.sources.fault(&self.text, span.clone(), code, message.into(), Some(hint.into()));
    }

    /// Something that later work will act on: a fault, not silence.
    pub(crate) fn not_in_force(&mut self, span: &Range<usize>, what: &str) {
        let message = format!("`{what}` is not in force in this release");
        self.hinted(span, Code::NotInForce, message, "remove it: a gate that passed over it would do less than the file says");
    }

    /// Parses the file; every syntax fault is reported, and the table that could be read is returned.
    pub(crate) fn parse(&mut self) -> Table {
        let text = self.text.text.clone();
        let (table, errors) = DeTable::parse_recoverable(&text);
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            self.fault(&span, Code::Syntax, error.message().replace('\n', " "));
        }
        let span = table.span();
        Table { entries: entries(table.into_inner()), known: Vec::new(), name: String::new(), span }
    }

    fn wrong(&mut self, name: &str, value: &At<Node>, wanted: &str) {
        let message = format!("`{name}` is {}, and must be {wanted}", value.value.kind());
        self.fault(&value.span, Code::WrongType, message);
    }

    /// A string.
    pub(crate) fn string(&mut self, name: &str, value: At<Node>) -> Option<At<String>> {
        match value.value {
            Node::String(text) => Some(At { value: text, span: value.span }),
            Node::Array(_) | Node::Boolean(_) | Node::Date(_) | Node::Float | Node::Integer(_) | Node::Table(_) => {
                self.wrong(name, &value, "a string");
                None
            }
        }
    }

    /// A table.
    pub(crate) fn table(&mut self, name: &str, value: At<Node>) -> Option<Table> {
        match value.value {
            Node::Table(entries) => {
                Some(Table { entries, known: Vec::new(), name: name.to_owned(), span: value.span })
            }
            Node::Array(_) | Node::Boolean(_) | Node::Date(_) | Node::Float | Node::Integer(_) | Node::String(_) => {
                self.wrong(name, &value, "a table");
                None
            }
        }
    }

    /// An array.
    pub(crate) fn array(&mut self, name: &str, value: At<Node>) -> Option<Vec<At<Node>>> {
        match value.value {
            Node::Array(values) => Some(values),
            Node::Boolean(_) | Node::Date(_) | Node::Float | Node::Integer(_) | Node::String(_) | Node::Table(_) => {
                self.wrong(name, &value, "an array");
                None
            }
        }
    }

    /// One of the words that are allowed.
    pub(crate) fn word<T: Copy>(&mut self, name: &str, text: &At<String>, words: &[(&str, T)]) -> Option<T> {
        let found = words.iter().find(|(word, _)| *word == text.value).map(|(_, value)| *value);
        if found.is_none() {
            let listed: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            let message = format!("`{name}` must be {}", listed.join(" or "));
            self.fault(&text.span, Code::ValueInvalid, message);
        }
        found
    }
}

impl Table {
    /// The value of a key, if it is there.
    pub(crate) fn take(&mut self, key: &'static str) -> Option<At<Node>> {
        self.known.push(key);
        self.entries.remove(key).map(|(_, value)| value)
    }

    /// Whether a key is there; it must still be taken.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// All entries of a table whose keys are names that the author chose.
    pub(crate) fn take_all(&mut self) -> Entries {
        std::mem::take(&mut self.entries)
    }

    /// A string, if the key is there.
    pub(crate) fn string(&mut self, context: &mut Context<'_>, key: &'static str) -> Option<At<String>> {
        let value = self.take(key)?;
        context.string(key, value)
    }

    /// A string that must be there.
    pub(crate) fn required(&mut self, context: &mut Context<'_>, key: &'static str) -> Option<At<String>> {
        if !self.has(key) {
            let message = format!("{} needs `{key}`", self.called());
            context.fault(&self.head(), Code::MissingKey, message);
        }
        self.string(context, key)
    }

    /// A list of strings.
    pub(crate) fn strings(&mut self, context: &mut Context<'_>, key: &'static str) -> Option<Vec<At<String>>> {
        let value = self.take(key)?;
        let values = context.array(key, value)?;
        Some(values.into_iter().filter_map(|value| context.string(key, value)).collect())
    }

    /// A table below this one.
    pub(crate) fn table(&mut self, context: &mut Context<'_>, key: &'static str) -> Option<Self> {
        let value = self.take(key)?;
        context.table(key, value)
    }

    /// A list of tables.
    pub(crate) fn tables(&mut self, context: &mut Context<'_>, key: &'static str) -> Vec<Self> {
        let Some(value) = self.take(key) else { return Vec::new() };
        let values = context.array(key, value).unwrap_or_default();
        values.into_iter().filter_map(|value| context.table(key, value)).collect()
    }

    /// A boolean.
    pub(crate) fn boolean(&mut self, context: &mut Context<'_>, key: &'static str) -> Option<At<bool>> {
        let value = self.take(key)?;
        if let Node::Boolean(boolean) = value.value {
            return Some(At { value: boolean, span: value.span });
        }
        context.wrong(key, &value, "a boolean");
        None
    }

    /// An integer.
    pub(crate) fn integer(&mut self, context: &mut Context<'_>, key: &'static str) -> Option<At<i64>> {
        let value = self.take(key)?;
        if let Node::Integer(Some(integer)) = value.value {
            return Some(At { value: integer, span: value.span });
        }
        context.wrong(key, &value, "an integer");
        None
    }

    /// The first line of the table, to point at.
    pub(crate) fn head(&self) -> Range<usize> {
        self.span.clone()
    }

    fn called(&self) -> String {
        if self.name.is_empty() { "the file".to_owned() } else { format!("`{}`", self.name) }
    }

    /// Reports every key that nobody took.
    pub(crate) fn finish(self, context: &mut Context<'_>) {
        for (key, (span, _)) in &self.entries {
            let near = self.known.iter().map(|known| (similarity(key, known), known)).max_by(|a, b| a.0.total_cmp(&b.0));
            let message = format!("{} has no key `{key}`", self.called());
            match near {
                Some((likeness, known)) if likeness > 0.75 => {
                    context.hinted(span, Code::UnknownKey, message, format!("did you mean `{known}`?"));
                }
                Some(_) | None => context.fault(span, Code::UnknownKey, message),
            }
        }
    }
}

/// Jaro similarity of two words, from 0 to 1: what "did you mean" goes by.
pub(crate) fn similarity(a: &str, b: &str) -> f64 {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let window = (a.len().max(b.len()) / 2).saturating_sub(1);
    let mut taken = vec![false; b.len()];
    let mut matched = Vec::new();
    for (i, c) in a.iter().enumerate() {
        for (j, d) in b.iter().enumerate().skip(i.saturating_sub(window)).take(2 * window + 1) {
            if c == d && !taken.get(j).copied().unwrap_or(true) {
                if let Some(slot) = taken.get_mut(j) {
                    *slot = true;
                }
                matched.push(*c);
                break;
            }
        }
    }
    let other: Vec<char> = b.iter().zip(&taken).filter(|(_, taken)| **taken).map(|(c, _)| *c).collect();
    let count = |n: usize| u32::try_from(n).map(f64::from).unwrap_or(f64::MAX);
    let m = count(matched.len());
    if matched.is_empty() {
        return 0.0;
    }
    let swapped = count(matched.iter().zip(&other).filter(|(a, b)| a != b).count()) / 2.0;
    (m / count(a.len()) + m / count(b.len()) + (m - swapped) / m) / 3.0
}
