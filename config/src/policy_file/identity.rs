//! Authorities by certificate: issuer, identity and claims.

use std::collections::BTreeMap;
use std::ops::Range;

use pullgate_policy::forge::{self, GITLAB_ISSUER};
use pullgate_policy::identity::{By, CALLER_CLAIMS, CLAIMS, IdentityPattern, WholeRegex, claim};

use super::issuer::{Issuer, read as issuer};
use super::strangers::{self, Met};
use crate::code::Code;
use crate::context::{Context, quoted};
use crate::reader::{At, Table};
use crate::suggest::nearest;

/// A branch that does not exist anywhere.
const STRANGE_BRANCH: &str = "refs/heads/zq7x-kd83m";

pub(super) fn read(context: &mut Context<'_, '_>, table: &mut Table, head: &Range<usize>) -> Option<By> {
    let issuer = issuer(context, table);
    let exact = table.string(context, "identity");
    let regex = table.string(context, "identity_regex");
    let place = exact.as_ref().or(regex.as_ref()).map(|text| text.span.clone());
    let claims = claims(context, table);
    let pattern = match (exact, regex) {
        (None, None) if issuer.is_absent() => {
            let message = format!("{} has neither a key nor an identity", table.called());
            let hint = "`key`, or `issuer` with `identity` or `identity_regex`, or `ca` with a name";
            context.advise(head, Code::AuthorityIncomplete, message, hint);
            return None;
        }
        (None, None) => {
            let message =
                "an issuer alone is everybody whom it knows: `identity` or `identity_regex` is missing";
            context.report(head, Code::AuthorityIncomplete, message);
            None
        }
        (Some(_), Some(regex)) => {
            let message = "`identity` or `identity_regex`, not both";
            context.report(&regex.span, Code::AuthorityIncomplete, message);
            None
        }
        (Some(exact), None) => literal(context, exact),
        (None, Some(regex)) => expression(context, &regex, &claims).map(IdentityPattern::Regex),
    };
    let issuer = match issuer {
        Issuer::Absent => {
            // Any party can run an issuer that issues any name (A238).
            let hint = "for GitHub Actions: issuer = \"https://token.actions.githubusercontent.com\"";
            let message = "an identity is worth what its `issuer` is, which is missing";
            context.advise(head, Code::IssuerMissing, message, hint);
            return None;
        }
        Issuer::Faulty => return None,
        Issuer::Read(issuer) => issuer,
    };
    let pattern = pattern?;
    if let Some(span) = place.filter(|_| is_partial(&issuer, &pattern)) {
        let message =
            "this is only a part of an identity, which ends in `@` and a ref; a pattern must match the whole";
        let hint = "write the whole identity, or end the pattern with `@refs/heads/main`";
        context.advise(&span, Code::IdentityPartial, message, hint);
    }
    Some(By::Identity { issuer, pattern, claims })
}

/// Whether no identity that ends in a ref, as those of workflows and pipelines do, can be meant: cosign matches a
/// pattern anywhere, and a prefix that is enough there matches no identity here.
fn is_partial(issuer: &IdentityPattern, pattern: &IdentityPattern) -> bool {
    match issuer {
        IdentityPattern::Exact(issuer) if forge::is_github(issuer) || issuer == GITLAB_ISSUER => {}
        IdentityPattern::Exact(_) | IdentityPattern::Regex(_) => return false,
    }
    match pattern {
        IdentityPattern::Exact(identity) => !identity.contains("@refs/") && !identity.contains('*'),
        IdentityPattern::Regex(regex) => {
            let body = regex.as_str().trim_end_matches('$');
            // What repeats, or is a choice, may have the ref in it.
            !body.contains('@') && !body.ends_with(['*', '+', '?', '}', ')', ']']) && !body.contains('|')
        }
    }
}

/// Keys of a keyless authority in an authority of another kind.
pub(super) fn excluded(context: &mut Context<'_, '_>, table: &mut Table, kind: &str) {
    for key in ["issuer", "issuer_regex", "identity", "identity_regex", "claims"] {
        if let Some(value) = table.take(key) {
            let message = format!("an authority is known in one way: `{key}` does not go with `{kind}`");
            context.advise(&value.span, Code::AuthorityIncomplete, message, "make two authorities of it");
        }
    }
}

