//! A report for people.

use std::fmt::Write as _;

use crate::cli::paint::Paint;
use crate::report::{Ends, Exemption, Group, Image, Moved, Report, Rests, Section, Sections, Use, Without};

/// Clients of a manifest that are named.
const CLIENTS: usize = 8;

/// Shows the parts that are told.
pub(super) fn render(report: &Report, sections: &Sections, paint: Paint) -> String {
    let mut shown = String::new();
    let total = report.total;
    let _ = writeln!(
        shown,
        "from {:.0} to {:.0}: {} pulls, {} permitted, {} warned of, {} refused, {} undecided, {} not found",
        report.since,
        report.until,
        total.pulls,
        total.permitted,
        total.warned,
        total.refused,
        total.undecided,
        total.missing
    );
    if report.left_out > 0 {
        let _ = writeln!(shown, "{} of them are in the sums alone: ask for fewer days", report.left_out);
    }
    let groups = [
        (Section::Repositories, "by repository", &report.repositories),
        (Section::Clients, "by client", &report.clients),
        (Section::Gates, "by gate", &report.gates),
    ];
    for (_, name, groups) in groups.into_iter().filter(|(section, ..)| sections.has(*section)) {
        table(&mut shown, (name, groups), paint);
    }
    let would = "would be refused, if \"warn\" became \"enforce\"";
    let images = [
        (Section::WouldDeny, paint.bad(would), &report.would_deny),
        (Section::Refused, paint.bad("refused"), &report.refused),
        (Section::Unsigned, paint.odd("pulled, and never signed by anybody who is known"), &report.unsigned),
        (Section::Shadow, paint.odd("of which `audit.shadow` says another thing"), &report.shadow),
    ];
    for (_, name, images) in images.into_iter().filter(|(section, ..)| sections.has(*section)) {
        list(&mut shown, (&name, images), one);
    }
    if sections.has(Section::Signers) {
        signers(&mut shown, report, paint);
    }
    if sections.has(Section::Rests) {
        list(&mut shown, (&paint.bold("rests on that authority"), &report.rests), |shown, one| {
            rests(shown, one, paint)
        });
    }
    if sections.has(Section::Exemptions) {
        list(&mut shown, (&paint.bold("exemptions"), &report.exemptions), |shown, one| {
            exemption(shown, one, paint)
        });
    }
    if sections.has(Section::Moved) {
        list(&mut shown, (&paint.odd("tags that moved"), &report.moved), moved);
    }
    if sections.has(Section::Unserved) {
        list(
            &mut shown,
            (&paint.odd("asked for, and not served: no `[upstream]`"), &report.unserved),
            |shown, one| {
                let clients: Vec<(&str, u64)> = one.clients.iter().map(|name| (name.as_str(), 0)).collect();
                let _ = writeln!(
                    shown,
                    "  {}  {} requests by {}, the last at {:.0}",
                    one.registry,
                    one.requests,
                    named(&clients),
                    one.last
                );
            },
        );
    }
    shown
}

/// A heading and its entries; nothing where there are none.
fn list<T>(shown: &mut String, (name, all): (&str, &[T]), mut one: impl FnMut(&mut String, &T)) {
    if all.is_empty() {
        return;
    }
    let _ = writeln!(shown, "\n{name}");
    all.iter().for_each(|entry| one(shown, entry));
}

fn table(shown: &mut String, (name, groups): (&str, &[Group]), paint: Paint) {
    if groups.is_empty() {
        return;
    }
    let width = groups.iter().map(|group| group.name.chars().count()).chain([name.len()]).max().unwrap_or(0);
    let head = format!("{name:<width$}   pulls  permitted     warned    refused  undecided  not found");
    let _ = writeln!(shown, "\n{}", paint.bold(&head));
    for group in groups {
        let counts = group.counts;
        let _ = write!(
            shown,
            "{:<width$} {:>7} {:>10} {:>10} {:>10} {:>10} {:>10}",
            group.name,
            counts.pulls,
            counts.permitted,
            counts.warned,
            counts.refused,
            counts.undecided,
            counts.missing
        );
        let signers: Vec<&str> = group.signers.iter().map(String::as_str).collect();
        let by = if signers.is_empty() { String::new() } else { format!("  {}", signers.join(", ")) };
        let _ = writeln!(shown, "{by}");
    }
}

