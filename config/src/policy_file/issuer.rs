//! The issuer of an identity: one address, or those that a pattern matches.

use pullgate_policy::identity::{IdentityPattern, WholeRegex};
use pullgate_policy::{limits, text};

use super::identity::is_wildcard;
use super::strangers;
use crate::code::Code;
use crate::context::Context;
use crate::reader::{At, Table};

/// Well-known issuers, none of which ends in a slash.
const KNOWN: [&str; 6] = [
    "https://accounts.google.com",
    "https://agent.buildkite.com",
    "https://github.com/login/oauth",
    "https://gitlab.com",
    "https://oauth2.sigstore.dev/auth",
    "https://token.actions.githubusercontent.com",
];

/// What an authority says of its issuer.
pub(super) enum Issuer {
    Absent,
    /// It is there and has its fault.
    Faulty,
    Read(IdentityPattern),
}

impl Issuer {
    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

pub(super) fn read(context: &mut Context<'_, '_>, table: &mut Table) -> Issuer {
    let said = |text: &At<String>| !text.value.trim().is_empty();
    let exact = table.string(context, "issuer").filter(said);
    let regex = table.string(context, "issuer_regex").filter(said);
    let read = match (exact, regex) {
        (None, None) => return Issuer::Absent,
        (Some(_), Some(regex)) => {
            context.report(&regex.span, Code::AuthorityIncomplete, "`issuer` or `issuer_regex`, not both");
            None
        }
        (Some(exact), None) => one(context, exact).map(IdentityPattern::Exact),
        (None, Some(regex)) => several(context, &regex).map(IdentityPattern::Regex),
    };
    read.map_or(Issuer::Faulty, Issuer::Read)
}

fn one(context: &mut Context<'_, '_>, issuer: At<String>) -> Option<String> {
    if is_wildcard(&issuer.value) {
        let message = "every issuer is meant, and an issuer is compared byte for byte";
        context.advise(&issuer.span, Code::IdentityMatchesAnything, message, "name the one that you trust");
        return None;
    }
    if let Some(why) = impossible(&issuer.value) {
        let message = format!("no certificate can have this issuer: {why}");
        let hint = "issuer = \"https://token.actions.githubusercontent.com\", as `pullgate verify` shows it";
        context.advise(&issuer.span, Code::IssuerImpossible, message, hint);
        return None;
    }
    if let Some(known) = KNOWN.iter().find(|known| issuer.value.strip_suffix('/') == Some(known)) {
        let hint = format!("issuer = \"{known}\"");
        context.advise(&issuer.span, Code::IssuerSlash, "this issuer has no slash at its end", hint);
    }
    if !issuer.value.starts_with("https://") && !issuer.value.starts_with("http://") {
        let hint = format!("issuer = \"https://{}\", if that is its address", issuer.value);
        let message = "an issuer is compared byte for byte, and those of OpenID Connect begin with https://";
        context.advise(&issuer.span, Code::IssuerScheme, message, hint);
    }
    Some(issuer.value)
}

/// Why no issuer of OpenID Connect is written so: an address without query and fragment (OpenID Connect Core, section 2).
fn impossible(issuer: &str) -> Option<&'static str> {
    match issuer {
        _ if issuer.len() > limits::IDENTITY_BYTES => Some("it is too long"),
        _ if issuer.chars().any(|c| c.is_whitespace() || text::is_unsafe(c)) => {
            Some("it has a space, or characters that cannot be shown")
        }
        _ if issuer.contains('*') => {
            Some("it has a `*`, and is compared byte for byte; `issuer_regex` is a pattern")
        }
        _ if issuer.contains(['?', '#']) => {
            Some("an address of OpenID Connect has neither query nor fragment")
        }
        _ => None,
    }
}

fn several(context: &mut Context<'_, '_>, regex: &At<String>) -> Option<WholeRegex> {
    let read = match WholeRegex::new(&regex.value) {
        Ok(read) => read,
        Err(fault) => {
            let message = fault.to_string();
            let last = message.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            context.report(&regex.span, Code::RegexInvalid, format!("not a regular expression: {last}"));
            return None;
        }
    };
    match strangers::issuers(&read) {
        strangers::Met::All => {
            let message = "this matches every issuer, and anybody can run one that names whom it likes";
            context.advise(&regex.span, Code::IdentityMatchesAnything, message, "name those that you trust");
            return None;
        }
        strangers::Met::Some => {
            let message = "strangers have issuers that this matches: whom they name could be anybody";
            let hint = r"name hosts whole, and escape dots: 'https://token\.actions\.[a-z]+\.ghe\.com'";
            context.advise(&regex.span, Code::IssuerOpen, message, hint);
        }
        strangers::Met::None => {}
    }
    Some(read)
}
