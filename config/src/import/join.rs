//! Which policy governs what, once all originals are known: here one policy counts, there perhaps all that match.

use std::collections::{BTreeMap, BTreeSet};

use super::area::{self, Area, Common};
use super::fault::Fault;
use super::model::{Asks, Joined, Mode, Need, Originals, Part, Unmatched};
use super::remark::RemarkCode;
use super::tree::Place;
use crate::limits;

/// A policy that is to be written.
#[derive(Debug)]
pub(super) struct Governing {
    pub(super) scopes: Vec<Area>,
    pub(super) mode: Mode,
    pub(super) asks: Asks,
    /// The parts that it is made of, by their place in the list.
    pub(super) from: Vec<usize>,
}

/// The policies that say what the originals say together.
pub(super) fn joined(originals: &mut Originals) -> Result<Vec<Governing>, Fault> {
    if originals.parts.len() > limits::IMPORT_PARTS {
        return Err(Fault::Parts);
    }
    let governing = match originals.joined {
        Joined::MostSpecific => each_alone(&originals.parts),
        Joined::All => all_together(&mut originals.parts)?,
    };
    nothing_is_lost(originals, &governing)?;
    Ok(governing)
}

fn each_alone(parts: &[Part]) -> Vec<Governing> {
    let written = parts.iter().enumerate().filter(|(_, part)| !part.areas.is_empty());
    written
        .map(|(at, part)| Governing {
            scopes: part.areas.clone(),
            mode: part.mode,
            asks: part.asks.clone(),
            from: vec![at],
        })
        .collect()
}

/// For each scope of the closed set, all that is asked there: the most specific scope of an image is what all that match it
/// have in common.
fn all_together(parts: &mut [Part]) -> Result<Vec<Governing>, Fault> {
    let scopes = closed(parts)?;
    let mut grouped: BTreeMap<(Mode, Vec<usize>), Vec<Area>> = BTreeMap::new();
    for (scope, key) in without_repeats(scopes.into_iter().map(|scope| (asked_in(parts, &scope), scope))) {
        grouped.entry(key).or_default().push(scope);
    }
    warnings_that_are_dropped(parts, &grouped);
    let joined = grouped.into_iter().map(|((mode, from), mut scopes)| {
        scopes.sort_by_key(Area::text);
        Governing { scopes, mode, asks: together(from.iter().filter_map(|at| parts.get(*at))), from }
    });
    Ok(joined.collect())
}

/// The parts that count in a scope: where one enforces, those that merely warn ask for nothing; where anything is asked for,
/// what asks for nothing adds nothing.
fn asked_in(parts: &[Part], scope: &Area) -> (Mode, Vec<usize>) {
    let over = |part: &Part| {
        let within = |areas: &[Area]| areas.iter().any(|area| area.covers(scope));
        within(&part.areas) && !within(&part.except)
    };
    let asking = |mode: Mode| -> Vec<usize> {
        let asks =
            parts.iter().enumerate().filter(|(_, part)| part.mode == mode && part.asks != Asks::Nothing);
        asks.filter(|(_, part)| over(part)).map(|(at, _)| at).collect()
    };
    for mode in [Mode::Enforce, Mode::Warn] {
        let found = asking(mode);
        if !found.is_empty() {
            return (mode, found);
        }
    }
    (Mode::Enforce, parts.iter().enumerate().filter(|(_, part)| over(part)).map(|(at, _)| at).collect())
}

/// Without those scopes where the same is asked as everywhere around.
fn without_repeats(
    asked: impl Iterator<Item = ((Mode, Vec<usize>), Area)>,
) -> Vec<(Area, (Mode, Vec<usize>))> {
    let all: Vec<_> = asked.map(|(key, scope)| (scope, key)).collect();
    let mut kept = all.clone();
    for (scope, key) in &all {
        let mut others = kept.iter().filter(|(other, _)| other != scope);
        let around = others.clone().any(|(other, _)| other.covers(scope));
        let same = others.all(|(other, theirs)| theirs == key || other.common(scope) == Common::Nothing);
        if around && same {
            kept.retain(|(other, _)| other != scope);
        }
    }
    kept
}

/// All scopes, and what any of them have in common.
fn closed(parts: &[Part]) -> Result<BTreeSet<Area>, Fault> {
    let mut closed: BTreeSet<Area> = BTreeSet::new();
    for part in parts {
        for area in &part.areas {
            let mut new = BTreeSet::from([area.clone()]);
            for other in &closed {
                match area.common(other) {
                    Common::Area(common) => {
                        new.insert(common);
                    }
                    Common::Nothing => {}
                    Common::Unsaid => return Err(tie(&part.place, area, other)),
                }
            }
            closed.extend(new);
            if closed.len() > limits::IMPORT_SCOPES {
                return Err(Fault::Scopes);
            }
        }
    }
    Ok(closed)
}

fn tie(place: &Place, one: &Area, other: &Area) -> Fault {
    let hint = "end one of them where the other begins, or name the repositories";
    Fault::Tie { place: place.clone(), one: one.text(), other: other.text(), hint }
}

fn warnings_that_are_dropped(parts: &mut [Part], grouped: &BTreeMap<(Mode, Vec<usize>), Vec<Area>>) {
    let enforced: Vec<&Area> = grouped
        .iter()
        .filter(|((mode, _), _)| *mode == Mode::Enforce)
        .flat_map(|(_, scopes)| scopes)
        .collect();
    for part in parts.iter_mut().filter(|part| part.mode == Mode::Warn) {
        let meets = |area: &Area| enforced.iter().find(|scope| area.common(scope) != Common::Nothing);
        if let Some(scope) = part.areas.iter().find_map(meets) {
            let text = format!("in {} another policy is enforced, and this one is not written", scope.text());
            let place = part.place.clone();
            part.remark(RemarkCode::WarnDropped, &place, text);
        }
    }
}

fn together<'a>(parts: impl Iterator<Item = &'a Part>) -> Asks {
    let mut needs: Vec<Need> = Vec::new();
    for part in parts {
        match &part.asks {
            Asks::Denial(reason) => return Asks::Denial(reason.clone()),
            Asks::Nothing => {}
            Asks::Each(each) => {
                for need in each {
                    if !needs.contains(need) {
                        needs.push(need.clone());
                    }
                }
            }
        }
    }
    if needs.is_empty() { Asks::Nothing } else { Asks::Each(needs) }
}

/// A pattern that no scope says must not leave images to a policy that serves them, or to nobody where nobody denies.
fn nothing_is_lost(originals: &Originals, governing: &[Governing]) -> Result<(), Fault> {
    let asks = |part: &Part| part.mode == Mode::Enforce && part.asks != Asks::Nothing;
    for (at, part) in originals.parts.iter().enumerate().filter(|(_, part)| asks(part)) {
        for lost in &part.lost {
            let serves = governing
                .iter()
                .filter(|one| !one.from.contains(&at))
                .filter(|one| one.mode == Mode::Warn || !matches!(one.asks, Asks::Denial(_)))
                .flat_map(|one| &one.scopes)
                .find(|scope| area::overlap(&lost.glob, &scope.glob()));
            let under = match (serves, originals.unmatched) {
                (Some(scope), _) => format!("\"{}\"", scope.text()),
                (None, Unmatched::Permit) => "unmatched = \"permit\"".to_owned(),
                (None, Unmatched::Deny) => continue,
            };
            let why = format!("no scope says \"{}\"", pullgate_policy::text::escape(&lost.pattern));
            return Err(Fault::Unscoped { place: lost.place.clone(), why, under });
        }
    }
    Ok(())
}
