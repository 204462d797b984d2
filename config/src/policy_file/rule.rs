//! `[[policy]]`: scopes, mode, and what is asked for.

use std::collections::BTreeSet;

use pullgate_policy::identity::Name;
use pullgate_policy::policy::{
    EvidencePasses, ForeignLayers, IndexRule, Mode, OnUndecided, Policy, Requirement, Rule,
};
use pullgate_policy::scope::Scope;

use super::authority::Authorities;
use super::{Surroundings, require};
use crate::code::Code;
use crate::context::{Context, quoted};
use crate::reader::{At, Node, Table};
use crate::scope;
use crate::value::Zero;

pub(super) fn read_all(
    context: &mut Context<'_, '_>,
    file: &mut Table,
    authorities: &Authorities,
    around: Surroundings<'_>,
) -> Vec<Policy> {
    let mut policies: Vec<Policy> = Vec::new();
    let mut names = BTreeSet::new();
    let mut scopes: Vec<At<Scope>> = Vec::new();
    for mut table in file.tables(context, "policy").unwrap_or_default() {
        let name = name(context, &mut table, &mut names);
        let own = scope::read(context, &mut table);
        scopes.extend(own.iter().cloned());
        let read = one(context, table, authorities, (name, own));
        policies.extend(read);
    }
    scope::ties(context, &scopes);
    if let Some(upstreams) = around.upstreams {
        scope::reachable(context, &scopes, upstreams);
    }
    policies
}

fn name(context: &mut Context<'_, '_>, table: &mut Table, names: &mut BTreeSet<String>) -> Option<Name> {
    let text = table.required(context, "name")?;
    if !names.insert(text.value.clone()) {
        let message = format!("two policies are called {}", quoted(&text.value));
        context.report(&text.span, Code::DuplicateName, message);
    }
    context.is_name("a policy", &text.value, &text.span).then(|| Name::new(&text.value))
}

fn one(
    context: &mut Context<'_, '_>,
    mut table: Table,
    authorities: &Authorities,
    (name, scopes): (Option<Name>, Vec<At<Scope>>),
) -> Option<Policy> {
    let location = context.location(&table);
    let modes = [("enforce", Mode::Enforce), ("warn", Mode::Warn)];
    let mode = table.word(context, "mode", &modes, Mode::Enforce);
    let denies = denies(context, &mut table);
    let on_undecided = on_undecided(context, &mut table);
    let foreign = [("deny", ForeignLayers::Deny), ("permit", ForeignLayers::Permit)];
    let foreign_layers = table.word(context, "foreign_layers", &foreign, ForeignLayers::Deny);
    let evidence = evidence(context, &mut table);
    let indexes = [("itself", IndexRule::Itself), ("each-child", IndexRule::EachChild)];
    let index = table.word(context, "index", &indexes, IndexRule::Itself);
    let rule = denies.unwrap_or_else(|| rule(context, &mut table, authorities));
    table.finish(context);
    let scopes = scopes.into_iter().map(|scope| scope.value).collect();
    Some(Policy {
        name: name?,
        location,
        scopes,
        mode,
        on_undecided,
        foreign_layers,
        evidence,
        index,
        rule: rule?,
    })
}

/// `deny`, which replaces all requirements; `None` where it is absent.
fn denies(context: &mut Context<'_, '_>, table: &mut Table) -> Option<Option<Rule>> {
    let Some(deny) = table.boolean(context, "deny") else {
        if let Some(reason) = table.take("reason") {
            let message = "`reason` says why a policy denies, and this one asks for something";
            context.advise(&reason.span, Code::ValueInvalid, message, "deny = true, or a comment");
        }
        return None;
    };
    let reason = if deny.value { table.required(context, "reason") } else { table.filled(context, "reason") };
    let others =
        ["require", "insecure_permit_anything", "on_undecided", "evidence", "index", "foreign_layers"];
    for other in others {
        if let Some(value) = table.take(other) {
            let message = format!("`{other}` has no effect where everything is denied");
            context.report(&value.span, Code::ValueInvalid, message);
        }
    }
    if !deny.value {
        let hint = "leave it out: requirements are what there is else";
        context.advise(&deny.span, Code::ValueInvalid, "`deny` is `true` or absent", hint);
        return Some(None);
    }
    Some(reason.map(|reason| Rule::Deny(reason.value)))
}

