//! A report for people. What comes from images and signatures is escaped: a terminal obeys its input (A522).

use std::fmt::Write as _;

use pullgate_policy::code::Code;
use pullgate_policy::oci::Digest;
use pullgate_policy::text;

use super::report::{Chain, Found, Piece, Reason, Rejected, Report, Requirement, Word};
use crate::cli::paint::Paint;
use crate::signers::Who;

/// Shows one image.
pub(super) fn render(report: &Report, paint: Paint) -> String {
    let mut shown = format!("{}\n", paint.bold(&report.image));
    if let Some(digest) = &report.digest {
        let _ = writeln!(shown, "  digest    {digest}");
    }
    if !report.children.is_empty() {
        let platforms: Vec<_> =
            report.children.iter().filter_map(|child| child.platform.as_deref()).map(text::escape).collect();
        let count = report.children.len();
        let _ = writeln!(
            shown,
            "  index     {count} manifests ({}): a permit carries them",
            platforms.join(", ")
        );
    }
    match &report.policy {
        Some(policy) => {
            let _ = writeln!(
                shown,
                "  policy    \"{}\" by scope {}, mode {} ({})",
                text::escape(&policy.name),
                policy.scope,
                policy.mode,
                policy.location
            );
        }
        None => shown.push_str("  policy    none: no scope matches\n"),
    }
    evidence(&mut shown, report, paint);
    requirements(&mut shown, &report.requirements, paint);
    verdict(&mut shown, report, paint);
    shown
}

fn evidence(shown: &mut String, report: &Report, paint: Paint) {
    if report.looked.is_empty() {
        return;
    }
    let found: Vec<_> = report
        .looked
        .iter()
        .filter_map(|looked| match (&looked.unread, looked.manifests.len()) {
            (Some(code), _) => Some(format!("{} could not be asked ({code})", looked.layout.as_str())),
            (None, 0) => None,
            (None, count) => Some(format!("{count} in {}", looked.layout.as_str())),
        })
        .collect();
    let found = if found.is_empty() { "none in any layout".to_owned() } else { found.join(", ") };
    let _ = writeln!(shown, "  evidence  {found}");
    for one in &report.evidence {
        piece(shown, one, paint);
    }
    rejected(shown, &report.rejected, paint);
    if report.verdict == Word::Deny && report.evidence.is_empty() && !report.children.is_empty() {
        shown.push_str(
            "    none is about the index. Where its platforms have evidence of their own: index = \"each-child\"; where their\n    \
             attestation manifests are signed, as Docker does it: ask for an attestation\n",
        );
    }
}

/// Each fault once, however many pieces have it: a copy that left evidence behind has the same one again and again.
fn rejected(shown: &mut String, rejected: &[Rejected], paint: Paint) {
    let mut told: Vec<(&str, &str)> = Vec::new();
    for one in rejected {
        let fault = (one.code.as_str(), one.detail.as_str());
        if told.contains(&fault) {
            continue;
        }
        told.push(fault);
        let alike = |other: &&Rejected| (other.code.as_str(), other.detail.as_str()) == fault;
        let others = match rejected.iter().filter(alike).count() {
            0 | 1 => String::new(),
            count => format!(" and {} more", count - 1),
        };
        let _ = writeln!(shown, "    {} {}: {}", paint.bad("worthless"), one.code, one.detail);
        let _ = writeln!(shown, "      to mend: {}", one.cure);
        let _ = writeln!(shown, "      {}{others}", paint.dim(&place(&one.found)));
    }
}

fn piece(shown: &mut String, piece: &Piece, paint: Paint) {
    let what = match &piece.predicate_type {
        Some(kind) => format!("attestation {kind}"),
        None => "signature".to_owned(),
    };
    let worth = match &piece.why_not {
        None => paint.good(&format!("counts as {}", piece.counts_as.join(", "))),
        Some(code) => paint.bad(&format!("counts for no authority: {code}")),
    };
    let _ = writeln!(shown, "    {what}, {worth}");
    let _ = writeln!(shown, "      by {}", who(&piece.signed_by));
    if let Some(cure) = &piece.cure {
        let _ = writeln!(shown, "      to mend: {cure}");
    }
    let time = match (piece.time, piece.clock) {
        (Some(time), Some(clock)) => {
            format!("signed at {time}, by the clock of a {}", clock.replace('-', " "))
        }
        (Some(time), None) => format!("signed at {time}"),
        (None, _) => "no trusted clock says when it was signed".to_owned(),
    };
    let sct = piece.sct.map(|sct| format!("; SCT {sct}")).unwrap_or_default();
    let _ = writeln!(shown, "      {time}{sct}");
    for entry in &piece.log_entries {
        let index = entry.index.map(|index| format!(", log index {index}")).unwrap_or_default();
        let _ = writeln!(
            shown,
            "      in log {}{index}, by {}",
            entry.log,
            entry.by.join(" and ").replace('-', " ")
        );
    }
    match (&piece.chain, &piece.not_logged) {
        (Some(one), _) => chain(shown, one),
        (None, Some(code)) => {
            let _ = writeln!(shown, "      in no log ({code})");
        }
        (None, None) => {}
    }
    if let Some(ends) = piece.ends {
        let _ = writeln!(shown, "      counts until {ends}");
    }
    if let Some(claimed) = &piece.claimed_reference {
        let _ = writeln!(shown, "      names itself of {claimed}");
    }
    for (key, value) in &piece.annotations {
        let _ = writeln!(shown, "      says {}={}", text::escape(key), text::escape(value));
    }
    let _ = writeln!(shown, "      {}", paint.dim(&place(&piece.found)));
}

