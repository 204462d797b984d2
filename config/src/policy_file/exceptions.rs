//! `[[block]]` and `[[exempt]]`: blocked content, and dated exceptions.

use std::time::Duration;

use jiff::Timestamp;
use pullgate_policy::oci::Digest;
use pullgate_policy::policy::{Block, Covers, Exemption};
use pullgate_policy::time::later;

use crate::code::Code;
use crate::context::{Context, quoted};
use crate::reader::{At, Table};
use crate::scope;

/// A year and a day.
const YEAR: Duration = Duration::from_secs(366 * 86_400);

pub(super) fn blocks(context: &mut Context<'_, '_>, file: &mut Table) -> Vec<Block> {
    let tables = file.tables(context, "block").unwrap_or_default();
    tables.into_iter().filter_map(|table| block(context, table)).collect()
}

fn block(context: &mut Context<'_, '_>, mut table: Table) -> Option<Block> {
    let location = context.location(&table);
    let digest = table.required(context, "digest").and_then(|text| digest(context, &text));
    let reason = table.required(context, "reason");
    table.finish(context);
    Some(Block { digest: digest?, reason: reason?.value, location })
}

pub(super) fn exemptions(context: &mut Context<'_, '_>, file: &mut Table, now: Timestamp) -> Vec<Exemption> {
    let tables = file.tables(context, "exempt").unwrap_or_default();
    tables.into_iter().filter_map(|table| exemption(context, table, now)).collect()
}

fn exemption(context: &mut Context<'_, '_>, mut table: Table, now: Timestamp) -> Option<Exemption> {
    let (location, head) = (context.location(&table), table.head.clone());
    let covers = covers(context, &mut table);
    if !table.has("until") {
        let hint = "until = 2027-01-31; a hole without an end is a policy of its own";
        context.advise(&head, Code::ExemptNoEnd, "an exemption without `until`", hint);
    }
    let until = table.end(context, "until");
    let owner = table.string(context, "owner").filter(|owner| !owner.value.trim().is_empty());
    if owner.is_none() {
        let hint = "owner = \"platform@corp.example\": who answers for it";
        context.advise(&head, Code::ExemptNoOwner, "an exemption without `owner`", hint);
    }
    let reason = table.required(context, "reason");
    table.finish(context);
    if let Some(until) = until.as_ref().filter(|until| until.value <= now) {
        let message = "this exemption has run out and counts for nothing";
        context.advise(&until.span, Code::ExemptExpired, message, "remove it, or have its owner renew it");
    }
    if let Some(until) = until.as_ref().filter(|until| until.value > later(now, YEAR)) {
        let message = "this exemption ends in more than a year, which is a policy of its own";
        let hint = "let its owner renew it, or write a [[policy]] that says what is asked for";
        context.advise(&until.span, Code::ExemptFar, message, hint);
    }
    Some(Exemption {
        covers: covers?,
        until: until?.value,
        owner: owner?.value,
        reason: reason?.value,
        location,
    })
}

fn covers(context: &mut Context<'_, '_>, table: &mut Table) -> Option<Covers> {
    let scopes = table.has("scope").then(|| scope::read(context, table));
    match (table.string(context, "digest"), scopes) {
        (Some(text), None) => digest(context, &text).map(Covers::Digest),
        (None, Some(scopes)) => {
            for everything in scopes.iter().filter(|scope| scope.value.is_everything()) {
                let message = "an exemption of every repository is the end of the gate";
                context.report(&everything.span, Code::ExemptEverything, message);
            }
            let scopes: Vec<_> = scopes.into_iter().map(|scope| scope.value).collect();
            (!scopes.is_empty()).then_some(Covers::Scopes(scopes))
        }
        (Some(text), Some(_)) => {
            context.report(
                &text.span,
                Code::ValueInvalid,
                "an exemption covers `scope` or `digest`, not both",
            );
            None
        }
        (None, None) => {
            let head = table.head.clone();
            // Asked for, so that a misspelt one finds its name.
            table.take("scope");
            context.report(&head, Code::MissingKey, "an exemption needs `scope` or `digest`");
            None
        }
    }
}

fn digest(context: &mut Context<'_, '_>, text: &At<String>) -> Option<Digest> {
    match text.value.parse() {
        Ok(digest @ Digest::Sha256(_)) => Some(digest),
        // It would be compared with a SHA-256 and never be equal: a block that blocks nothing.
        Ok(Digest::Sha512(_)) => {
            let message = "content is known by its sha256 digest: give that one";
            context.report(&text.span, Code::DigestInvalid, message);
            None
        }
        Err(_) => {
            let message = format!("{} is no digest", quoted(&text.value));
            context.advise(
                &text.span,
                Code::DigestInvalid,
                message,
                "sha256: and 64 lower-case hexadecimal digits",
            );
            None
        }
    }
}
