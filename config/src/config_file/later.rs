//! Settings of later releases: their shape is checked now, and each is one fault, so that nobody believes them in force.

use crate::context::Context;
use crate::reader::Table;

/// `admin.htpasswd`.
pub(super) fn htpasswd(context: &mut Context<'_, '_>, table: &mut Table, what: &str) {
    if let Some(file) = table.string(context, "htpasswd") {
        context.not_in_force(&file.span, what);
    }
}

/// `client_cert` of an upstream: a file with certificate and key.
pub(super) fn client_cert(context: &mut Context<'_, '_>, table: &mut Table) {
    if let Some(file) = table.string(context, "client_cert") {
        context.not_in_force(&file.span, "client_cert");
    }
}
