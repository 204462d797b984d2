//! A replay for people.

use std::fmt::Write as _;

use pullgate_policy::text;

use super::report::{Change, Kind, Report, Unknown};
use crate::cli::paint::Paint;

/// How many clients of a change are named.
const CLIENTS: usize = 8;

/// Shows all of it.
pub(super) fn render(report: &Report, paint: Paint) -> String {
    let mut shown = String::new();
    for kind in [Kind::Refused, Kind::Served, Kind::Warned, Kind::WarnedNoMore] {
        let changes: Vec<_> = report.changes.iter().filter(|change| change.would_be == kind).collect();
        if changes.is_empty() {
            continue;
        }
        let head = match kind {
            Kind::Refused => paint.bad("would be refused"),
            Kind::Served => paint.odd("would be served, and was refused"),
            Kind::Warned => paint.odd("would be served with a warning"),
            Kind::WarnedNoMore => paint.good("would be served without the warning"),
        };
        let _ = writeln!(shown, "{head}");
        changes.into_iter().for_each(|change| one(&mut shown, change));
        shown.push('\n');
    }
    if !report.unknown.is_empty() {
        let _ = writeln!(shown, "{}", paint.odd("unknown"));
        report.unknown.iter().for_each(|unknown| not_known(&mut shown, unknown));
        shown.push('\n');
    }
    let count = |kind| report.changes.iter().filter(|change| change.would_be == kind).count();
    let _ = writeln!(
        shown,
        "{}: {} would be refused, {} served that were refused, {} warned of, {} warned of no more, {} unknown, {} as \
         before; {} manifests of {} pulls",
        report.policy,
        count(Kind::Refused),
        count(Kind::Served),
        count(Kind::Warned),
        count(Kind::WarnedNoMore),
        report.unknown.len(),
        report.same,
        report.manifests,
        report.pulls
    );
    shown
}

fn name(repository: &str, tags: &std::collections::BTreeSet<String>) -> String {
    let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
    let tags = if tags.is_empty() { String::new() } else { format!(":{}", tags.join(", :")) };
    text::escape(&format!("{repository}{tags}"))
}

fn one(shown: &mut String, change: &Change) {
    let _ = writeln!(shown, "  {} {}", name(&change.repository, &change.tags), change.digest);
    for reason in &change.reasons {
        let location = reason.location.as_ref().map(|location| format!("{location}: ")).unwrap_or_default();
        let _ = writeln!(shown, "    {location}{}: {}", reason.code, text::escape(&reason.text));
    }
    if change.children > 0 {
        let _ = writeln!(shown, "    and {} manifests that were pulled under it", change.children);
    }
    let mut clients: Vec<_> = change.clients.iter().collect();
    clients.sort_by_key(|(name, pulls)| (std::cmp::Reverse(**pulls), *name));
    let named: Vec<String> = clients
        .iter()
        .take(CLIENTS)
        .map(|(name, pulls)| format!("{} ({pulls})", text::escape(name)))
        .collect();
    let others = clients.len().saturating_sub(CLIENTS);
    let others = if others > 0 { format!(" and {others} more") } else { String::new() };
    let last = change.last.map(|last| format!(", the last at {last}")).unwrap_or_default();
    if !named.is_empty() {
        let _ = writeln!(shown, "    {} pulls by {}{others}{last}", change.pulls, named.join(", "));
    }
}

fn not_known(shown: &mut String, unknown: &Unknown) {
    let digest = unknown.digest.map(|digest| format!(" {digest}")).unwrap_or_default();
    let _ = writeln!(shown, "  {}{digest}", name(&unknown.image, &unknown.tags));
    let _ = writeln!(shown, "    {}: {}", unknown.code, unknown.text);
}
