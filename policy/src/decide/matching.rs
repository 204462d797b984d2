//! Thresholds count distinct authorities, each met by another key or identity (A233): a maximum bipartite matching.

use std::collections::{BTreeMap, BTreeSet};

use crate::identity::Name;

/// Pairs as many authorities as possible with principals of their own; each pair names the piece of evidence.
pub(super) fn maximum(edges: &[(Name, usize, usize)]) -> Vec<(Name, usize)> {
    let mut holder: BTreeMap<&usize, (&Name, usize)> = BTreeMap::new();
    let names: BTreeSet<&Name> = edges.iter().map(|(name, _, _)| name).collect();
    for name in names {
        assign(name, edges, &mut holder, &mut BTreeSet::new());
    }
    let mut pairs: Vec<_> = holder.into_values().map(|(name, position)| (name.clone(), position)).collect();
    pairs.sort();
    pairs
}

/// Finds an augmenting path from `name` (Kuhn's algorithm); each principal is visited once.
fn assign<'a>(
    name: &'a Name,
    edges: &'a [(Name, usize, usize)],
    holder: &mut BTreeMap<&'a usize, (&'a Name, usize)>,
    visited: &mut BTreeSet<&'a usize>,
) -> bool {
    for (_, principal, position) in edges.iter().filter(|(candidate, _, _)| candidate == name) {
        if !visited.insert(principal) {
            continue;
        }
        let free = match holder.get(principal).copied() {
            None => true,
            Some((other, _)) => assign(other, edges, holder, visited),
        };
        if free {
            holder.insert(principal, (name, *position));
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(name: &str, key: &str) -> (Name, usize, usize) {
        (Name::new(name), usize::from(key.as_bytes()[0]), 0)
    }

    #[test]
    fn a233_one_signer_meets_one_authority_however_often_it_signed() {
        assert_eq!(maximum(&[edge("a", "k"), edge("a", "k"), edge("b", "k")]).len(), 1);
        assert_eq!(maximum(&[edge("a", "k"), edge("a", "l")]).len(), 1);
    }

    #[test]
    fn a_greedy_choice_is_undone() {
        // `a` could take either key, `b` only the first: both are met.
        assert_eq!(maximum(&[edge("a", "k"), edge("a", "l"), edge("b", "k")]).len(), 2);
        assert_eq!(
            maximum(&[edge("b", "l"), edge("a", "k"), edge("a", "l"), edge("c", "m"), edge("c", "k")]).len(),
            3
        );
    }
}
