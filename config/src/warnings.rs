//! What is allowed and weaker than it looks (A405 to A410).

use std::sync::Arc;

use jiff::Timestamp;
use pullgate_policy::identity::{By, IdentityPattern};
use pullgate_policy::policy::{Asks, Location, OnUndecided, Policy, Rule, Unmatched};

use crate::Config;
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::source::Sources;

/// Everything that a checked configuration should be warned of.
pub(crate) fn of(config: &Config, sources: &Sources, now: Timestamp) -> Diagnostics {
    let mut found = Found { sources, diagnostics: Diagnostics::default() };
    let set = &config.policy.set;
    for policy in &set.policies {
        about_policy(&mut found, config, policy);
    }
    for exemption in set.exemptions.iter().filter(|exemption| exemption.until <= now) {
        let message = format!("the exemption of {} has run out and counts for nothing", exemption.owner);
        found.warn(&exemption.location, Code::ExemptExpired, message);
    }
    for authority in set.authorities.values() {
        if let By::Identity { pattern: IdentityPattern::Regex(regex), .. } = &authority.by {
            about_regex(&mut found, authority.name.as_str(), regex.as_str());
        }
    }
    if set.enforcing_scopes() == 0 {
        let place = Location { file: Arc::from("policy"), line: 1 };
        let open = if set.unmatched == Unmatched::Deny { "" } else { ", and what no scope matches is served too" };
        found.warn(&place, Code::NothingEnforced, format!("no policy with requirements is in mode \"enforce\"{open}"));
    }
    found.diagnostics
}

fn about_policy(found: &mut Found<'_>, config: &Config, policy: &Policy) {
    for scope in &policy.scopes {
        if scope.leaves_owner_open() {
            let message = format!("\"{scope}\" matches names that merely begin like it");
            found.warn(&policy.location, Code::ScopeOpenSegment, message);
        }
        let reachable = scope.registry().is_none_or(|name| config.upstreams.keys().any(|known| known.as_str() == name));
        if !reachable {
            let message = format!("no upstream of this gate can match \"{scope}\"");
            found.warn(&policy.location, Code::ScopeUnreachable, message);
        }
    }
    if matches!(policy.rule, Rule::InsecurePermitAnything) {
        let message = format!("policy \"{}\" permits anything", policy.name);
        found.warn(&policy.location, Code::InsecurePermitAnything, message);
    }
    if policy.on_undecided == OnUndecided::InsecurePermit {
        let message = format!("policy \"{}\" serves what could not be checked", policy.name);
        found.warn(&policy.location, Code::OnUndecidedInsecure, message);
    }
}

fn about_regex(found: &mut Found<'_>, name: &str, regex: &str) {
    let place = Location { file: Arc::from("policy"), line: 1 };
    let bytes = regex.as_bytes();
    let dot = bytes.windows(3).any(|window| matches!(window, [before, b'.', after] if *before != b'\\' && after.is_ascii_alphanumeric()));
    if dot {
        let message = format!("in the identity of \"{name}\" a `.` matches any character");
        found.warn(&place, Code::RegexUnescapedDot, message);
    }
    let open = regex.contains("@.*") || regex.contains("@.+") || regex.ends_with(".*");
    if open {
        let message = format!("the identity of \"{name}\" leaves the branch or tag open");
        found.warn(&place, Code::RefUnpinned, message);
    }
}

struct Found<'a> {
    sources: &'a Sources,
    diagnostics: Diagnostics,
}

impl Found<'_> {
    fn warn(&mut self, location: &Location, code: Code, message: String) {
        let (file, text) = self.sources.named(&location.file);
        let start = text.split_inclusive('\n').take(usize::try_from(location.line).unwrap_or(1) - 1).map(str::len).sum();
        let end = text.get(start..).and_then(|rest| rest.find('\n')).map_or(text.len(), |length| start + length);
        let what = (code, Severity::Warning);
        self.diagnostics.push(Diagnostic::new((&file, &text), start..end, what, message, None));
    }
}

/// What a policy asks for, a line each.
pub(crate) fn requirements(policy: &Policy) -> Vec<String> {
    match &policy.rule {
        Rule::InsecurePermitAnything => vec![format!("{}: nothing (insecure_permit_anything)", policy.location)],
        Rule::Requirements(requirements) => requirements
            .iter()
            .map(|one| {
                let what = match &one.asks {
                    Asks::Attestation(types) => format!("an attestation of {}", types.join(" or ")),
                    Asks::Signature => "a signature".to_owned(),
                };
                let who: Vec<&str> = one.any_of.iter().map(|name| name.as_str()).collect();
                let age = one.max_age.map(|age| format!(", at most {} s old", age.as_secs())).unwrap_or_default();
                format!("{}: {what} by {} of {}{age}", one.location, one.threshold, who.join(", "))
            })
            .collect(),
    }
}
