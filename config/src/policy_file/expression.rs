//! `where` and `slsa`: what an attestation must say.

use pullgate_policy::expression::{Condition, ConditionFault, FaultKind, Remark, RemarkKind};
use pullgate_policy::policy::Asks;
use pullgate_policy::provenance::{Builder, Level, Slsa, Source};

use crate::code::Code;
use crate::context::{Context, quoted};
use crate::reader::{At, Table};
use crate::suggest::nearest;

/// Compiles `where`, with each fault at its place in the expression.
pub(super) fn condition(
    context: &mut Context<'_, '_>,
    table: &mut Table,
    asks: Option<&Asks>,
) -> Option<Condition> {
    let text = table.filled(context, "where")?;
    if matches!(asks, Some(Asks::Signature)) {
        let message = "`where` speaks of an attestation, and this requirement asks for a signature";
        context.advise(&text.span, Code::ValueInvalid, message, "attestation = \"…\" beside it");
        return None;
    }
    match Condition::compile(&text.value) {
        Ok(condition) => {
            condition.remarks().iter().for_each(|one| remark(context, &text, *one));
            Some(condition)
        }
        Err(fault) => {
            report(context, &text, &fault);
            None
        }
    }
}

fn report(context: &mut Context<'_, '_>, text: &At<String>, fault: &ConditionFault) {
    let code = match fault.kind {
        FaultKind::Cost => Code::WhereCost,
        FaultKind::Syntax => Code::WhereSyntax,
        FaultKind::UnknownFunction => Code::WhereUnknownFunction,
        FaultKind::UnknownName => Code::WhereUnknownName,
    };
    let span = place(context, text, fault.at);
    let message = pullgate_policy::text::escape(&fault.message);
    match (fault.kind, fault.near.as_slice()) {
        (FaultKind::Cost, _) => {
            let hint =
                "one comprehension beside another, `in` over a list that is written out, a pattern likewise";
            context.advise(&span, code, message, hint);
        }
        (_, []) => context.report(&span, code, message),
        (_, near) => context.advise(&span, code, message, format!("there are {}", near.join(", "))),
    }
}

fn remark(context: &mut Context<'_, '_>, text: &At<String>, remark: Remark) {
    let span = place(context, text, remark.at);
    match remark.kind {
        RemarkKind::Constant => {
            let hint =
                "leave `where` out, or name `predicate`, `statement`, `provenance`, `identity` or `image`";
            context.advise(&span, Code::WhereConstant, "`where` asks about nothing", hint);
        }
        RemarkKind::Unanchored => {
            let message = "`matches` finds the pattern anywhere in an identity";
            let hint = "\"^…$\"; or `==` and `startsWith`, where that says it";
            context.advise(&span, Code::WhereUnanchored, message, hint);
        }
    }
}

/// Where the text stands in the file as it is, the place is exact; an escape in it moves it, and then the whole is shown.
fn place(context: &Context<'_, '_>, text: &At<String>, at: usize) -> std::ops::Range<usize> {
    let written = context.text.text.get(text.span.clone()).and_then(|written| written.find(&text.value));
    let at = written.map(|before| text.span.start + before + at);
    match at.filter(|at| *at < text.span.end) {
        Some(at) => at..at + 1,
        None => text.span.clone(),
    }
}

/// The shorthand for what most want of provenance.
pub(super) fn slsa(context: &mut Context<'_, '_>, table: &mut Table) -> Option<At<Slsa>> {
    let mut table = table.table(context, "slsa")?;
    let span = table.head.clone();
    let asks_for_nothing = !["builder", "level", "ref", "source"].into_iter().any(|key| table.has(key));
    let level = table.integer(context, "level").and_then(|level| {
        let known = Level::of_number(level.value);
        if known.is_none() {
            context.report(&level.span, Code::ValueInvalid, "`level` must be 1, 2 or 3");
        }
        known
    });
    let source = table.filled(context, "source").and_then(|text| {
        let source = Source::parse(&text.value);
        if source.is_none() {
            let message = format!("{} is no source repository", quoted(&text.value));
            context.advise(
                &text.span,
                Code::ValueInvalid,
                message,
                "for example \"github.com/myorg/myrepo\"",
            );
        }
        source
    });
    let reference = table.filled(context, "ref").map(|text| text.value);
    let builder = table.filled(context, "builder").and_then(|text| builder(context, &text));
    table.finish(context);
    let value = Slsa { level, source, reference, builder };
    if asks_for_nothing {
        let hint = "slsa = { level = 2, source = \"github.com/myorg/myrepo\" }";
        context.advise(&span, Code::RequirementEmpty, "`slsa` asks for nothing", hint);
    }
    Some(At { value, span })
}

fn builder(context: &mut Context<'_, '_>, text: &At<String>) -> Option<Builder> {
    let builder = Builder::parse(&text.value);
    if builder.is_none() {
        let message =
            format!("{} is neither {} nor an identity", quoted(&text.value), Builder::NAMES.join(", "));
        match nearest(&text.value, Builder::NAMES) {
            Some(near) => {
                context.advise(&text.span, Code::ValueInvalid, message, format!("did you mean \"{near}\"?"))
            }
            None => context.report(&text.span, Code::ValueInvalid, message),
        }
    }
    builder
}