fn literal(context: &mut Context<'_, '_>, exact: At<String>) -> Option<IdentityPattern> {
    if is_empty(context, &exact) {
        return None;
    }
    if is_wildcard(&exact.value) {
        let message = "everybody is meant, and an identity is compared byte for byte";
        let hint = "the subject of the certificates that you mean: `pullgate verify` shows it";
        context.advise(&exact.span, Code::IdentityMatchesAnything, message, hint);
        return None;
    }
    if exact.value.contains('*') {
        let message = "this is compared byte for byte: no certificate has a `*` in its identity";
        context.advise(&exact.span, Code::IdentityWildcard, message, "use identity_regex for a pattern");
    }
    Some(IdentityPattern::Exact(exact.value))
}

/// A text that can only be meant as a wildcard (A404). It would match no identity, and its author believes otherwise.
pub(super) fn is_wildcard(text: &str) -> bool {
    matches!(text.trim_start_matches('^').trim_end_matches('$'), "*" | "**" | ".*" | ".+")
}

pub(super) fn is_empty(context: &mut Context<'_, '_>, text: &At<String>) -> bool {
    let empty = text.value.trim().is_empty();
    if empty {
        context.report(&text.span, Code::IdentityEmpty, "an empty identity names no signer");
    }
    empty
}

fn expression(
    context: &mut Context<'_, '_>,
    text: &At<String>,
    claims: &BTreeMap<String, String>,
) -> Option<WholeRegex> {
    if is_empty(context, text) {
        return None;
    }
    let regex = match WholeRegex::new(&text.value) {
        Ok(regex) => regex,
        Err(fault) => {
            let message = fault.to_string();
            let last = message.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            context.report(&text.span, Code::RegexInvalid, format!("not a regular expression: {last}"));
            return None;
        }
    };
    // Where claims pin the caller, a wide identity is safe: it matches workflows of that one repository only.
    let pinned = CALLER_CLAIMS.iter().any(|name| claims.contains_key(*name));
    let met = strangers::of(&regex);
    let open = met != Met::None || strangers::leaves_owner_open(&text.value);
    if met == Met::All || (open && !pinned) {
        let message = "this matches identities of strangers";
        context.advise(
            &text.span,
            Code::IdentityMatchesAnything,
            message,
            "name the organisation and the repository in it",
        );
        return None;
    }
    if let Some(at) = unescaped_dot(&text.value) {
        let message = format!("the `.` at character {} matches any character", at + 1);
        context.advise(&text.span, Code::RegexUnescapedDot, message, r"write `\.` for a dot");
    }
    if !claims.contains_key("source_repository_ref") && leaves_branch_open(&text.value) {
        let message = "any branch of the repository meets this, also an unreviewed one";
        context.advise(
            &text.span,
            Code::RefUnpinned,
            message,
            "end it with `@refs/heads/main` or `@refs/tags/…`",
        );
    }
    Some(regex)
}

/// The first `.` between letters or digits that is neither escaped nor in a class: that of a host name, most likely.
fn unescaped_dot(pattern: &str) -> Option<usize> {
    let chars: Vec<char> = pattern.chars().collect();
    let word =
        |at: Option<usize>| at.and_then(|at| chars.get(at)).is_some_and(|c| c.is_alphanumeric() || *c == '_');
    let (mut escaped, mut class) = (false, false);
    for (at, c) in chars.iter().enumerate() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' => class = true,
            ']' => class = false,
            '.' if !class && word(at.checked_sub(1)) && word(at.checked_add(1)) => return Some(at),
            _ => {}
        }
    }
    None
}

/// Tells whether what follows the last `@` of a pattern matches a branch that does not exist anywhere.
fn leaves_branch_open(pattern: &str) -> bool {
    match pattern.rsplit_once('@') {
        Some((_, reference)) => WholeRegex::new(reference).is_ok_and(|regex| regex.matches(STRANGE_BRANCH)),
        None => pattern.ends_with(".*") || pattern.ends_with(".+"),
    }
}

