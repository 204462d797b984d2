//! Trust tables for people.

use jiff::{SignedDuration, Timestamp};

use super::One;
use crate::cli::paint::Paint;
use crate::trust::{Holds, Status, TableState};

/// Every table, one after the other.
pub(super) fn render(statuses: &[Status], now: Timestamp, paint: Paint) -> String {
    let tables: Vec<String> = statuses.iter().map(|status| table(status, now, paint)).collect();
    tables.join("\n")
}

fn table(status: &Status, now: Timestamp, paint: Paint) -> String {
    let word = status.state.word();
    let word = match status.state {
        TableState::Fresh | TableState::Pinned => paint.good(word),
        TableState::Expired | TableState::Snapshot => paint.odd(word),
        TableState::Missing | TableState::Stale => paint.bad(word),
    };
    let mut shown = format!("{}  {word}\n", paint.bold(&status.name));
    let mut row = |name: &str, value: String| shown.push_str(&format!("  {name:<13} {value}\n"));
    row("origin", origin(status));
    match status.used_by.as_slice() {
        [] => row("used by", "no authority".to_owned()),
        authorities => row("used by", authorities.join(", ")),
    }
    if let Some(revision) = &status.revision {
        row("content", revision.clone());
    }
    if let (Some(refreshed), TableState::Expired | TableState::Fresh | TableState::Stale) =
        (status.refreshed, status.state)
    {
        row("refreshed", format!("{}, {} ago", seconds(refreshed), span(now.duration_since(refreshed))));
    } else if let Some(age) = status.age_seconds {
        row("age", span(SignedDuration::from_secs(age)));
    }
    if let Some(expires) = status.expires {
        let left = expires.duration_since(now);
        let (left, way) = if left.is_negative() { (-left, "ago") } else { (left, "from now") };
        row("expires", format!("{}, {} {way}", seconds(expires), span(left)));
        row("counts until", status.stale_from.map_or("there is no end to it".to_owned(), seconds));
    }
    if status.url.is_some() {
        let next = status.next_refresh.filter(|next| *next > now).map(seconds);
        row("next refresh", next.unwrap_or_else(|| "when a gate starts that uses it".to_owned()));
    }
    if let Some(failed) = &status.failed {
        row("last failure", format!("{}: {}", paint.bad(failed.code), failed.why));
    }
    for holds in &status.holds {
        row("holds", held(holds));
    }
    for part in &status.spoilt {
        row("worth nothing", format!("{} {}: {}", part.kind, part.name, paint.bad(&part.why)));
    }
    shown
}

fn origin(status: &Status) -> String {
    let versions = status.versions.map(|[root, timestamp, snapshot, targets]| {
        format!(" (root {root}, timestamp {timestamp}, snapshot {snapshot}, targets {targets})")
    });
    match (&status.file, &status.url, status.versions) {
        (Some(file), _, _) => format!("the file {file}"),
        (None, Some(url), Some(_)) => format!("TUF, {url}{}", versions.unwrap_or_default()),
        (None, Some(url), None) if status.origin == "built-in" => {
            format!("built into this release; to be refreshed from {url}")
        }
        (None, Some(url), None) => format!("TUF, {url}; never fetched"),
        (None, None, _) => "built into this release".to_owned(),
    }
}

fn held(holds: &Holds) -> String {
    let day = |time: Option<Timestamp>| time.map(|time| time.strftime("%Y-%m-%d").to_string());
    let window = match (day(holds.from), day(holds.until)) {
        (None, None) => String::new(),
        (Some(from), None) => format!("  from {from}"),
        (None, Some(until)) => format!("  to {until}"),
        (Some(from), Some(until)) => format!("  {from} to {until}"),
    };
    format!("{:<21} {}{window}", holds.kind, holds.name)
}

/// What came of one refresh.
pub(super) fn line(one: &One, paint: Paint) -> String {
    match (&one.why, one.versions, one.expires) {
        (None, Some([root, timestamp, snapshot, targets]), Some(expires)) => format!(
            "{}  {}: root {root}, timestamp {timestamp}, snapshot {snapshot}, targets {targets}; expires {}\n",
            paint.bold(&one.name),
            paint.good("up to date"),
            seconds(expires)
        ),
        (why, _, _) => format!(
            "{}  {}: {}\n",
            paint.bold(&one.name),
            paint.bad(one.result),
            why.as_deref().unwrap_or_default()
        ),
    }
}

fn seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A span in its largest fitting unit.
fn span(span: SignedDuration) -> String {
    let seconds = span.as_secs();
    for (length, unit) in [(86_400, "days"), (3_600, "hours"), (60, "minutes")] {
        if seconds >= 2 * length {
            return format!("{} {unit}", seconds / length);
        }
    }
    format!("{seconds} seconds")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_told_in_the_unit_that_people_use() {
        for (seconds, told) in [
            (0, "0 seconds"),
            (119, "119 seconds"),
            (120, "2 minutes"),
            (7_200, "2 hours"),
            (200_000, "2 days"),
        ] {
            assert_eq!(span(SignedDuration::from_secs(seconds)), told);
        }
    }
}
