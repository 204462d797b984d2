//! Which principals are one signer: those that share a key, a name or a subject, directly or through others (A233).

use std::collections::BTreeMap;

use crate::identity::{Mark, Principal};

/// The signers of some pieces, as far as they were seen.
#[derive(Default)]
pub(super) struct Holders {
    marks: BTreeMap<Mark, usize>,
    /// For each piece another piece of the same signer, or itself (a union-find forest).
    joined: Vec<usize>,
}

impl Holders {
    /// Adds a piece and returns its number.
    pub(super) fn add(&mut self, principal: &Principal) -> usize {
        let own = self.joined.len();
        self.joined.push(own);
        for mark in principal.marks() {
            let other = *self.marks.entry(mark).or_insert(own);
            let (one, other) = (self.of(own), self.of(other));
            if let Some(joined) = self.joined.get_mut(one) {
                *joined = other;
            }
        }
        own
    }

    /// The signer of a piece.
    pub(super) fn of(&self, piece: usize) -> usize {
        let mut at = piece;
        while let Some(next) = self.joined.get(at).copied().filter(|next| *next != at) {
            at = next;
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::tests::fixture::by_key;
    use crate::identity::{AltName, Certified, KeyId, Name, RootsId};

    fn certified(subject: &str, name: &str, key: &str) -> Principal {
        Principal::Certificate(Certified {
            trust: Name::new("corp"),
            roots: RootsId::of_certificates(b"corp"),
            subject: subject.to_owned(),
            names: [AltName::Dns(name.to_owned())].into(),
            held: Some(KeyId::of_spki(key.as_bytes())),
        })
    }

    #[test]
    fn a233_who_shares_anything_with_a_signer_is_that_signer_whatever_came_first() {
        let chain = [certified("CN=a", "x", "k"), certified("CN=b", "y", "l"), certified("CN=a", "y", "m")];
        for order in [[0, 1, 2], [0, 2, 1], [2, 1, 0]] {
            let mut holders = Holders::default();
            let pieces = order.map(|at| holders.add(&chain[at]));
            let signers = pieces.map(|piece| holders.of(piece));
            assert!(signers.iter().all(|signer| *signer == signers[0]), "{order:?}");
        }
        let mut holders = Holders::default();
        let (one, other) = (holders.add(&chain[0]), holders.add(&chain[1]));
        let (a, b) = (holders.add(&by_key("a")), holders.add(&by_key("b")));
        let signers = [one, other, a, b].map(|piece| holders.of(piece));
        assert_eq!(signers.iter().collect::<std::collections::BTreeSet<_>>().len(), 4);
    }
}
