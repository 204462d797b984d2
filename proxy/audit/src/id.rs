//! The name of an answer.

/// Names one answer: 128 random bits in hex (A528).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DecisionId(String);

impl DecisionId {
    /// A new one.
    #[must_use]
    pub fn random() -> Self {
        let mut bytes = [0; 16];
        // Without randomness ids repeat and nothing else breaks: they are names, not secrets.
        let _ = aws_lc_rs::rand::fill(&mut bytes);
        Self(hex::encode(bytes))
    }

    /// The first 12 digits, which people are shown.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }

    /// All of it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a528_ids_are_128_random_bits_of_which_people_see_the_first_48() {
        let ids: std::collections::HashSet<_> = (0..1_000).map(|_| DecisionId::random()).collect();
        assert_eq!(ids.len(), 1_000);
        for id in ids {
            assert!(id.as_str().len() == 32 && id.as_str().bytes().all(|b| b.is_ascii_hexdigit()));
            assert!(id.short().len() == 12 && id.as_str().starts_with(id.short()));
        }
    }
}
