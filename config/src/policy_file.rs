//! The policy file (design §4): whom to trust, and which repositories ask for what.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pullgate_policy::identity::{Authority, By, Name};
use pullgate_policy::limits;
use pullgate_policy::oci::Digest;
use pullgate_policy::policy::{
    Block, Covers, Exemption, ForeignLayers, Location, Mode, OnUndecided, Policy, PolicySet, Revision, Revisions, Rule,
    Unmatched,
};
use pullgate_policy::scope::{Scope, ScopeInvalid};
use pullgate_verify::KeyRing;

use crate::Policies;
use crate::code::Code;
use crate::reader::{At, Context, Table};
use crate::source::Sources;
use crate::trust;

mod authority;
mod require;

/// Reads a policy file with its keys and trust roots.
pub(crate) fn read(sources: &mut Sources, path: &Path, permit_ttl: Duration) -> Option<Policies> {
    let text = sources.text(path, limits::CONFIG_FILE_BYTES)?;
    let mut context = Context { sources, text };
    let mut file = context.parse();
    let trust_tables = file.table(&mut context, "trust").map(|mut table| table.take_all()).unwrap_or_default();
    let (trust, trust_names) = trust::read(&mut context, trust_tables);
    let mut keys = KeyRing::default();
    let mut key_bytes = Vec::new();
    let mut authorities = BTreeMap::new();
    let written = file.table(&mut context, "authority").map(|mut table| table.take_all()).unwrap_or_default();
    for (name, (_, value)) in written {
        let Some(table) = context.table(&format!("authority.{name}"), value) else { continue };
        let read = authority::read(&mut context, &name, table, &trust_names, (&mut keys, &mut key_bytes));
        authorities.insert(Name::new(&name), read);
    }
    let unmatched = unmatched(&mut context, &mut file);
    let policies = policies(&mut context, &mut file, &authorities);
    let blocks = file.tables(&mut context, "block").into_iter().filter_map(|table| block(&mut context, table)).collect();
    let exemptions =
        file.tables(&mut context, "exempt").into_iter().filter_map(|table| exemption(&mut context, table)).collect();
    file.finish(&mut context);
    let text = context.text.text.clone();
    let parts = std::iter::once(text.as_bytes()).chain(key_bytes.iter().map(|bytes: &Arc<Vec<u8>>| bytes.as_slice()));
    let set = PolicySet {
        revisions: Revisions { policy: Revision::of(parts), trust: trust.revision() },
        unmatched,
        authorities: authorities.into_iter().filter_map(|(name, read)| Some((name, read?))).collect(),
        policies,
        blocks,
        exemptions,
        permit_ttl,
    };
    Some(Policies { set, keys: Arc::new(keys), trust: Arc::new(trust) })
}

/// Authorities by name; one that could not be read is known by name, so that it does not fault twice.
pub(crate) type Authorities = BTreeMap<Name, Option<Authority>>;

impl Context<'_> {
    pub(crate) fn location(&self, table: &Table) -> Location {
        Location { file: Arc::from(self.text.short()), line: self.text.line(table.head().start) }
    }
}

fn unmatched(context: &mut Context<'_>, file: &mut Table) -> Unmatched {
    let words = [("deny", Unmatched::Deny), ("warn", Unmatched::Warn), ("permit", Unmatched::Permit)];
    let text = file.string(context, "unmatched");
    text.and_then(|text| context.word("unmatched", &text, &words)).unwrap_or(Unmatched::Deny)
}

fn policies(context: &mut Context<'_>, file: &mut Table, authorities: &Authorities) -> Vec<Policy> {
    let mut policies: Vec<Policy> = Vec::new();
    let mut scopes: Vec<At<Scope>> = Vec::new();
    for table in file.tables(context, "policy") {
        let head = table.head();
        let Some((policy, own)) = policy(context, table, authorities) else { continue };
        if policies.iter().any(|other| other.name == policy.name) {
            let message = format!("two policies are called \"{}\"", policy.name);
            context.fault(&head, Code::DuplicateName, message);
        }
        for scope in own {
            if let Some(tied) = scopes.iter().find_map(|other| other.value.tie(&scope.value)) {
                let message = format!("another scope matches `{tied}` too, and neither is more specific");
                context.hinted(&scope.span, Code::ScopeTie, message, "write one of them longer, or join the two policies");
            }
            scopes.push(scope);
        }
        policies.push(policy);
    }
    policies
}

fn policy(context: &mut Context<'_>, mut table: Table, authorities: &Authorities) -> Option<(Policy, Vec<At<Scope>>)> {
    let (location, head) = (context.location(&table), table.head());
    let name = table.required(context, "name");
    let scopes = scopes(context, &mut table);
    let modes = [("enforce", Mode::Enforce), ("warn", Mode::Warn)];
    let mode = match table.string(context, "mode") {
        Some(text) => context.word("mode", &text, &modes).unwrap_or(Mode::Enforce),
        None => Mode::Enforce,
    };
    let on_undecided = on_undecided(context, &mut table);
    let foreign = [("deny", ForeignLayers::Deny), ("permit", ForeignLayers::Permit)];
    let foreign_layers = match table.string(context, "foreign_layers") {
        Some(text) => context.word("foreign_layers", &text, &foreign).unwrap_or(ForeignLayers::Deny),
        None => ForeignLayers::Deny,
    };
    let anything = table.boolean(context, "insecure_permit_anything");
    let written = table.tables(context, "require");
    let rule = match (anything, written.is_empty()) {
        (Some(anything), false) if anything.value => {
            let message = "a policy that permits anything has no requirements";
            context.fault(&anything.span, Code::ValueInvalid, message);
            None
        }
        (Some(anything), true) if anything.value => Some(Rule::InsecurePermitAnything),
        (_, true) => {
            // An empty list would hold for everything (A402).
            let message = "a policy needs at least one [[policy.require]]";
            context.hinted(&head, Code::RequirementEmpty, message, "to check nothing, say insecure_permit_anything = true");
            None
        }
        (_, false) => {
            let read: Vec<_> = written.into_iter().map(|table| require::read(context, table, authorities)).collect();
            read.into_iter().collect::<Option<Vec<_>>>().map(Rule::Requirements)
        }
    };
    table.finish(context);
    let plain = scopes.iter().map(|scope| scope.value.clone()).collect();
    let name = Name::new(&name?.value);
    let policy = Policy { name, location, scopes: plain, mode, on_undecided, foreign_layers, rule: rule? };
    Some((policy, scopes))
}