fn rule(context: &mut Context<'_, '_>, table: &mut Table, authorities: &Authorities) -> Option<Rule> {
    let head = table.head.clone();
    let (listed, permissive) = (table.has("require"), table.has("insecure_permit_anything"));
    let anything = table.boolean(context, "insecure_permit_anything");
    let requirements = table.tables(context, "require").map(|written| {
        let count = written.len();
        let read: Vec<Requirement> =
            written.into_iter().filter_map(|table| require::read(context, table, authorities)).collect();
        (read, count)
    });
    match (anything, requirements) {
        (Some(anything), _) if listed && anything.value => {
            let message = "a policy asks for something or permits anything, not both";
            context.report(&anything.span, Code::ValueInvalid, message);
            None
        }
        (Some(anything), _) => insecure(context, &anything),
        // A list that holds because there is nothing in it would permit everything (A402).
        (None, Some((_, 0))) => {
            context.report(&head, Code::RequirementEmpty, "`require` is empty: it would hold for everything");
            None
        }
        (None, Some((read, count))) => (read.len() == count).then_some(Rule::Requirements(read)),
        (None, None) => {
            // A key of the wrong type has its fault already.
            if !listed && !permissive {
                let hint = "add [[policy.require]]; to check nothing, say insecure_permit_anything = true";
                context.advise(&head, Code::RequirementEmpty, "a policy without a requirement", hint);
            }
            None
        }
    }
}

fn evidence(context: &mut Context<'_, '_>, table: &mut Table) -> EvidencePasses {
    let words = [("verified", EvidencePasses::Verified), ("well-formed", EvidencePasses::WellFormed)];
    let Some(value) = table.take("evidence") else { return EvidencePasses::Verified };
    let span = value.span.clone();
    let text = context.string("evidence", value);
    let read =
        text.and_then(|text| context.word("evidence", &text, &words)).unwrap_or(EvidencePasses::Verified);
    if read == EvidencePasses::WellFormed {
        let message = "what looks like a signature is served whoever wrote it; podman, CRI-O and buildah unpack a layer by its \
             content, whatever its media type says";
        context.advise(
            &span,
            Code::EvidenceWellFormed,
            message,
            "leave it out: evidence by the policy's own authorities is served",
        );
    }
    read
}

fn insecure(context: &mut Context<'_, '_>, anything: &At<bool>) -> Option<Rule> {
    if !anything.value {
        let hint = "leave it out: requirements are what there is else";
        context.advise(
            &anything.span,
            Code::ValueInvalid,
            "`insecure_permit_anything` is `true` or absent",
            hint,
        );
        return None;
    }
    let message = "this policy checks nothing: whatever is pushed there is served";
    context.advise(&anything.span, Code::InsecurePermitAnything, message, "every record says `unchecked`");
    Some(Rule::InsecurePermitAnything)
}

fn on_undecided(context: &mut Context<'_, '_>, table: &mut Table) -> OnUndecided {
    let Some(value) = table.take("on_undecided") else { return OnUndecided::Deny };
    let span = value.span.clone();
    if matches!(value.value, Node::Table(_)) {
        return last_permit(context, value).map_or(OnUndecided::Deny, OnUndecided::LastPermit);
    }
    let words = [("deny", OnUndecided::Deny), ("insecure_permit", OnUndecided::InsecurePermit)];
    let text = context.string("on_undecided", value);
    let read = text.and_then(|text| context.word("on_undecided", &text, &words)).unwrap_or(OnUndecided::Deny);
    if read == OnUndecided::InsecurePermit {
        let message = "an attacker who can cut off the upstream gets content unchecked";
        context.advise(
            &span,
            Code::OnUndecidedInsecure,
            message,
            "{ last_permit = \"24h\" } bridges an outage",
        );
    }
    read
}

fn last_permit(context: &mut Context<'_, '_>, value: At<Node>) -> Option<std::time::Duration> {
    let mut inner = context.table("on_undecided", value)?;
    if !inner.has("last_permit") {
        let head = inner.head.clone();
        context.advise(
            &head,
            Code::MissingKey,
            "`on_undecided` needs `last_permit`",
            "{ last_permit = \"24h\" }",
        );
    }
    let age = inner.duration(context, "last_permit", Zero::Refused, None);
    inner.finish(context);
    age
}