fn one(shown: &mut String, image: &Image) {
    let _ = writeln!(shown, "  {} {}", image.name(), image.digest);
    let policy =
        if image.policy.is_empty() { String::new() } else { format!("; policy \"{}\"", image.policy) };
    let why = if image.code.is_empty() { &image.ground } else { &image.code };
    let looked = if image.was_looked_at() { "" } else { "; nobody looked who signed it" };
    let _ = writeln!(shown, "    {why}{policy}{looked}");
    if !image.signers.is_empty() {
        let signers: Vec<&str> = image.signers.iter().map(String::as_str).collect();
        let _ = writeln!(shown, "    signed by {}", signers.join(", "));
    }
    if image.children > 0 {
        let _ = writeln!(shown, "    and {} manifests that were pulled under it", image.children);
    }
    let _ = writeln!(
        shown,
        "    {} pulls by {}, the last at {:.0}",
        image.pulls,
        named(&image.asked_by()),
        image.last
    );
}

/// The first clients by name, with their pulls where these are counted.
fn named(clients: &[(&str, u64)]) -> String {
    let name = |(name, pulls): &(&str, u64)| {
        if *pulls > 0 { format!("{name} ({pulls})") } else { (*name).to_owned() }
    };
    let names: Vec<String> = clients.iter().take(CLIENTS).map(name).collect();
    let others = clients.len().saturating_sub(CLIENTS);
    let others = if others > 0 { format!(" and {others} more") } else { String::new() };
    format!("{}{others}", names.join(", "))
}

fn signers(shown: &mut String, report: &Report, paint: Paint) {
    list(shown, (&paint.bold("who signed what was pulled"), &report.signers), |shown, one| {
        let counted = format!("counted in {} pulls, in vain in {}", one.counted, one.in_vain);
        let _ = writeln!(shown, "  {}\n    {counted}, in {} repositories", one.by, one.repositories.len());
    });
    let head = paint.odd("signed, and named by no requirement");
    list(shown, (&head, &report.strangers), |shown, one| {
        let repositories: Vec<&str> = one.repositories.iter().map(String::as_str).collect();
        let _ = writeln!(shown, "  {}\n    in {}", one.by, repositories.join(", "));
        if !one.authorities.is_empty() {
            let names: Vec<&str> = one.authorities.iter().map(String::as_str).collect();
            let _ = writeln!(
                shown,
                "    the policy knows it as {}, and does not ask for it there",
                names.join(", ")
            );
        }
    });
    if !report.lines.is_empty() {
        let _ = writeln!(shown, "\n{}", report.lines.trim_end());
    }
}

fn rests(shown: &mut String, one: &Rests, paint: Paint) {
    let without = match one.without {
        Without::Alone => paint.bad("nobody else signed it, as far as the log says"),
        Without::Refused => paint.bad("would be refused without it"),
        Without::Served => paint.good("others carry it"),
        Without::Unknown => paint.odd("others counted too; whether they carry it is not known"),
    };
    let _ = writeln!(shown, "  {} {}", one.image.name(), one.image.digest);
    let authorities: Vec<&str> = one.authorities.iter().map(String::as_str).collect();
    let _ = writeln!(shown, "    {without}; by {}", authorities.join(", "));
    let image = &one.image;
    let _ = writeln!(
        shown,
        "    {} pulls by {}, the last at {:.0}",
        image.pulls,
        named(&image.asked_by()),
        image.last
    );
}

fn exemption(shown: &mut String, one: &Exemption, paint: Paint) {
    let ends = match one.ends {
        Ends::Ended => paint.bad("has ended"),
        Ends::Later => "ends".to_owned(),
        Ends::Soon => paint.odd("ends soon"),
    };
    let used = match (one.used, one.last) {
        (Use::Used, Some(last)) => format!("{} pulls, the last at {last:.0}", one.pulls),
        (Use::Used | Use::Unused, _) => paint.odd("nobody used it"),
    };
    let _ = writeln!(shown, "  {} {}", one.location, one.covers.join(", "));
    let _ = writeln!(shown, "    {ends} at {:.0}; {used}; {}: {}", one.until, one.owner, one.reason);
}

fn moved(shown: &mut String, one: &Moved) {
    let _ = writeln!(shown, "  {}:{}", one.repository, one.tag);
    for held in &one.was {
        let signers: Vec<&str> = held.signers.iter().map(String::as_str).collect();
        let by =
            if signers.is_empty() { String::new() } else { format!(", signed by {}", signers.join(", ")) };
        let _ = writeln!(
            shown,
            "    {}  {} pulls, {:.0} to {:.0}{by}",
            held.digest, held.pulls, held.first, held.last
        );
    }
}
