//! What is left of each part once it is known whom a policy file takes: of several ways to pass one may go, of several
//! conditions none.

use std::collections::BTreeMap;

use super::model::{Alternative, Asks, Need, Part};
use super::remark::RemarkCode;
use super::trusted::{Trusted, Who};

/// Leaves out those whom `check` would refuse.
pub(super) fn resolve(parts: &mut [Part], trusted: &Trusted, refused: &BTreeMap<Who, String>) {
    for part in parts {
        let Asks::Each(needs) = part.asks.clone() else { continue };
        let mut left = Vec::new();
        let mut denied = None;
        for Need(alternatives) in needs {
            let (kept, gone) = sorted(alternatives, refused);
            let code = match kept.is_empty() {
                true => RemarkCode::Authority,
                false => RemarkCode::AlternativeDropped,
            };
            for (who, why) in gone {
                let name = trusted.get(who).map(|one| one.name.as_str()).unwrap_or_default();
                let place = trusted.get(who).map_or_else(|| part.place.clone(), |one| one.place.clone());
                part.remark(code, &place, format!("{name}: {why}"));
            }
            if kept.is_empty() {
                denied = Some("nobody whom it names can be named here");
            }
            left.push(Need::of(kept));
        }
        part.asks = match denied {
            Some(why) => Asks::Denial(why.to_owned()),
            None => Asks::Each(left),
        };
    }
}

/// The alternatives that can still be met, and who was left out.
fn sorted(
    alternatives: Vec<Alternative>,
    refused: &BTreeMap<Who, String>,
) -> (Vec<Alternative>, Vec<(Who, String)>) {
    let (mut kept, mut gone) = (Vec::new(), Vec::new());
    for mut alternative in alternatives {
        for who in &alternative.any_of {
            gone.extend(refused.get(who).map(|why| (*who, why.clone())));
        }
        alternative.any_of.retain(|who| !refused.contains_key(who));
        if alternative.any_of.len() >= alternative.threshold.max(1) {
            kept.push(alternative);
        }
    }
    (kept, gone)
}
