//! Reserved settings, for a later release. Each is an error: an ignored setting would mislead its reader.

use std::path::PathBuf;

use crate::code::Code;
use crate::context::Context;
use crate::reader::{At, Table};

/// `admin.htpasswd`.
pub(super) fn htpasswd(context: &mut Context<'_, '_>, table: &mut Table, what: &str) {
    if let Some(file) = table.string(context, "htpasswd") {
        context.not_in_force(&file.span, what);
    }
}

/// `state`: a folder. The URL of a shared engine, `postgres://` or any other, would become a folder of that name.
pub(super) fn state(context: &mut Context<'_, '_>, written: &At<String>) -> Option<PathBuf> {
    let Some(scheme) = scheme(&written.value) else {
        return Some(context.text.beside(&written.value));
    };
    let message =
        format!("`state = \"{scheme}://…\"` is not in force in this release: shared engines are reserved");
    let hint = "write the path of a local folder, for example \"/var/lib/pullgate\"";
    context.advise(&written.span, Code::NotInForce, message, hint);
    None
}

/// The scheme of a URL (RFC 3986, section 3.1), if the text is one.
fn scheme(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once("://")?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    is_scheme.then_some(scheme)
}
