//! A survey for people. What comes from images and signatures is escaped: a terminal obeys its input (A522).

use std::fmt::Write as _;

use pullgate_policy::text;

use super::report::{Found, Piece, Report};
use crate::cli::paint::Paint;
use crate::signers::Who;

/// Shows one image.
pub(super) fn render(report: &Report, paint: Paint) -> String {
    let mut shown = format!("# {}\n", paint.bold(&report.image));
    if let Some(digest) = &report.digest {
        let _ = writeln!(shown, "#   digest    {digest}");
    }
    body(&mut shown, report, "  ", paint);
    for child in &report.children {
        let platform = child.platform.as_deref().map_or_else(|| "no platform".to_owned(), text::escape);
        let digest = child.digest.map(|digest| digest.to_string()).unwrap_or_default();
        let _ = writeln!(shown, "#   child     {platform} {digest}");
        body(&mut shown, child, "    ", paint);
    }
    shown.push_str("#\n");
    shown
}

fn body(shown: &mut String, report: &Report, indent: &str, paint: Paint) {
    let says = text::escape(&report.says);
    let says = match report.found() {
        Found::Admissible => paint.good(&says),
        Found::Nobody => paint.bad(&says),
        Found::NotLookedAt => paint.odd(&says),
    };
    let _ = writeln!(shown, "#{indent}says      {says}");
    for piece in &report.evidence {
        evidence(shown, piece, indent);
    }
    let mut told: Vec<(&str, &str)> = Vec::new();
    for one in &report.rejected {
        let fault = (one.code.as_str(), one.detail.as_str());
        if !told.contains(&fault) {
            told.push(fault);
            let _ = writeln!(shown, "#{indent}worthless {}: {}", one.code, text::escape(&one.detail));
        }
    }
    for (layout, code) in &report.unread {
        let _ = writeln!(shown, "#{indent}unread    {layout} could not be asked ({code})");
    }
}

fn evidence(shown: &mut String, piece: &Piece, indent: &str) {
    let what = match &piece.predicate_type {
        Some(kind) => format!("attested  {kind} "),
        None => "signed    ".to_owned(),
    };
    let who = match &piece.signed_by {
        Who::Key(id) => format!("by key {id} ({})", piece.name),
        Who::Certificate { ca, subject, .. } => {
            format!("by {} (certificate of {})", text::escape(subject), text::escape(ca))
        }
        Who::Notation { trust, subject } => {
            format!("by {} (Notation, trust \"{}\")", text::escape(subject), text::escape(trust))
        }
        Who::Identity { trust, issuer, name, .. } => {
            let (name, issuer) = (text::escape(name), text::escape(issuer));
            format!("by {name} (issuer {issuer}, trust \"{}\")", text::escape(trust))
        }
    };
    let time = piece.time.map(|time| format!(", at {time}")).unwrap_or_default();
    let log = if piece.logged { ", in a log" } else { ", in no log" };
    let _ = writeln!(shown, "#{indent}{what}{who}{time}{log}");
    for (key, value) in &piece.annotations {
        let _ = writeln!(shown, "#{indent}          says {}={}", text::escape(key), text::escape(value));
    }
}
