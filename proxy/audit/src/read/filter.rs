//! What is asked of the log.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::Found;
use crate::facts::Facts;
use crate::record::Word;

/// Milliseconds of a day.
pub(super) const DAY: i64 = 24 * 60 * 60 * 1_000;

/// A pattern: `*` is any text, `?` one character, all else itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob(String);

impl Glob {
    /// Reads a pattern; each text is one.
    #[must_use]
    pub fn new(pattern: &str) -> Self {
        Self(pattern.to_owned())
    }

    /// Whether a text is so.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let (pattern, text): (Vec<char>, Vec<char>) = (self.0.chars().collect(), text.chars().collect());
        let (mut p, mut t, mut star) = (0, 0, None);
        // The last star takes one more each time that what comes behind it does not fit.
        while let Some(&letter) = text.get(t) {
            match pattern.get(p) {
                Some('*') => {
                    star = Some((p, t));
                    p += 1;
                }
                Some(&wanted) if wanted == '?' || wanted == letter => (p, t) = (p + 1, t + 1),
                Some(_) | None => match star {
                    Some((at, from)) => {
                        star = Some((at, from + 1));
                        (p, t) = (at + 1, from + 1);
                    }
                    None => return false,
                },
            }
        }
        pattern.get(p..).is_some_and(|rest| rest.iter().all(|letter| *letter == '*'))
    }

    /// As SQLite writes it, for a text in which lines stand.
    fn in_lines(&self) -> String {
        format!("*{}*", self.0.replace('[', "[[]"))
    }

    fn sql(&self) -> String {
        self.0.replace('[', "[[]")
    }
}

/// What is asked of the log; what is not set lets all through.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Not before.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
    /// The gate.
    pub gate: Option<String>,
    /// The repository.
    pub repository: Option<Glob>,
    /// The digest: served, judged, or as a root.
    pub digest: Option<String>,
    /// The tag as asked.
    pub tag: Option<String>,
    /// The client: its address, or a name that it proved.
    pub client: Option<String>,
    /// Who signed.
    pub identity: Option<Glob>,
    /// The policy.
    pub policy: Option<String>,
    /// The verdict.
    pub verdict: Option<Word>,
    /// The code of the first reason.
    pub code: Option<String>,
    /// The story.
    pub story: Option<String>,
    /// The beginning of the id.
    pub id: Option<String>,
    /// Before this place among the records of pulls: where a page before this one ended.
    pub before: Option<i64>,
}

/// A value of a question.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Number(i64),
    Text(String),
}

/// Conditions with what is bound to them.
#[derive(Debug, Clone, Default)]
pub(super) struct Conditions {
    pub(super) sql: String,
    pub(super) values: Vec<Value>,
}

impl Conditions {
    /// Adds a condition, in which `$` stands for the value.
    pub(super) fn and(&mut self, condition: &str, value: Value) {
        self.values.push(value);
        let place = format!("${}", self.values.len());
        // To write into a string never fails.
        let _ = write!(self.sql, " and {}", condition.replace('$', &place));
    }
}

impl Filter {
    /// What the facts must be.
    pub(super) fn facts(&self, conditions: &mut Conditions) {
        let Self {
            since: _,
            until: _,
            gate,
            repository,
            digest,
            tag,
            client,
            identity,
            policy,
            verdict,
            code,
            story: _,
            id: _,
            before: _,
        } = self;
        let text = |text: &str| Value::Text(text.to_owned());
        let equal =
            [("w.gate = $", gate), ("w.policy = $", policy), ("w.code = $", code), ("w.reference = $", tag)];
        for (condition, value) in equal {
            if let Some(value) = value {
                conditions.and(condition, text(value));
            }
        }
        if let Some(digest) = digest {
            conditions.and(
                "w.what in (select what from what where digest = $ union select what from what where root = $)",
                text(digest),
            );
        }
        if let Some(client) = client {
            conditions.and(
                "w.what in (select what from what where client = $ union select what from what \
                 where names <> '' and instr(char(10) || names || char(10), char(10) || $ || char(10)) > 0)",
                text(client),
            );
        }
        if let Some(repository) = repository {
            conditions.and("w.repository glob $", Value::Text(repository.sql()));
        }
        if let Some(identity) = identity {
            conditions.and("w.signers glob $", Value::Text(identity.in_lines()));
        }
        if let Some(verdict) = verdict {
            conditions.and("w.verdict = $", text(verdict.as_str()));
        }
    }

