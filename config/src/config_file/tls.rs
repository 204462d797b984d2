//! `listen.tls`: files in PEM, read with everything else, so that a changed certificate is a reload like any other.

use crate::limits;

use super::credentials;
use crate::code::Code;
use crate::config::Tls;
use crate::context::{Context, quoted};
use crate::reader::{At, Table};
use crate::secret::Secret;

pub(super) fn read(context: &mut Context<'_, '_>, listen: &mut Table) -> Option<Tls> {
    let mut table = listen.table(context, "tls")?;
    let cert = table.required(context, "cert");
    let key = table.required(context, "key");
    let client_ca = table.string(context, "client_ca");
    table.finish(context);
    let client_ca_pem = client_ca.as_ref().and_then(|file| certificates(context, file));
    let cert_pem = certificates(context, &cert?);
    let key_pem = private_key(context, &key?);
    Some(Tls { cert_pem: cert_pem?, key_pem: key_pem?, client_ca_pem })
}

/// A file with at least one certificate.
pub(super) fn certificates(context: &mut Context<'_, '_>, file: &At<String>) -> Option<Vec<u8>> {
    let content = context.readable(file, limits::CONFIG_FILE_BYTES)?;
    let begins = |line: &[u8]| line.starts_with(b"-----BEGIN CERTIFICATE-----");
    if !content.bytes.split(|byte| *byte == b'\n').any(begins) {
        let message = format!("{} holds no certificate in PEM", quoted(&file.value));
        context.report(&file.span, Code::FileUnreadable, message);
    }
    Some(content.bytes.clone())
}

/// A file with a certificate and its private key.
pub(super) fn identity(context: &mut Context<'_, '_>, file: &At<String>) -> Option<Secret> {
    certificates(context, file)?;
    private_key(context, file)
}

/// A file with a private key. No diagnostic quotes its content.
fn private_key(context: &mut Context<'_, '_>, file: &At<String>) -> Option<Secret> {
    let text = credentials::secret(context, file)?;
    let begins = |line: &str| line.starts_with("-----BEGIN ") && line.contains("PRIVATE KEY-----");
    if !text.reveal().lines().any(begins) || text.reveal().contains("ENCRYPTED") {
        let message = format!("{} holds no private key in PEM, or an encrypted one", quoted(&file.value));
        context.report(&file.span, Code::FileUnreadable, message);
    }
    Some(text)
}
