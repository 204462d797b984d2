//! The differences between two policy files, as sentences for the log.

use std::collections::BTreeMap;

use super::{Mode, Policy, PolicySet, Unmatched, named};

impl PolicySet {
    /// What differs in `after`: a sentence for each policy, authority, block and exemption.
    #[must_use]
    pub fn changes_to(&self, after: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        if self.unmatched != after.unmatched {
            let word = |unmatched| match unmatched {
                Unmatched::Deny => "deny",
                Unmatched::Permit => "permit",
                Unmatched::Warn => "warn",
            };
            changes.push(format!("unmatched: {} -> {}", word(self.unmatched), word(after.unmatched)));
        }
        for before in &self.policies {
            if let Some(after) = after.policies.iter().find(|policy| policy.name == before.name) {
                changes.extend(before.changes_to(after));
            }
        }
        changes.extend(named::changes(&self.tables(), &after.tables()));
        changes
    }

    /// Each named thing of the file with its content. Policies in both files are compared by their parts.
    fn tables(&self) -> BTreeMap<String, String> {
        let policies = self.policies.iter().map(|policy| (format!("policy {}", policy.name), String::new()));
        let authorities = self
            .authorities
            .iter()
            .map(|(name, authority)| (format!("authority {name}"), format!("{authority:?}")));
        let blocks = self.blocks.iter().map(|one| (format!("block of {}", one.digest), one.reason.clone()));
        let exemptions = self.exemptions.iter().map(|one| {
            (
                format!("exemption by {} ({:?})", one.owner, one.covers),
                format!("{} {}", one.until, one.reason),
            )
        });
        policies.chain(authorities).chain(blocks).chain(exemptions).collect()
    }
}

impl Policy {
    fn changes_to(&self, after: &Self) -> Vec<String> {
        let mode = |mode| match mode {
            Mode::Enforce => "enforce",
            Mode::Warn => "warn",
        };
        let mut changes = Vec::new();
        if self.mode != after.mode {
            changes.push(format!("{} -> {}", mode(self.mode), mode(after.mode)));
        }
        let mut other = |what: &str, before: String, after: String| {
            if before != after {
                changes.push(format!("{what} changed"));
            }
        };
        other("scope", format!("{:?}", self.scopes), format!("{:?}", after.scopes));
        other(
            "requirements",
            without_lines(&format!("{:?}", self.rule)),
            without_lines(&format!("{:?}", after.rule)),
        );
        other("on_undecided", format!("{:?}", self.on_undecided), format!("{:?}", after.on_undecided));
        other("foreign_layers", format!("{:?}", self.foreign_layers), format!("{:?}", after.foreign_layers));
        other("evidence", format!("{:?}", self.evidence), format!("{:?}", after.evidence));
        other("index", format!("{:?}", self.index), format!("{:?}", after.index));
        changes.into_iter().map(|change| format!("{}: {change}", self.name)).collect()
    }
}

/// A line that moved is no change.
fn without_lines(text: &str) -> String {
    let mut parts = text.split("line: ");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.trim_start_matches(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::tests::fixture::{block, policy, policy_set};
    use crate::oci::Digest;
    use crate::policy::Rule;

    #[test]
    fn changes_are_told_policy_by_policy() {
        let one = || policy("production", "r.io/**", Rule::InsecurePermitAnything);
        let before = PolicySet { policies: vec![one()], ..policy_set(Vec::new()) };
        assert_eq!(before.changes_to(&before.clone()), Vec::<String>::new());
        let mut after = before.clone();
        after.policies[0].mode =
            if before.policies[0].mode == Mode::Warn { Mode::Enforce } else { Mode::Warn };
        after.policies.push(policy("new", "q.io/**", Rule::InsecurePermitAnything));
        after.blocks.push(block(Digest::of(b"x")));
        let changes = before.changes_to(&after);
        assert_eq!(changes.len(), 3, "{changes:?}");
        assert!(changes[0].starts_with("production: ") && changes[0].contains(" -> "), "{changes:?}");
        assert!(changes.contains(&"policy new: added".to_owned()), "{changes:?}");
        assert!(after.changes_to(&before).contains(&"policy new: removed".to_owned()));
    }

    #[test]
    fn a_line_that_moved_is_no_change() {
        let before = PolicySet {
            policies: vec![policy("production", "r.io/**", Rule::InsecurePermitAnything)],
            ..policy_set(Vec::new())
        };
        let mut after = before.clone();
        after.policies[0].location.line += 7;
        assert_eq!(before.changes_to(&after), Vec::<String>::new());
        assert_eq!(without_lines("a line: 12, b line: 3 }"), without_lines("a line: 9, b line: 44 }"));
    }
}
