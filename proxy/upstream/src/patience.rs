//! How long the first byte of an answer is waited for.

use std::time::Duration;

use crate::limits;

/// The configured waits of one upstream.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Patience {
    /// Of a question.
    pub(super) question: Option<Duration>,
    /// Of a blob.
    pub(super) blob: Option<Duration>,
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    /// A layer or config, which an upstream that is itself a proxy may fetch before it sends a byte.
    Blob,
    /// A manifest, a list, a piece of evidence, a token.
    Question,
}

/// Whether another endpoint can be asked after this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    Another,
    Nobody,
}

impl Patience {
    /// The configured wait; else a longer one for the last endpoint.
    pub(super) fn of(self, what: For, after: After) -> Duration {
        let configured = match what {
            For::Blob => self.blob,
            For::Question => self.question,
        };
        configured.unwrap_or(match (what, after) {
            (For::Question, After::Another) => limits::FIRST_BYTE,
            (For::Question, After::Nobody) | (For::Blob, After::Another) => limits::FIRST_BYTE_LAST,
            (For::Blob, After::Nobody) => limits::FIRST_BYTE_BLOB,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_byte_is_configured_or_longer_for_blobs_and_for_the_only_endpoint() {
        let (unset, second) = (Patience::default(), Duration::from_secs(1));
        let set = Patience { question: Some(second), blob: Some(second * 2) };
        for (what, after, limit, configured) in [
            (For::Question, After::Another, limits::FIRST_BYTE, second),
            (For::Question, After::Nobody, limits::FIRST_BYTE_LAST, second),
            (For::Blob, After::Another, limits::FIRST_BYTE_LAST, second * 2),
            (For::Blob, After::Nobody, limits::FIRST_BYTE_BLOB, second * 2),
        ] {
            assert_eq!(
                (unset.of(what, after), set.of(what, after)),
                (limit, configured),
                "{what:?} {after:?}"
            );
        }
    }
}
