//! A table that knows which of its keys were read: an unread key is a fault that suggests the nearest name (A401).

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use toml::value::Datetime;

use crate::code::{Code, READS_LIKE_YAML};
use crate::context::Context;
use crate::suggest::nearest;

/// A value with its place.
#[derive(Debug, Clone)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) span: Range<usize>,
}

/// A TOML value.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    Array(Vec<At<Self>>),
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
#[derive(Debug)]
pub(crate) struct Table {
    entries: Entries,
    known: Vec<&'static str>,
    /// How people call it; empty for the file.
    name: String,
    /// Its header, or the whole of an inline table.
    pub(crate) head: Range<usize>,
}

/// Keys that stand at the top of a file, and are lost behind the first `[table]`.
const TOP: [&str; 4] = ["policy", "seal_key_file", "state", "unmatched"];

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
            Self::Integer(None) => "an integer beyond 64 bits",
            Self::Integer(Some(_)) => "an integer",
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

/// Whether the first thing that is written is a key with a colon, or a separator of documents.
fn reads_like_yaml(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.next().is_some_and(|line| {
        let key = line.split_once(':').map(|(key, _)| key);
        line == "---"
            || key.is_some_and(|key| {
                !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            })
    })
}

impl Context<'_, '_> {
    /// Parses the file; every syntax fault is reported, and the table that could be read is returned.
    pub(crate) fn parse(&mut self) -> Table {
        let text = self.text.text.clone();
        let (table, errors) = DeTable::parse_recoverable(&text);
        let mut told = None;
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            let message = error.message().replace('\n', ", ");
            match message.as_str() {
                // One fault, however many lines it has.
                _ if told.is_some() => {}
                _ if reads_like_yaml(&text) => {
                    let hint =
                        "it is TOML: `key = value`, lists in brackets, tables under `[name]` or `[[name]]`";
                    self.advise(&span, Code::Syntax, READS_LIKE_YAML, hint);
                    told = Some(());
                }
                "duplicate key" => self.report(&span, Code::DuplicateKey, "this is written a second time"),
                _ if message.starts_with("invalid date") => {
                    let hint = "without quotes: 2027-01-31 or 2027-01-31T18:00:00Z";
                    self.advise(&span, Code::Syntax, message, hint);
                }
                _ => self.report(&span, Code::Syntax, message),
            }
        }
        Table { entries: entries(table.into_inner()), known: Vec::new(), name: String::new(), head: 0..0 }
    }

    fn wrong(&mut self, name: &str, value: &At<Node>, wanted: &str) {
        let message = format!("{} is {}, and must be {wanted}", code_of(name), value.value.kind());
        self.report(&value.span, Code::WrongType, message);
    }

    /// A string.
    pub(crate) fn string(&mut self, name: &str, value: At<Node>) -> Option<At<String>> {
        if let Node::String(text) = value.value {
            return Some(At { value: text, span: value.span });
        }
        self.wrong(name, &value, "a string");
        None
    }

    /// A table.
    pub(crate) fn table(&mut self, name: &str, value: At<Node>) -> Option<Table> {
        if let Node::Table(entries) = value.value {
            return Some(Table { entries, known: Vec::new(), name: name.to_owned(), head: value.span });
        }
        self.wrong(name, &value, "a table");
        None
    }

    /// An array.
    pub(crate) fn array(&mut self, name: &str, value: At<Node>) -> Option<Vec<At<Node>>> {
        if let Node::Array(values) = value.value {
            return Some(values);
        }
        self.wrong(name, &value, "an array");
        None
    }

    /// One of the words that are allowed.
    pub(crate) fn word<T: Copy>(&mut self, name: &str, text: &At<String>, words: &[(&str, T)]) -> Option<T> {
        let found = words.iter().find(|(word, _)| *word == text.value).map(|(_, value)| *value);
        if found.is_none() {
            let listed: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            let message = format!("{} must be {}", code_of(name), listed.join(" or "));
            match nearest(&text.value, words.iter().map(|(word, _)| *word)) {
                Some(near) => {
                    self.advise(&text.span, Code::ValueInvalid, message, format!("did you mean \"{near}\"?"))
                }
                None if name == "mode" => {
                    let hint = "mode = \"warn\" serves and reports, which others call audit or dry run";
                    self.advise(&text.span, Code::ValueInvalid, message, hint);
                }
                None => self.report(&text.span, Code::ValueInvalid, message),
            }
        }
        found
    }
}

fn code_of(name: &str) -> String {
    format!("`{}`", pullgate_policy::text::escape(name))
}

impl Table {
    /// The value of a key, if it is there.
    pub(crate) fn take(&mut self, key: &'static str) -> Option<At<Node>> {
        self.known.push(key);
        self.entries.remove(key).map(|(_, value)| value)
    }

