//! Settings of later releases: their shape is checked now, and each is one fault, so that nobody believes them in force.

use crate::context::Context;
use crate::reader::Table;

/// `admin.htpasswd`.
pub(super) fn htpasswd(context: &mut Context<'_, '_>, table: &mut Table, what: &str) {
    if let Some(file) = table.string(context, "htpasswd") {
        context.not_in_force(&file.span, what);
    }
}
