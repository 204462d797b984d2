//! A trust table of loose files: `fulcio_ca`, `rekor_keys`, `ct_keys`, `tsa_chain`.

use std::ops::Range;

use pullgate_policy::identity::Name;
use pullgate_verify::{LooseFault, LooseRoot, Sct};

use super::{Read, TrustOrigin, TrustSource};
use crate::code::Code;
use crate::context::{Context, quoted};
use crate::limits;
use crate::reader::{At, Node, Table};

/// The keys of such a table.
pub(super) const KEYS: [&str; 4] = ["fulcio_ca", "rekor_keys", "ct_keys", "tsa_chain"];

type Add = fn(&mut LooseRoot, &[u8]) -> Result<(), LooseFault>;

/// How a file of each is taken in, in the same order.
const ADD: [Add; 4] = [
    LooseRoot::with_authorities,
    LooseRoot::with_log,
    LooseRoot::with_certificate_log,
    LooseRoot::with_clock,
];

/// The files of a table.
pub(super) struct Loose {
    /// Where the first of them is named.
    pub(super) place: Range<usize>,
    files: Vec<(At<String>, Add)>,
    /// A key that is there could not be read.
    faulty: bool,
}

/// The files that a table names, if it names any.
pub(super) fn read(context: &mut Context<'_, '_>, table: &mut Table) -> Option<Loose> {
    let mut loose: Option<Loose> = None;
    for (key, add) in KEYS.into_iter().zip(ADD) {
        let Some(value) = table.take(key) else { continue };
        let place = value.span.clone();
        let files = files(context, key, value);
        let loose = loose.get_or_insert_with(|| Loose { place, files: Vec::new(), faulty: false });
        loose.faulty |= files.is_none();
        loose.files.extend(files.into_iter().flatten().map(|file| (file, add)));
    }
    loose
}

/// One file, or a list of them.
fn files(context: &mut Context<'_, '_>, key: &str, value: At<Node>) -> Option<Vec<At<String>>> {
    let span = value.span.clone();
    let Node::Array(values) = value.value else {
        return context.string(key, value).map(|file| vec![file]);
    };
    if values.is_empty() {
        context.report(&span, Code::EmptyValue, format!("`{key}` is empty"));
        return None;
    }
    let count = values.len();
    let read: Vec<_> = values.into_iter().filter_map(|value| context.string(key, value)).collect();
    (read.len() == count).then_some(read)
}

/// The table; `None` where any of its files is unusable, since a table without it would be weaker than written.
pub(super) fn table(context: &mut Context<'_, '_>, name: &str, loose: Loose, sct: Sct) -> Option<Read> {
    let Loose { place, files, mut faulty } = loose;
    let (mut root, mut paths) = (LooseRoot::default(), Vec::new());
    for (file, add) in &files {
        let Some(content) = context.readable(file, limits::CONFIG_FILE_BYTES) else {
            faulty = true;
            continue;
        };
        paths.push(context.text.beside(&file.value));
        if let Err(fault) = add(&mut root, &content.bytes) {
            let message = format!("{}: {fault}", quoted(&file.value));
            let hint =
                "certificates in PEM, the root last; keys as `-----BEGIN PUBLIC KEY-----`, one in a file";
            context.advise(&file.span, Code::TrustRootInvalid, message, hint);
            faulty = true;
        }
    }
    if faulty {
        return None;
    }
    match root.table(Name::new(name), sct) {
        Ok(table) => {
            let (name, origin) = (Name::new(name), TrustOrigin::Files(paths));
            Some((TrustSource { name, origin, refresh: None, max_age: None, sct }, Some(table)))
        }
        Err(fault) => {
            let hint = "the certificates of one instance: `pullgate trust` shows what a table holds";
            context.advise(&place, Code::TrustRootInvalid, fault.to_string(), hint);
            None
        }
    }
}