    /// The value of a key that is refused by name: it counts as known, and is never suggested for a misspelt one.
    pub(crate) fn seize(&mut self, key: &str) -> Option<At<Node>> {
        self.entries.remove(key).map(|(_, value)| value)
    }

    /// Whether a key is there; it must still be taken.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Whether a key is there and is a table with this key.
    pub(crate) fn has_within(&self, key: &str, inner: &str) -> bool {
        match self.entries.get(key) {
            Some((_, At { value: Node::Table(entries), .. })) => entries.contains_key(inner),
            Some(_) | None => false,
        }
    }

    /// Where a key's value stands, if it is there; it must still be taken.
    pub(crate) fn place_of(&self, key: &str) -> Option<Range<usize>> {
        self.entries.get(key).map(|(_, value)| value.span.clone())
    }

    /// All entries of a table whose keys are names that the author chose.
    pub(crate) fn take_all(&mut self) -> Entries {
        std::mem::take(&mut self.entries)
    }

    /// A string, if the key is there.
    pub(crate) fn string(&mut self, context: &mut Context<'_, '_>, key: &'static str) -> Option<At<String>> {
        let value = self.take(key)?;
        context.string(key, value)
    }

    /// A string that must be there and say something.
    pub(crate) fn required(
        &mut self,
        context: &mut Context<'_, '_>,
        key: &'static str,
    ) -> Option<At<String>> {
        if !self.has(key) {
            let message = format!("{} needs `{key}`", self.called());
            context.report(&self.head, Code::MissingKey, message);
        }
        self.filled(context, key)
    }

    /// A string that says something, if the key is there.
    pub(crate) fn filled(&mut self, context: &mut Context<'_, '_>, key: &'static str) -> Option<At<String>> {
        let text = self.string(context, key)?;
        if text.value.trim().is_empty() {
            context.report(&text.span, Code::EmptyValue, format!("`{key}` is empty"));
            return None;
        }
        Some(text)
    }

    /// A list of strings, if the key is there.
    pub(crate) fn strings(
        &mut self,
        context: &mut Context<'_, '_>,
        key: &'static str,
    ) -> Option<At<Vec<At<String>>>> {
        let value = self.take(key)?;
        let span = value.span.clone();
        let values = context.array(key, value)?;
        let texts = values.into_iter().filter_map(|value| context.string(key, value)).collect();
        Some(At { value: texts, span })
    }

    /// One of some words, or what counts where the key is absent.
    pub(crate) fn word<T: Copy>(
        &mut self,
        context: &mut Context<'_, '_>,
        key: &'static str,
        words: &[(&str, T)],
        default: T,
    ) -> T {
        let text = self.string(context, key);
        text.and_then(|text| context.word(key, &text, words)).unwrap_or(default)
    }

    /// A table below this one.
    pub(crate) fn table(&mut self, context: &mut Context<'_, '_>, key: &'static str) -> Option<Self> {
        let value = self.take(key)?;
        context.table(key, value)
    }

    /// A list of tables, if the key is there and is one.
    pub(crate) fn tables(&mut self, context: &mut Context<'_, '_>, key: &'static str) -> Option<Vec<Self>> {
        let value = self.take(key)?;
        if let Node::Table(_) = value.value {
            let hint = format!("write [[{key}]] with two brackets: there may be several");
            context.advise(&value.span, Code::WrongType, format!("`{key}` is a list of tables"), hint);
            return None;
        }
        let values = context.array(key, value)?;
        Some(values.into_iter().filter_map(|value| context.table(key, value)).collect())
    }

    /// A boolean.
    pub(crate) fn boolean(&mut self, context: &mut Context<'_, '_>, key: &'static str) -> Option<At<bool>> {
        let value = self.take(key)?;
        if let Node::Boolean(boolean) = value.value {
            return Some(At { value: boolean, span: value.span });
        }
        context.wrong(key, &value, "a boolean");
        None
    }

    /// An integer.
    pub(crate) fn integer(&mut self, context: &mut Context<'_, '_>, key: &'static str) -> Option<At<i64>> {
        let value = self.take(key)?;
        if let Node::Integer(Some(integer)) = value.value {
            return Some(At { value: integer, span: value.span });
        }
        context.wrong(key, &value, "an integer");
        None
    }

    /// How people call the table.
    pub(crate) fn called(&self) -> String {
        if self.name.is_empty() { "the file".to_owned() } else { code_of(&self.name) }
    }

    /// Reports every key that was not read.
    pub(crate) fn finish(self, context: &mut Context<'_, '_>) {
        for (key, (span, _)) in &self.entries {
            let message = format!("{} has no key {}", self.called(), code_of(key));
            let hint = match nearest(key, self.known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None if TOP.contains(&key.as_str()) => {
                    format!("`{key}` belongs to the top of its file, before the first [table]")
                }
                None => format!("keys here: {}", self.known.join(", ")),
            };
            context.advise(span, Code::UnknownKey, message, hint);
        }
    }
}
