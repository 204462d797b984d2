//! Records made fit for a screen: a copy, an import or a forged row may hold any text.

use pullgate_policy::text;
use serde_json::Value;

use crate::audit::{DecisionId, Record};

/// The record with each character escaped that can change how the text around it is shown.
pub(super) fn fit(record: &Record) -> Record {
    let Ok(mut value) = serde_json::to_value(record) else { return record.clone() };
    if escape(&mut value) == Texts::Fit {
        return record.clone();
    }
    // Escaping keeps a text a text: the record stays valid.
    let bare = || Record::new(record.kind, &DecisionId::random(), record.time, record.verdict);
    serde_json::from_value(value).unwrap_or_else(|_| bare())
}

/// How the texts were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Texts {
    Fit,
    Escaped,
}

fn escape(value: &mut Value) -> Texts {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => Texts::Fit,
        Value::String(said) if said.contains(text::is_unsafe) => {
            *said = text::escape_whole(said);
            Texts::Escaped
        }
        Value::String(_) => Texts::Fit,
        Value::Array(values) => all(values.iter_mut()),
        Value::Object(fields) => all(fields.values_mut()),
    }
}

fn all<'a>(values: impl Iterator<Item = &'a mut Value>) -> Texts {
    let mut found = Texts::Fit;
    for value in values {
        if escape(value) == Texts::Escaped {
            found = Texts::Escaped;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Client, Kind, Reason, Word};

    #[test]
    fn no_text_of_a_record_steers_a_screen_and_an_honest_one_stays_as_it_is() {
        let honest =
            Record::new(Kind::Manifest, &DecisionId::random(), jiff::Timestamp::UNIX_EPOCH, Word::Deny);
        let honest = Record { identities: vec!["Zo\u{eb} <zoe@example.com>".to_owned()], ..honest };
        assert_eq!(fit(&honest), honest);
        let evil = "\u{1b}[2Ja\u{9b}31m\u{202e}\n".to_owned();
        let reason = Reason { code: evil.clone(), location: Some(evil.clone()), text: evil.clone() };
        let client = Client {
            address: evil.clone(),
            forwarded: Some(evil.clone()),
            names: vec![evil.clone()],
            user_agent: evil.clone(),
        };
        let hostile = Record {
            id: evil.clone(),
            gate: evil.clone(),
            ground: evil.clone(),
            identities: vec![evil],
            reasons: vec![reason],
            client: Some(client),
            ..honest
        };
        let shown = fit(&hostile);
        assert_eq!(shown.ground, "\\u{1b}[2Ja\\u{9b}31m\\u{202e}\\u{a}");
        let unsafe_ones =
            |record: &Record| format!("{}", serde_json::to_value(record).unwrap()).contains(r"\u00");
        assert!(unsafe_ones(&hostile) && !unsafe_ones(&shown));
        assert!(!super::super::export::csv(&hostile).trim_end().contains(text::is_unsafe));
    }
}
