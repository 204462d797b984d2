//! The policy file: whom to trust, and which repositories ask for what.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::limits;
use jiff::Timestamp;
use pullgate_policy::identity::Name;
use pullgate_policy::policy::{Mode, Policy, PolicySet, Revision, Revisions, Unmatched};

use crate::code::Code;
use crate::config::Policies;
use crate::context::Context;
use crate::files::Files;
use crate::reader::{At, Table};
use crate::trust;
use crate::upstreams::Upstreams;

mod authority;
mod exceptions;
mod expression;
mod holder;
mod identity;
mod issuer;
mod notation;
mod predicate;
mod require;
mod rule;
mod strangers;

/// What bears upon a policy, and stands elsewhere.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    /// The upstreams of the configuration, where the policy is read for one.
    pub(crate) upstreams: Option<&'a Upstreams>,
    pub(crate) permit_ttl: Duration,
    pub(crate) now: Timestamp,
}

/// Reads the policy file that the configuration names, with its keys and trust roots.
pub(crate) fn read(
    from: &mut Context<'_, '_>,
    name: &At<String>,
    around: Surroundings<'_>,
) -> Option<Policies> {
    let path = from.text.beside(&name.value);
    let (text, unreadable) = from.files.text(&path, limits::CONFIG_FILE_BYTES);
    if let Some(why) = unreadable {
        from.unreadable(name, Code::FileUnreadable, &why);
        return None;
    }
    let mut context = Context::new(from.files, text);
    let file = context.parse();
    Some(policies(&mut context, file, (path, around)))
}

/// Reads a policy file without a configuration, so that the upstreams are unknown. `None` where it cannot be read.
pub(crate) fn alone(files: &mut Files<'_>, path: &Path, now: Timestamp) -> Option<Policies> {
    let (text, unreadable) = files.text(path, limits::CONFIG_FILE_BYTES);
    let mut context = Context::new(files, text);
    if let Some(why) = unreadable {
        let message = format!("the policy cannot be read: {why}");
        context.report(&(0..0), Code::FileUnreadable, message);
        return None;
    }
    let file = context.parse();
    let around = Surroundings { upstreams: None, permit_ttl: limits::PERMIT_TTL, now };
    Some(policies(&mut context, file, (path.to_owned(), around)))
}

fn policies(
    context: &mut Context<'_, '_>,
    mut file: Table,
    (path, around): (PathBuf, Surroundings<'_>),
) -> Policies {
    let trust = trust::read(context, &mut file, around.now);
    let authorities = authority::read_all(context, &mut file, &trust);
    let words = [("deny", Unmatched::Deny), ("warn", Unmatched::Warn), ("permit", Unmatched::Permit)];
    let unmatched = file.word(context, "unmatched", &words, Unmatched::Deny);
    let policies = rule::read_all(context, &mut file, &authorities, around);
    let blocks = exceptions::blocks(context, &mut file);
    let exemptions = exceptions::exemptions(context, &mut file, around.now);
    file.finish(context);
    closes_everything(context, &policies, unmatched);
    nothing_enforced(context, &policies, unmatched);
    let text = context.text.text.clone();
    let key_files = authorities.key_files.iter().map(|content| content.bytes.as_slice());
    let policy = Revision::of(std::iter::once(text.as_bytes()).chain(key_files));
    let set = PolicySet {
        revisions: Revisions { policy, trust: trust.set.revision() },
        unmatched,
        authorities: authorities.by_name.into_iter().filter_map(|(name, read)| Some((name, read?))).collect(),
        policies,
        blocks,
        exemptions,
        permit_ttl: around.permit_ttl,
    };
    Policies {
        set,
        keys: Arc::new(authorities.keys),
        key_files: authorities.paths,
        trust: Arc::new(trust.set),
        sources: trust.sources,
        file: Some(path),
        text: Some(text),
    }
}

/// A file that was cut off before its first policy must not close a fleet.
fn closes_everything(context: &mut Context<'_, '_>, policies: &[Policy], unmatched: Unmatched) {
    if policies.is_empty() && unmatched == Unmatched::Deny && !context.files.has_faults() {
        let hint = "write a [[policy]]; for a rollout, unmatched = \"warn\"";
        context.advise(
            &(0..0),
            Code::MissingKey,
            "no [[policy]], and `unmatched` is \"deny\": every pull would be refused",
            hint,
        );
    }
}

/// A gate that enforces nothing is allowed, with a warning (A410). A file with faults gets no such warning, since a
/// part of it is missing.
fn nothing_enforced(context: &mut Context<'_, '_>, policies: &[Policy], unmatched: Unmatched) {
    let enforces = |policy: &Policy| policy.mode == Mode::Enforce && policy.rule.refuses();
    if context.files.has_faults() || policies.iter().any(enforces) {
        return;
    }
    let rest = match unmatched {
        Unmatched::Deny => "and what no scope matches is refused",
        Unmatched::Permit | Unmatched::Warn => "and what no scope matches is served too",
    };
    let message = format!("no policy with requirements is in mode \"enforce\", {rest}");
    context.advise(
        &(0..0),
        Code::NothingEnforced,
        message,
        "a start for a rollout; `mode = \"enforce\"` ends it",
    );
}

/// Things by the name that their author chose; one that could not be read keeps its name.
type ByName<T> = BTreeMap<Name, Option<T>>;