fn chain(shown: &mut String, chain: &Chain) {
    let _ =
        writeln!(shown, "      scheme {}, revocation: {}", chain.scheme, chain.revocation.replace('-', " "));
    let _ = writeln!(
        shown,
        "      by way of {}",
        chain.subjects.iter().skip(1).map(|subject| format!("\"{subject}\"")).collect::<Vec<_>>().join(", ")
    );
    if let Some(claimed) = chain.claimed_time {
        let _ = writeln!(shown, "      says itself that it was signed at {claimed}, which proves nothing");
    }
}

fn who(who: &Who) -> String {
    match who {
        Who::Certificate { trust, subject, names, .. } => {
            let subject = Some(subject).filter(|subject| !subject.is_empty());
            let all: Vec<_> = names.iter().chain(subject).map(|name| text::escape(name)).collect();
            format!("{}, by a certificate of the policy's own authorities, time by {trust}", all.join(", "))
        }
        Who::Key(id) => format!("key {id}"),
        Who::Identity { trust, issuer, name, .. } => {
            format!("{} (issuer {}, trust \"{trust}\")", text::escape(name), text::escape(issuer))
        }
        Who::Notation { trust, subject } if subject.is_empty() => {
            format!("a certificate without a subject (trust \"{trust}\")")
        }
        Who::Notation { trust, subject } => format!("{} (trust \"{trust}\")", text::escape(subject)),
    }
}

fn place(found: &Found) -> String {
    format!("{} {}", found.layout.as_str(), short(&found.blob))
}

fn short(digest: &Digest) -> String {
    digest.to_string().chars().take("sha256:".len() + 12).collect()
}

fn requirements(shown: &mut String, requirements: &[Requirement], paint: Paint) {
    if requirements.is_empty() {
        return;
    }
    shown.push_str("  requirements\n");
    for one in requirements {
        let word = if one.met { paint.good("met  ") } else { paint.bad("unmet") };
        let _ = writeln!(shown, "    {word} {}: {}", one.location, one.asks);
        for by in &one.by {
            let _ = writeln!(shown, "          by {by}");
        }
        if let Some(reason) = &one.reason {
            let _ = writeln!(shown, "          {}: {}", reason.code, reason.text);
        }
        if let Some(nearly) = &one.nearly {
            let _ = writeln!(shown, "          {nearly}");
        }
        if let Some(command) = &one.command {
            let _ = writeln!(shown, "          to sign: {command}");
        }
    }
}

fn verdict(shown: &mut String, report: &Report, paint: Paint) {
    let ground = report.ground.map(|ground| format!(", {ground}")).unwrap_or_default();
    let word = match report.verdict {
        Word::Deny => paint.bad("deny"),
        Word::Permit => paint.good("permit"),
        Word::Undecided => paint.odd("undecided"),
    };
    let _ = writeln!(shown, "  verdict   {word}{ground}");
    for reason in &report.reasons {
        let location = reason.location.as_ref().map(|location| format!("{location}: ")).unwrap_or_default();
        let _ = writeln!(shown, "    {location}{}: {}", reason.code, reason.text);
    }
    for refused in &report.refused {
        let _ = writeln!(shown, "    {refused}");
    }
    if let Some(reason) = report.reasons.first().filter(|reason| is_explained(report, reason)) {
        let _ = writeln!(shown, "    {}", paint.dim(&format!("pullgate verify --explain {}", reason.code)));
    }
}

fn is_explained(report: &Report, reason: &Reason) -> bool {
    report.verdict != Word::Permit && Code::find(&reason.code).is_some()
}

#[cfg(test)]
mod tests {
    use pullgate_policy::evidence::{Layout, Source};

    use super::*;

    #[test]
    fn a_fault_that_many_pieces_have_is_told_once_with_what_would_mend_it() {
        let piece = |n: u8, detail: &str| {
            let blob = Digest::of(&[n]);
            Rejected {
                code: Code::EvidenceIncomplete.to_string(),
                detail: detail.to_owned(),
                cure: Code::EvidenceIncomplete.cure(),
                found: Source { layout: Layout::FallbackTag, manifest: blob, blob }.into(),
            }
        };
        let all: Vec<_> =
            (0..30).map(|n| piece(n, "listed, and not there")).chain([piece(31, "cut")]).collect();
        let mut shown = String::new();
        rejected(&mut shown, &all, Paint::of(&std::fs::File::open("/dev/null").unwrap()));
        assert_eq!(
            shown.matches("worthless evidence-incomplete: listed, and not there\n").count(),
            1,
            "{shown}"
        );
        assert_eq!(shown.matches("worthless evidence-incomplete: cut\n").count(), 1, "{shown}");
        assert_eq!(shown.matches("      to mend: Copy the image with its referrers").count(), 2, "{shown}");
        assert_eq!(shown.matches(" and 29 more").count(), 1, "{shown}");
    }
}
