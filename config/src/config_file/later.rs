//! Settings of later releases: their shape is checked now, and each is one fault, so that nobody believes them in force.

use crate::context::Context;
use crate::reader::Table;

/// `[clients]`: who may pull.
pub(super) fn clients(context: &mut Context<'_, '_>, file: &mut Table) {
    let Some(mut table) = file.table(context, "clients") else { return };
    let head = table.head.clone();
    table.string(context, "htpasswd");
    for mut provider in table.tables(context, "oidc").unwrap_or_default() {
        provider.required(context, "issuer");
        provider.required(context, "audience");
        provider.finish(context);
    }
    for mut rule in table.tables(context, "allow").unwrap_or_default() {
        rule.strings(context, "who");
        rule.strings(context, "read");
        rule.finish(context);
    }
    table.finish(context);
    context.not_in_force(&head, "clients");
}

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
