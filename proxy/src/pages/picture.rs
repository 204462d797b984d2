//! Pulls and verdicts over time, drawn here: a bar for each day.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::report::{Counts, Day};

/// Days of the picture.
const DAYS: u16 = 30;
/// Its size, in units of its own.
const WIDTH: u16 = 900;
const HEIGHT: u16 = 200;
/// Room for words on the left and below.
const LEFT: u16 = 60;
const BELOW: u16 = 24;
/// Between two bars.
const GAP: u16 = 4;

/// A bar's part.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) class: &'static str,
    pub(super) y: u16,
    pub(super) height: u16,
}

/// A bar: a day.
#[derive(Debug)]
pub(super) struct Bar {
    pub(super) x: u16,
    pub(super) width: u16,
    pub(super) parts: Vec<Part>,
    /// The text under a pointer, and of a screen reader.
    pub(super) says: String,
}

/// The picture.
#[derive(Debug)]
pub(super) struct Picture {
    pub(super) bars: Vec<Bar>,
    /// The pulls of the fullest day.
    pub(super) most: u64,
    pub(super) first: String,
    pub(super) last: String,
    pub(super) says: String,
}

impl Picture {
    pub(super) const WIDTH: u16 = WIDTH;
    pub(super) const HEIGHT: u16 = HEIGHT;
    pub(super) const LEFT: u16 = LEFT;
    pub(super) const GROUND: u16 = HEIGHT - BELOW;

    /// The days up to now.
    pub(super) fn of(days: &[Day], now: Timestamp) -> Self {
        let known: BTreeMap<&str, Counts> = days.iter().map(|day| (day.day.as_str(), day.counts)).collect();
        let day = |back: u16| {
            let at = now.checked_sub(SignedDuration::from_hours(24 * i64::from(back))).unwrap_or(now);
            at.strftime("%Y-%m-%d").to_string()
        };
        let shown: Vec<(String, Counts)> = (0..DAYS)
            .rev()
            .map(|back| {
                let name = day(back);
                let counts = known.get(name.as_str()).copied().unwrap_or_default();
                (name, counts)
            })
            .collect();
        let most = shown.iter().map(|(_, counts)| counts.pulls).max().unwrap_or(0);
        let step = (WIDTH - LEFT) / DAYS;
        let bar = |(at, (name, counts)): (u16, &(String, Counts))| Bar {
            x: LEFT + at * step,
            width: step - GAP,
            parts: parts(*counts, most.max(1)),
            says: says(name, *counts),
        };
        let total = shown.iter().map(|(_, counts)| counts.pulls).sum::<u64>();
        Self {
            bars: (0..).zip(&shown).map(bar).collect(),
            most,
            first: day(DAYS - 1),
            last: day(0),
            says: format!(
                "Pulls of each of the last {DAYS} days, by verdict: {total} in all, at most {most} a day."
            ),
        }
    }
}

fn says(day: &str, counts: Counts) -> String {
    let Counts { pulls, permitted, refused, warned, undecided, missing } = counts;
    format!(
        "{day}: {pulls} pulls, {permitted} permitted, {warned} warned of, {refused} refused, {undecided} undecided, {missing} not found"
    )
}

/// From the ground up. What was seen at all is seen: a part has a height of one at least.
fn parts(counts: Counts, most: u64) -> Vec<Part> {
    let classes = [
        ("permit-bar", counts.permitted),
        ("warn-bar", counts.warned),
        ("deny-bar", counts.refused),
        ("odd-bar", counts.undecided.saturating_add(counts.missing)),
    ];
    let mut y = Picture::GROUND;
    let mut parts = Vec::new();
    for (class, count) in classes.into_iter().filter(|(_, count)| *count > 0) {
        let room = u128::from(Picture::GROUND - GAP * 2);
        let height = u16::try_from(u128::from(count) * room / u128::from(most)).unwrap_or(0).max(1);
        y = y.saturating_sub(height);
        parts.push(Part { class, y, height });
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_a_bar_from_the_ground_up_and_the_fullest_fills_the_room() {
        let counts = Counts { pulls: 100, permitted: 75, refused: 25, ..Counts::default() };
        let now: Timestamp = "2026-11-30T12:00:00Z".parse().unwrap();
        let picture = Picture::of(&[Day { day: "2026-11-30".to_owned(), counts }], now);
        assert_eq!((picture.bars.len(), picture.most, picture.first.as_str()), (30, 100, "2026-11-01"));
        let last = picture.bars.last().unwrap();
        let classes: Vec<_> = last.parts.iter().map(|part| part.class).collect();
        assert_eq!(classes, ["permit-bar", "deny-bar"]);
        assert_eq!(last.parts[0].y + last.parts[0].height, Picture::GROUND);
        assert_eq!(last.parts[1].y + last.parts[1].height, last.parts[0].y);
        assert!(last.x + last.width <= WIDTH && last.says.contains("25 refused"));
        assert!(picture.bars[0].parts.is_empty());
    }

    #[test]
    fn one_pull_among_millions_is_seen_and_no_pull_is_none() {
        let counts = Counts { pulls: 5_000_001, permitted: 5_000_000, refused: 1, ..Counts::default() };
        assert_eq!(parts(counts, 5_000_001)[1].height, 1);
        assert!(parts(Counts::default(), 1).is_empty());
    }
}