fn claims(context: &mut Context<'_, '_>, table: &mut Table) -> BTreeMap<String, String> {
    let Some(mut written) = table.table(context, "claims") else { return BTreeMap::new() };
    let head = written.head.clone();
    let mut claims = BTreeMap::new();
    let entries = written.take_all();
    if entries.is_empty() {
        context.report(&head, Code::EmptyValue, "`claims` is empty");
    }
    for (name, (span, value)) in entries {
        let Some(claim) = claim(&name) else {
            let hint = nearest(&name, CLAIMS).map_or_else(
                || format!("claims are: {}", CLAIMS.join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            context.advise(
                &span,
                Code::ClaimUnknown,
                format!("certificates have no claim {}", quoted(&name)),
                hint,
            );
            continue;
        };
        let Some(text) = context.string(&name, value) else { continue };
        if text.value.is_empty() {
            context.report(&text.span, Code::EmptyValue, format!("the claim `{name}` is empty"));
        }
        if claims.insert(claim.to_owned(), text.value).is_some() {
            let message = format!("`{name}` is another name of the claim `{claim}`, which is asked for too");
            context.report(&span, Code::DuplicateName, message);
        }
    }
    claims
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dot_of_a_host_name_is_found_and_one_on_purpose_is_not() {
        for (pattern, expected) in [
            (r"https://github.com/x", Some(14)),
            (r"https://github\.com/x", None),
            (r"[a.z]x", None),
            (r"[\]a.z]x", None),
            (r"v.*", None),
            (r"\\.x", None),
            (r"a\\b.c", Some(4)),
        ] {
            assert_eq!(unescaped_dot(pattern), expected, "{pattern}");
        }
    }

    #[test]
    fn a236_a_prefix_as_cosign_takes_it_is_told_from_what_can_be_a_whole_identity() {
        let (github, gitlab) = ("https://token.actions.githubusercontent.com", "https://gitlab.com");
        for (issuer, pattern, expected) in [
            (github, r"^https://github\.com/acme/app/", true),
            (github, r"https://github\.com/acme/app/\.github/workflows/b\.yml$", true),
            ("https://token.actions.githubusercontent.com/acme", r"https://github\.com/acme/", true),
            (gitlab, r"https://gitlab\.com/acme/app", true),
            (github, r"https://github\.com/acme/app/.*", false),
            (github, r"https://github\.com/acme/app/[^@]+@refs/heads/main", false),
            (github, r"https://github\.com/(acme/app/b\.yml@refs/heads/main|x)", false),
            ("https://issuer.example", r"https://issuer\.example/ci/", false),
        ] {
            let regex = IdentityPattern::Regex(WholeRegex::new(pattern).unwrap());
            let by = IdentityPattern::Exact(issuer.to_owned());
            assert_eq!(is_partial(&by, &regex), expected, "{issuer} {pattern}");
        }
        for (identity, expected) in [
            ("https://github.com/acme/app/.github/workflows/b.yml", true),
            ("https://github.com/acme/app/.github/workflows/b.yml@refs/heads/main", false),
        ] {
            let exact = IdentityPattern::Exact(identity.to_owned());
            let by = IdentityPattern::Exact(github.to_owned());
            assert_eq!(is_partial(&by, &exact), expected, "{identity}");
        }
    }

    #[test]
    fn an_open_branch_is_told_from_pinned_ones_and_from_tags() {
        for (pattern, expected) in [
            (r"https://github\.com/o/r/w\.yml@.*", true),
            (r"https://github\.com/o/r/w\.yml@refs/heads/.+", true),
            (r"https://github\.com/o/r/.*", true),
            (r"https://github\.com/o/r/w\.yml@refs/heads/main", false),
            (r"https://github\.com/o/r/w\.yml@refs/tags/v[0-9.]+", false),
            (r"https://github\.com/o/r/(a\.yml@refs/heads/main)", false),
        ] {
            assert_eq!(leaves_branch_open(pattern), expected, "{pattern}");
        }
    }
}
