//! A denial in one line, for a person who sees nothing but their runtime's error (A522, A529).

use super::{Denial, Reason};
use crate::limits;
use crate::text;

/// Characters of a decision id that people are shown.
const ID_SHOWN: usize = 12;
/// Characters of a policy's name in a message: a long name must not drive the reason out.
const POLICY_SHOWN: usize = 64;

impl Denial {
    /// The denial in at most `message_bytes` ASCII characters: reasons, policy, and the decision id, which is never cut
    /// off. `id` is the decision id or the part of it that people are shown.
    #[must_use]
    pub fn message(&self, id: &str) -> String {
        let policy = self.policy().map_or_else(String::new, |name| {
            format!("; policy \"{}\"", text::line(name.as_str(), POLICY_SHOWN))
        });
        self.line(&format!("{policy}; pullgate {}", shown(id)), limits::MESSAGE_BYTES)
    }

    /// The denial as an HTTP/1.1 reason phrase of at most `reason_phrase_bytes` visible ASCII characters and spaces,
    /// without quotes that a client might stumble over; the decision id is never cut off.
    #[must_use]
    pub fn phrase(&self, id: &str) -> String {
        const START: &str = "Forbidden: ";
        let room = limits::REASON_PHRASE_BYTES - START.len();
        let line = self.line(&format!("; pullgate {}", shown(id)), room);
        text::header(&format!("{START}{line}"), limits::REASON_PHRASE_BYTES)
    }

    /// As many reasons as fit before `tail`, the others counted; the first is shortened where even it does not fit.
    fn line(&self, tail: &str, limit: usize) -> String {
        let room = limit.saturating_sub(tail.len());
        let texts: Vec<String> =
            self.reasons().map(|reason| text::line(words(reason), limits::LOG_FIELD_BYTES)).collect();
        let more = |left: usize| if left == 0 { String::new() } else { format!("; {left} more") };
        let fitting = (1..=texts.len()).rev().find_map(|count| {
            let said: Vec<&str> = texts.iter().take(count).map(String::as_str).collect();
            let said = format!("{}{}", said.join("; "), more(texts.len() - count));
            (said.len() <= room).then_some(said)
        });
        let said = fitting.unwrap_or_else(|| {
            let more = more(texts.len().saturating_sub(1));
            let first = texts.first().map(String::as_str).unwrap_or_default();
            format!("{}{more}", text::line(first, room.saturating_sub(more.len())))
        });
        format!("{said}{tail}")
    }
}

fn words(reason: &Reason) -> &str {
    // Causes are sentences; in a line they are parts of one.
    if reason.text.is_empty() { reason.code.as_str() } else { reason.text.trim_end_matches('.') }
}

fn shown(id: &str) -> String {
    id.chars().filter(char::is_ascii_alphanumeric).take(ID_SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::code::Code;
    use crate::identity::Name;

    const ID: &str = "7f3c00112233";

    fn denial(policy: Option<&str>, texts: &[&str]) -> Denial {
        let reason =
            |text: &&str| Reason { code: Code::NoSignature, location: None, text: (*text).to_owned() };
        let mut reasons = texts.iter().map(reason);
        let first = reasons.next().unwrap();
        Denial::new(policy.map(Name::new), first, reasons.collect())
    }

    #[test]
    fn a_message_says_reason_policy_and_id_in_that_order() {
        let one = denial(Some("production"), &["no signature by \"ci\" (1 unknown-authority)"]);
        assert_eq!(
            one.message(ID),
            "no signature by \"ci\" (1 unknown-authority); policy \"production\"; pullgate 7f3c00112233"
        );
        assert_eq!(
            one.phrase(ID),
            "Forbidden: no signature by 'ci' (1 unknown-authority); pullgate 7f3c00112233"
        );
        let sentence = denial(None, &["Two readers differ."]);
        assert_eq!(sentence.message(ID), "Two readers differ; pullgate 7f3c00112233");
        let unmatched = denial(None, &["no scope matches this repository"]);
        assert_eq!(unmatched.message(ID), "no scope matches this repository; pullgate 7f3c00112233");
    }

    #[test]
    fn a529_reasons_that_do_not_fit_are_counted() {
        let long = "word ".repeat(30);
        let many = denial(Some("production"), &[&long, &long, &long]);
        assert!(
            many.message(ID).contains("; 2 more; policy \"production\"; pullgate 7f3c00112233"),
            "{}",
            many.message(ID)
        );
        let two = denial(Some("production"), &["no signature by \"a\"", "no attestation x by \"b\""]);
        assert!(two.message(ID).starts_with("no signature by \"a\"; no attestation x by \"b\"; policy"));
        let endless = denial(Some(&"p".repeat(500)), &[&"x".repeat(500), "b"]);
        assert!(endless.message(ID).len() <= limits::MESSAGE_BYTES);
        assert!(endless.message(ID).ends_with("; pullgate 7f3c00112233"));
    }

    #[test]
    fn a522_a_full_id_is_shown_by_its_first_twelve_digits() {
        let message = denial(None, &["x"]).message("7f3c001122334455\r\nSet-Cookie: a");
        assert_eq!(message, "x; pullgate 7f3c00112233");
    }

    proptest! {
        #[test]
        fn a522_message_and_phrase_stay_one_bounded_safe_line_with_the_id(
            policy in proptest::option::of(any::<String>()),
            texts in proptest::collection::vec(any::<String>(), 1..6),
        ) {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let denial = denial(policy.as_deref(), &texts);
            let (message, phrase) = (denial.message(ID), denial.phrase(ID));
            prop_assert!(message.len() <= limits::MESSAGE_BYTES && phrase.len() <= limits::REASON_PHRASE_BYTES);
            let tail = format!("pullgate {ID}");
            prop_assert!(message.ends_with(&tail) && phrase.ends_with(&tail));
            prop_assert!(phrase.starts_with("Forbidden: "));
            let visible = |text: &str| text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
            prop_assert!(visible(&message) && visible(&phrase));
            prop_assert!(!phrase.contains(['"', '\\']));
        }
    }
}