    /// The days of it.
    pub(super) fn days(&self, conditions: &mut Conditions) {
        if let Some(since) = self.since {
            conditions.and("d.day >= $", Value::Number(since.as_millisecond().div_euclid(DAY)));
        }
        if let Some(until) = self.until {
            let last = until.as_millisecond().saturating_sub(1).div_euclid(DAY);
            conditions.and("d.day <= $", Value::Number(last));
        }
    }

    /// What a row must be beside its facts.
    pub(super) fn rows(&self, conditions: &mut Conditions) {
        if let Some(since) = self.since {
            conditions.and("a.time >= $", Value::Number(since.as_millisecond()));
        }
        if let Some(until) = self.until {
            conditions.and("a.time < $", Value::Number(until.as_millisecond()));
        }
        if let Some(story) = &self.story {
            conditions.and("a.story = $", Value::Text(story.clone()));
        }
        if let Some(id) = &self.id {
            conditions.and("substr(a.id, 1, length($)) = $", Value::Text(id.clone()));
        }
    }

    /// The last place that may be looked at.
    pub(super) fn last_place(&self) -> i64 {
        self.before.map_or(i64::MAX, |before| before.saturating_sub(1))
    }

    /// Whether whole days are asked for, and nothing but facts.
    pub(super) fn is_of_whole_days(&self) -> bool {
        let whole = |time: Option<Timestamp>| time.is_none_or(|time| time.as_millisecond() % DAY == 0);
        let of_facts =
            self.story.is_none() && self.id.is_none() && self.identity.is_none() && self.before.is_none();
        of_facts && whole(self.since) && whole(self.until)
    }

    /// Whether a record is let through.
    #[must_use]
    pub fn passes(&self, found: &Found) -> bool {
        let facts = Facts::of(&mut found.record.clone());
        self.lets_through((found.time, &found.record.id, &found.record.story), &facts)
    }

    /// Whether such a record is let through: what SQL cannot say exactly, and what has no columns.
    pub(super) fn lets_through(&self, (time, id, story): (Timestamp, &str, &str), facts: &Facts) -> bool {
        let Self {
            since,
            until,
            gate,
            repository,
            digest,
            tag,
            client,
            identity,
            policy,
            verdict,
            code,
            story: told,
            id: begins,
            before: _,
        } = self;
        let is = |wanted: &Option<String>, text: &str| wanted.as_ref().is_none_or(|wanted| wanted == text);
        since.is_none_or(|since| time >= since)
            && until.is_none_or(|until| time < until)
            && is(gate, &facts.gate)
            && repository.as_ref().is_none_or(|glob| glob.matches(&facts.repository))
            && digest.as_ref().is_none_or(|digest| *digest == facts.digest || *digest == facts.root)
            && is(tag, &facts.reference)
            && client.as_ref().is_none_or(|client| {
                *client == facts.client || facts.names.lines().any(|name| name == client)
            })
            && identity.as_ref().is_none_or(|glob| facts.signers.lines().any(|signer| glob.matches(signer)))
            && is(policy, &facts.policy)
            && verdict.is_none_or(|verdict| verdict.as_str() == facts.verdict)
            && is(code, &facts.code)
            && is(told, story)
            && begins.as_ref().is_none_or(|begins| id.starts_with(begins.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_text_and_a_question_mark_one_character() {
        for (pattern, yes, no) in [
            ("ghcr.io/org/*", "ghcr.io/org/a/b", "ghcr.io/other/a"),
            ("*@corp.example", "ci@corp.example", "ci@corp.example.org"),
            ("a?c", "abc", "ac"),
            ("*a*b*", "xxaxxbxx", "xxbxxaxx"),
            ("a[b]*", "a[b]c", "abc"),
            ("", "", "a"),
        ] {
            assert!(Glob::new(pattern).matches(yes), "{pattern} {yes}");
            assert!(!Glob::new(pattern).matches(no), "{pattern} {no}");
        }
    }
}