fn scopes(context: &mut Context<'_>, table: &mut Table) -> Vec<At<Scope>> {
    let head = table.head();
    let written = table.strings(context, "scope");
    if written.as_ref().is_none_or(Vec::is_empty) {
        context.fault(&head, Code::MissingKey, "`scope` must name at least one glob over registry/repository");
    }
    written.unwrap_or_default().into_iter().filter_map(|text| scope(context, &text)).collect()
}

fn scope(context: &mut Context<'_>, text: &At<String>) -> Option<At<Scope>> {
    match Scope::parse(&text.value) {
        Ok(scope) => Some(At { value: scope, span: text.span.clone() }),
        Err(fault @ ScopeInvalid::RegistryWildcard) => {
            let hint = "name the registry, or write \"**\" alone for every repository";
            context.hinted(&text.span, Code::ScopeRegistryWildcard, fault.to_string(), hint);
            None
        }
        Err(fault @ (ScopeInvalid::Grammar | ScopeInvalid::NoRepository | ScopeInvalid::RestInside)) => {
            context.hinted(&text.span, Code::ScopeInvalid, fault.to_string(), "for example \"ghcr.io/myorg/**\"");
            None
        }
    }
}

fn on_undecided(context: &mut Context<'_>, table: &mut Table) -> OnUndecided {
    let Some(value) = table.take("on_undecided") else { return OnUndecided::Deny };
    if matches!(value.value, crate::reader::Node::Table(_)) {
        let Some(mut inner) = context.table("on_undecided", value) else { return OnUndecided::Deny };
        let head = inner.head();
        let age = inner.duration(context, "last_permit", None);
        if age.is_none() {
            context.fault(&head, Code::MissingKey, "`on_undecided` needs `last_permit`");
        }
        inner.finish(context);
        return age.map_or(OnUndecided::Deny, OnUndecided::LastPermit);
    }
    let words = [("deny", OnUndecided::Deny), ("insecure_permit", OnUndecided::InsecurePermit)];
    let text = context.string("on_undecided", value);
    text.and_then(|text| context.word("on_undecided", &text, &words)).unwrap_or(OnUndecided::Deny)
}

fn digest(context: &mut Context<'_>, text: &At<String>) -> Option<Digest> {
    match text.value.parse() {
        Ok(digest @ Digest::Sha256(_)) => Some(digest),
        Ok(Digest::Sha512(_)) | Err(_) => {
            let message = "not a sha256 digest: content is always judged by that one";
            context.fault(&text.span, Code::DigestInvalid, message);
            None
        }
    }
}

fn block(context: &mut Context<'_>, mut table: Table) -> Option<Block> {
    let location = context.location(&table);
    let written = table.required(context, "digest");
    let digest = written.and_then(|text| digest(context, &text));
    let reason = table.required(context, "reason");
    table.finish(context);
    Some(Block { digest: digest?, reason: reason?.value, location })
}

fn exemption(context: &mut Context<'_>, mut table: Table) -> Option<Exemption> {
    let (location, head) = (context.location(&table), table.head());
    let by_digest = table.string(context, "digest");
    let by_scope = if table.has("scope") { Some(scopes(context, &mut table)) } else { None };
    let until = table.end(context, "until");
    if until.is_none() && !table.has("until") {
        context.hinted(&head, Code::ExemptNoEnd, "an exemption needs `until`", "a hole without an end is a policy: write one");
    }
    let owner = table.string(context, "owner").filter(|owner| !owner.value.trim().is_empty());
    if owner.is_none() {
        context.hinted(&head, Code::ExemptNoOwner, "an exemption needs `owner`", "name who answers for it");
    }
    let reason = table.required(context, "reason");
    table.finish(context);
    let covers = match (by_digest, by_scope) {
        (Some(text), None) => Covers::Digest(digest(context, &text)?),
        (None, Some(scopes)) => {
            if let Some(everything) = scopes.iter().find(|scope| scope.value.is_everything()) {
                context.fault(&everything.span, Code::ExemptEverything, "an exemption of everything is none");
            }
            Covers::Scopes(scopes.into_iter().map(|scope| scope.value).collect())
        }
        (Some(_), Some(_)) | (None, None) => {
            context.fault(&head, Code::MissingKey, "an exemption needs `scope` or `digest`, one of the two");
            return None;
        }
    };
    Some(Exemption { covers, until: until?.value, owner: owner?.value, reason: reason?.value, location })
}

/// The identities that a key or certificate of `authority` stands for, to find one key under two names.
pub(crate) fn keys_of(authority: &Authority) -> &[pullgate_policy::identity::KeyId] {
    match &authority.by {
        By::Keys(keys) => keys,
        By::Identity { .. } => &[],
    }
}
