//! `trustpolicy.json` of Notation: one policy governs a repository, by its name before `*`.

use std::collections::BTreeSet;

use super::area::{Area, is_hub};
use super::fault::Fault;
use super::model::{Asks, Joined, Lost, Mode, Originals, Part, Unmatched};
use super::remark::RemarkCode;
use super::tree::Node;

/// Reads a trust policy. What asks for a signature of Notation's is a denial; what skips verification is served unchecked.
pub(super) fn read(node: &Node) -> Result<Originals, Fault> {
    let invalid = |node: &Node, why: &str| Fault::Invalid { place: node.place.clone(), why: why.to_owned() };
    let policies = node.at(&["trustPolicies"]).map(Node::list).transpose()?.unwrap_or_default();
    if policies.is_empty() {
        return Err(invalid(node, "it has no `trustPolicies`"));
    }
    let mut seen = BTreeSet::new();
    let mut parts = Vec::new();
    for policy in policies {
        let name = policy.text_at(&["name"]).ok_or_else(|| invalid(policy, "a policy has no `name`"))?;
        let scopes = policy.at(&["registryScopes"]).map(Node::list).transpose()?.unwrap_or_default();
        if scopes.is_empty() {
            return Err(invalid(policy, "a policy has no `registryScopes`"));
        }
        let mut part = Part::new(name, &policy.place, Mode::Enforce);
        for scope in scopes {
            let text = scope.text()?;
            if !seen.insert(text) || (text == "*" && scopes.len() > 1) {
                return Err(invalid(scope, "a scope stands in two policies, or `*` beside others"));
            }
            match area(text) {
                Some(area) => part.areas.push(area),
                None => {
                    let why = format!("{text}: no repository is called so, or two are told apart by case");
                    part.remark(RemarkCode::LeftOut, &scope.place, why);
                    let (place, pattern) = (scope.place.clone(), text.to_owned());
                    let glob = text.to_ascii_lowercase();
                    part.lost.push(Lost { place, pattern, glob });
                }
            }
        }
        let level = policy.text_at(&["signatureVerification", "level"]);
        match level.ok_or_else(|| invalid(policy, "a policy has no `level`"))? {
            "skip" => {}
            level @ ("strict" | "permissive" | "audit") => {
                let why = format!("signatures of Notation, {level}");
                part.remark(RemarkCode::Notation, &policy.place, why.as_str());
                part.asks = Asks::Denial(why);
            }
            _ => return Err(invalid(policy, "the level is unknown")),
        }
        parts.push(part);
    }
    Ok(Originals { parts, joined: Joined::MostSpecific, unmatched: Unmatched::Deny, remarks: Vec::new() })
}

fn area(scope: &str) -> Option<Area> {
    if scope == "*" {
        return Some(Area::everything());
    }
    let (registry, path) = scope.split_once('/')?;
    // Another spelling of a registry or repository is another scope there.
    let plain = !scope.contains('*') && !registry.chars().any(|c| c.is_ascii_uppercase());
    let hub = is_hub(registry) && (registry != "docker.io" || !path.contains('/'));
    (plain && !hub).then(|| Area::parse(scope)).flatten()
}
