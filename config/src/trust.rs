//! `[trust.…]`: the built-in tables, and those of the file beside them or in their place.

use std::collections::BTreeMap;

use pullgate_policy::identity::Name;
use pullgate_policy::limits;
use pullgate_verify::{Sct, TrustSet, TrustTable};

use crate::code::Code;
use crate::context::{Context, quoted};
use crate::defaults;
use crate::reader::{Entries, Table};
use crate::value::Zero;

/// The trust tables of a policy, and the names that are spoken for.
pub(crate) struct Trust {
    pub(crate) set: TrustSet,
    /// Also those that could not be read, so that an authority does not fault a second time.
    pub(crate) names: Vec<String>,
    /// Whether `github` is the built-in table, the only one that is known to have no log.
    pub(crate) github: Github,
}

/// Which table the name `github` means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Github {
    BuiltIn,
    Redefined,
}

/// Reads the tables; the built-in ones are there unless redefined.
pub(crate) fn read(context: &mut Context<'_, '_>, file: &mut Table) -> Trust {
    let written: Entries = file.table(context, "trust").map(|mut table| table.take_all()).unwrap_or_default();
    let github = if written.contains_key("github") { Github::Redefined } else { Github::BuiltIn };
    let built_in = defaults::built_in().map(|table| (table.name().to_string(), table));
    let mut tables: BTreeMap<String, TrustTable> = built_in.collect();
    let mut names: Vec<String> = tables.keys().cloned().collect();
    for (name, (span, value)) in written {
        context.is_name("a trust table", &name, &span);
        tables.remove(&name);
        let table = context.table(&format!("trust.{name}"), value);
        if let Some(read) = table.and_then(|table| one(context, &name, table)) {
            tables.insert(name.clone(), read);
        }
        names.push(name);
    }
    Trust { set: TrustSet::new(tables.into_values().collect()), names, github }
}

fn one(context: &mut Context<'_, '_>, name: &str, mut table: Table) -> Option<TrustTable> {
    let refreshed = table.has("tuf");
    tuf(context, &mut table, name);
    let words = [("required", Sct::Required), ("none", Sct::None)];
    let sct = table.word(context, "sct", &words, Sct::Required);
    // One with `tuf` has had its fault: that it names no pinned file as well is no second one.
    let file = if refreshed {
        table.string(context, "trusted_root")
    } else {
        table.required(context, "trusted_root")
    };
    table.finish(context);
    let file = file?;
    let content = context.readable(&file, limits::CONFIG_FILE_BYTES)?;
    match TrustTable::from_json(Name::new(name), &content.bytes, sct) {
        Ok(read) => Some(read),
        Err(fault) => {
            let hint = "a trusted_root.json of Sigstore: `cosign trusted-root create` makes one";
            context.advise(
                &file.span,
                Code::TrustRootInvalid,
                format!("{}: {fault}", quoted(&file.value)),
                hint,
            );
            None
        }
    }
}

/// Refreshing comes later; its shape is checked now.
fn tuf(context: &mut Context<'_, '_>, table: &mut Table, name: &str) {
    if let Some(span) = table.place_of("max_age") {
        table.duration(context, "max_age", Zero::Refused, None);
        context.not_in_force(&span, &format!("trust.{name}.max_age"));
    }
    let Some(mut tuf) = table.table(context, "tuf") else { return };
    let head = tuf.head.clone();
    tuf.required(context, "url");
    tuf.required(context, "root");
    tuf.finish(context);
    context.not_in_force(&head, &format!("trust.{name}.tuf"));
}
