//! `pullgate audit key`: the public half of the log's key.

use super::super::{Exit, complain, print};
use super::Format;
use crate::audit::PublicKey;

pub(super) const EXAMPLES: &str = "\
The first line is what `audit verify --key` and other readers of signed notes (C2SP) take; the rest is the same key as PEM, for
cosign and openssl.

Examples:
  pullgate audit key --config pullgate.toml
  pullgate audit key --config pullgate.toml --format pem > gate.pub
  openssl pkey -pubin -in gate.pub -outform DER | tail -c 32 | sha256sum
                                                       its fingerprint

Exit codes: 0 there is one, 1 there is none yet, 2 usage.";

pub(super) fn run(keys: &[PublicKey], format: Format) -> Exit {
    let Some(key) = keys.last() else {
        complain("there is no log key yet: the gate makes it at its first start\n");
        return Exit::No;
    };
    print(&match format {
        Format::Note => format!("{}\n", key.as_note_key()),
        Format::Pem => key.as_pem(),
        Format::Text => format!("{}\n{}", key.as_note_key(), key.as_pem()),
    });
    Exit::Success
}
