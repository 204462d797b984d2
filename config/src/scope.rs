//! Scopes: read one by one, then held against each other and against the upstreams.

use pullgate_policy::scope::{Scope, ScopeInvalid};

use crate::code::Code;
use crate::context::{Context, quoted};
use crate::reader::{At, Table};
use crate::upstreams::Upstreams;

/// The scopes of a table; an empty list is a fault.
pub(crate) fn read(context: &mut Context<'_, '_>, table: &mut Table) -> Vec<At<Scope>> {
    if !table.has("scope") {
        let message = format!("{} needs `scope`", table.called());
        context.advise(&table.head.clone(), Code::MissingKey, message, "scope = [\"ghcr.io/myorg/**\"]");
    }
    let Some(written) = table.strings(context, "scope") else { return Vec::new() };
    if written.value.is_empty() {
        context.report(&written.span, Code::EmptyValue, "`scope` is empty: it would govern nothing");
    }
    written.value.into_iter().filter_map(|text| one(context, &text)).collect()
}

/// Registries in which every repository stands below an owner.
const OWNED: [&str; 5] = ["gcr.io", "ghcr.io", "public.ecr.aws", "quay.io", "registry.gitlab.com"];

/// Whether a scope is one name directly below such a registry.
fn is_an_owner(scope: &str) -> bool {
    let name = scope.split_once('/').filter(|(registry, _)| OWNED.contains(registry));
    name.is_some_and(|(_, name)| !name.is_empty() && !name.contains(['/', '*']))
}

/// One scope; a fault where it is not a valid one.
pub(crate) fn one(context: &mut Context<'_, '_>, text: &At<String>) -> Option<At<Scope>> {
    let fault = match Scope::parse(&text.value) {
        Ok(scope) => {
            if scope.leaves_owner_open() {
                let message = format!("{} matches owners that merely begin like it", quoted(&text.value));
                context.advise(
                    &text.span,
                    Code::ScopeOpenSegment,
                    message,
                    "end the name with `/`: \"ghcr.io/myorg/**\"",
                );
            }
            if is_an_owner(&text.value) {
                let message = format!("no repository of this registry is called {}", quoted(&text.value));
                let hint = format!("for all of its repositories: \"{}/**\"", text.value);
                context.advise(&text.span, Code::ScopeOneComponent, message, hint);
            }
            return Some(At { value: scope, span: text.span.clone() });
        }
        Err(fault) => fault,
    };
    let (code, hint) = match fault {
        ScopeInvalid::RegistryWildcard => {
            (Code::ScopeRegistryWildcard, "name the registry, or write \"**\" alone for every repository")
        }
        ScopeInvalid::Grammar if text.value.contains('@') || has_tag(&text.value) => {
            (Code::ScopeInvalid, "leave tag and digest out: a verdict does not depend on what was asked")
        }
        ScopeInvalid::Grammar if text.value.chars().any(|c| c.is_ascii_uppercase()) => {
            (Code::ScopeInvalid, "repositories are written in lower case")
        }
        ScopeInvalid::NoRepository => (Code::ScopeInvalid, "for all of a registry: \"ghcr.io/**\""),
        ScopeInvalid::Grammar | ScopeInvalid::RestInside => {
            (Code::ScopeInvalid, "for example \"ghcr.io/myorg/**\"")
        }
    };
    context.advise(&text.span, code, format!("{}: {fault}", quoted(&text.value)), hint);
    None
}

fn has_tag(text: &str) -> bool {
    text.rsplit('/').next().is_some_and(|last| last.contains(':'))
}

/// Two scopes that tie would leave the order in the file to decide (A405).
pub(crate) fn ties(context: &mut Context<'_, '_>, scopes: &[At<Scope>]) {
    for (at, scope) in scopes.iter().enumerate() {
        let mut before = scopes.iter().take(at);
        let Some((other, repository)) =
            before.find_map(|other| Some((other, other.value.tie(&scope.value)?)))
        else {
            continue;
        };
        let line = context.text.line(other.span.start);
        let message = if other.value.as_str() == scope.value.as_str() {
            format!("\"{scope}\" is the scope of line {line} once more", scope = scope.value)
        } else {
            format!(
                "\"{}\" and \"{}\" of line {line} both match {repository}, and neither is more specific",
                scope.value, other.value
            )
        };
        let hint = "the more specific wins, component by component from the left: literal, `a*`, `*`, `**`";
        context.advise(&scope.span, Code::ScopeTie, message, hint);
    }
}

/// A warning only: one policy may serve several gates (A405).
pub(crate) fn reachable(context: &mut Context<'_, '_>, scopes: &[At<Scope>], upstreams: &Upstreams) {
    // A configuration without upstreams has its fault already.
    for scope in scopes.iter().filter(|_| !upstreams.names.is_empty()) {
        let Some(registry) = scope.value.registry() else { continue };
        if upstreams.names.iter().any(|name| name.as_str() == registry) {
            continue;
        }
        let mut tables = upstreams.tables.iter();
        let alias = tables.find(|(_, upstream)| upstream.aliases.iter().any(|alias| alias == registry));
        let hint = match alias {
            Some((name, _)) => format!("{registry} is an alias; scopes go by the registry itself: {name}"),
            None if !registry.contains(['.', ':']) && registry != "localhost" => {
                format!("a scope begins with its registry: \"docker.io/{}\"", scope.value)
            }
            None => format!("the configuration has no [upstream.\"{registry}\"]"),
        };
        let message = format!("no repository of this gate can match \"{}\"", scope.value);
        context.advise(&scope.span, Code::ScopeUnreachable, message, hint);
    }
}
