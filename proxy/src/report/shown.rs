//! Times, names and words as templates write them: values in, texts out. Templates escape all of it.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{Ends, Exemption, Image, Said, Use, Without};

/// Clients of a manifest that are named.
const CLIENTS: usize = 20;

/// A time to the second, in UTC.
#[must_use]
pub fn time(time: &Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Names with commas between them.
#[must_use]
pub fn names(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// The beginning of a digest, which people compare by eye.
#[must_use]
pub fn short(digest: &str) -> String {
    digest.chars().take("sha256:".len() + 12).collect()
}

/// The clients of a manifest, with their pulls.
#[must_use]
pub fn clients(image: &Image) -> String {
    let clients = image.asked_by();
    let others = clients.len().saturating_sub(CLIENTS);
    let named: Vec<String> =
        clients.into_iter().take(CLIENTS).map(|(name, pulls)| format!("{name} ({pulls})")).collect();
    let others = if others > 0 { format!(" and {others} more") } else { String::new() };
    format!("{}{others}", named.join(", "))
}

/// Why a manifest was refused or warned of, or on what ground it was served.
#[must_use]
pub fn why(image: &Image) -> &str {
    if image.code.is_empty() { &image.ground } else { &image.code }
}

/// The verdict on a manifest.
#[must_use]
pub fn said(image: &Image) -> &'static str {
    match image.said {
        Said::Permitted => "permit",
        Said::Refused => "deny",
        Said::Unknown => "undecided",
        Said::Warned => "warn",
    }
}

/// When an exemption ends.
#[must_use]
pub fn ends(exemption: &Exemption) -> &'static str {
    match exemption.ends {
        Ends::Ended => "has ended",
        Ends::Later => "later",
        Ends::Soon => "soon",
    }
}

/// Whether an exemption is used.
#[must_use]
pub fn used(exemption: &Exemption) -> String {
    match exemption.used {
        Use::Unused => "nobody used it".to_owned(),
        Use::Used => format!("{} pulls", exemption.pulls),
    }
}

/// The verdict on a manifest without an authority.
#[must_use]
pub fn without(without: &Without) -> &'static str {
    match without {
        Without::Alone => "nobody else signed it, as far as the log says",
        Without::Refused => "would be refused",
        Without::Served => "others carry it",
        Without::Unknown => "not known: others counted too",
    }
}
