//! `[trust.…]`: the built-in tables, and those of the file in their place or beside them.

use std::collections::BTreeMap;

use pullgate_policy::identity::Name;
use pullgate_policy::limits;
use pullgate_verify::{Sct, TrustSet, TrustTable};

use crate::code::Code;
use crate::reader::{Context, Entries};

/// The built-in trust tables by name.
pub(crate) const BUILT_IN: [&str; 2] = ["github", "sigstore"];

/// Reads the tables; the built-in ones are there unless redefined.
pub(crate) fn read(context: &mut Context<'_>, written: Entries) -> (TrustSet, Vec<Name>) {
    let mut tables: BTreeMap<String, TrustTable> = BTreeMap::new();
    let mut names: Vec<Name> = BUILT_IN.iter().map(|name| Name::new(name)).collect();
    for table in [TrustTable::sigstore(), TrustTable::github()].into_iter().flatten() {
        tables.insert(table.name().to_string(), table);
    }
    for (name, (_, value)) in written {
        // Its name is known even where it cannot be read, so that authorities do not fault a second time.
        names.push(Name::new(&name));
        let Some(mut table) = context.table(&format!("trust.{name}"), value) else { continue };
        for key in ["tuf", "max_age"] {
            if let Some(value) = table.take(key) {
                context.not_in_force(&value.span, &format!("trust.{name}.{key}"));
            }
        }
        let words = [("required", Sct::Required), ("none", Sct::None)];
        let sct = match table.string(context, "sct") {
            Some(text) => context.word("sct", &text, &words).unwrap_or(Sct::Required),
            None => Sct::Required,
        };
        if let Some(file) = table.required(context, "trusted_root") {
            let path = context.text.beside(&file.value);
            match context.sources.bytes(&path, limits::CONFIG_FILE_BYTES) {
                Err(why) => {
                    let message = format!("`{}` cannot be read: {why}", file.value);
                    context.fault(&file.span, Code::FileUnreadable, message);
                }
                Ok(bytes) => match TrustTable::from_json(Name::new(&name), &bytes, sct) {
                    Ok(read) => {
                        tables.insert(name.clone(), read);
                    }
                    Err(fault) => {
                        let message = format!("`{}` is no trusted root: {fault}", file.value);
                        context.fault(&file.span, Code::TrustRootInvalid, message);
                    }
                },
            }
        }
        table.finish(context);
    }
    (TrustSet::new(tables.into_values().collect()), names)
}
