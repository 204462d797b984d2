//! Conditions in CUE that only say which values fields have: nested structs of texts, numbers, truth values and `=~`.

use crate::import::expression;
use crate::import::predicate::{field, text};

/// What a condition asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    Condition(String),
    /// No more than the type, which is asked for anyway.
    Nothing,
}

/// None where it asks for anything else.
pub(super) fn condition(data: &str, kind: &str) -> Option<Said> {
    let tokens = tokens(data)?;
    let mut reading = Reading { tokens: &tokens, found: Vec::new() };
    reading.fields(&mut Vec::new(), false)?;
    let mut asked = Vec::new();
    for (path, value) in reading.found {
        match path.split_first() {
            Some((first, [])) if first == "predicateType" => {
                (value == Token::Text(kind.to_owned())).then_some(())?;
            }
            Some((first, _)) if first == "predicate" => {
                let path = path.join(".");
                asked.push(match value {
                    Token::Text(value) => format!("{path} == {}", text(&value)?),
                    Token::Word(value) => format!("{path} == {value}"),
                    Token::Pattern(value) => {
                        format!("{path}.matches({})", text(&expression::translated(&value)?)?)
                    }
                    Token::Colon | Token::Open | Token::Close | Token::End => return None,
                });
            }
            Some(_) | None => return None,
        }
    }
    match asked.is_empty() {
        true => Some(Said::Nothing),
        false => Some(Said::Condition(asked.join(" && "))),
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Close,
    Colon,
    /// A line break or a comma.
    End,
    Open,
    Pattern(String),
    Text(String),
    /// A name, a number or a truth value.
    Word(String),
}

fn tokens(data: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = data;
    while let Some(c) = rest.chars().next() {
        let (token, length) = match c {
            ' ' | '\t' | '\r' => (None, 1),
            '\n' | ',' => (Some(Token::End), 1),
            ':' => (Some(Token::Colon), 1),
            '{' => (Some(Token::Open), 1),
            '}' => (Some(Token::Close), 1),
            '/' if rest.starts_with("//") => (None, rest.find('\n').unwrap_or(rest.len())),
            '"' => {
                let (value, length) = quoted(rest)?;
                (Some(Token::Text(value)), length)
            }
            '=' => {
                let after = rest.strip_prefix("=~")?.trim_start_matches(' ');
                let (value, length) = quoted(after)?;
                (Some(Token::Pattern(value)), rest.len() - after.len() + length)
            }
            c if c.is_ascii_alphanumeric() => {
                let length =
                    rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
                (Some(Token::Word(rest.get(..length)?.to_owned())), length)
            }
            _ => return None,
        };
        tokens.extend(token);
        rest = rest.get(length..)?;
    }
    Some(tokens)
}

/// A text without escapes, which may be interpolations; and how long it is with its quotes.
fn quoted(rest: &str) -> Option<(String, usize)> {
    let inside = rest.strip_prefix('"')?;
    let length = inside.find('"')?;
    let value = inside.get(..length)?;
    // Three quotes begin a text of several lines.
    let plain = !value.contains(['\\', '\n']) && !rest.starts_with("\"\"\"");
    plain.then(|| (value.to_owned(), length + 2))
}

struct Reading<'t> {
    tokens: &'t [Token],
    found: Vec<(Vec<String>, Token)>,
}

impl Reading<'_> {
    fn next(&mut self) -> Option<Token> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first.clone())
    }

    /// The fields of a struct, or of the whole.
    fn fields(&mut self, path: &mut Vec<String>, nested: bool) -> Option<()> {
        loop {
            match self.next() {
                None => return (!nested).then_some(()),
                Some(Token::End) => {}
                Some(Token::Close) => return nested.then_some(()),
                Some(Token::Word(label)) => self.field(path, label)?,
                Some(Token::Text(_) | Token::Colon | Token::Open | Token::Pattern(_)) => return None,
            }
        }
    }

    fn field(&mut self, path: &mut Vec<String>, label: String) -> Option<()> {
        field(&label)?;
        // No deeper than what a condition may be.
        (path.len() < pullgate_policy::limits::WHERE_NESTING / 2).then_some(())?;
        (self.next()? == Token::Colon).then_some(())?;
        path.push(label);
        match self.next()? {
            Token::Open => self.fields(path, true)?,
            // `a: b: "c"` is a struct in a struct.
            Token::Word(label) if self.tokens.first() == Some(&Token::Colon) => self.field(path, label)?,
            Token::Word(value) if is_value(&value) => self.value(path, Token::Word(value))?,
            value @ (Token::Text(_) | Token::Pattern(_)) => self.value(path, value)?,
            Token::Word(_) | Token::Colon | Token::Close | Token::End => return None,
        }
        path.pop();
        Some(())
    }

    fn value(&mut self, path: &[String], value: Token) -> Option<()> {
        self.found.push((path.to_vec(), value));
        // Nothing may follow it: `"a" | "b"` is a choice.
        matches!(self.tokens.first(), None | Some(Token::End | Token::Close)).then_some(())
    }
}

fn is_value(word: &str) -> bool {
    let number = word == "0" || (word.bytes().all(|byte| byte.is_ascii_digit()) && !word.starts_with('0'));
    word == "true" || word == "false" || (number && word.len() < 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: &str = "https://spdx.dev/Document";

    #[test]
    fn values_of_fields_become_a_condition() {
        for (data, expected) in [
            ("predicateType: \"https://spdx.dev/Document\"\n", None),
            ("predicate: Data: \"foo bar\"", Some("predicate.Data == \"foo bar\"")),
            (
                "predicateType: \"https://spdx.dev/Document\"\npredicate: {\n  a: { b: 3, c: true } // note\n  d: =~\"^x\\\\.y\"\n}\n",
                None,
            ),
            (
                "predicate: {\n  a: { b: 3, c: true } // note\n  d: =~\"^x\"\n}\n",
                Some("predicate.a.b == 3 && predicate.a.c == true && predicate.d.matches(\"^x\")"),
            ),
        ] {
            let found = condition(data, KIND);
            match expected {
                Some(expected) => assert_eq!(found, Some(Said::Condition(expected.to_owned())), "{data}"),
                None if data.contains('~') => assert_eq!(found, None, "{data}"),
                None => assert_eq!(found, Some(Said::Nothing), "{data}"),
            }
        }
    }

    #[test]
    fn whatever_else_cue_says_is_not_said() {
        for data in [
            "import \"time\"\n",
            "predicate: {a: <3}",
            "predicate: a: \"x\" | \"y\"",
            "predicate: a: [1]",
            "predicate: a?: \"x\"",
            "predicate: _a: \"x\"",
            "predicate: \"a b\": \"x\"",
            "predicate: a: \"\\(b)\"",
            "predicate: a: string",
            "predicate: {a: \"x\"",
            "predicate: in: \"x\"",
            "predicateType: \"other\"",
            "subject: \"x\"",
            "x",
            "predicate: a: -1",
        ] {
            assert_eq!(condition(data, KIND), None, "{data}");
        }
        let deep = format!("predicate: {}\"x\"", "a: ".repeat(2_000));
        assert_eq!(condition(&deep, KIND), None);
    }
}
