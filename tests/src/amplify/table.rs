//! The table of what one request can cost, and of what bounds the rest.

use pullgate_policy::limits;
use pullgate_policy::limits::MIB;

use super::{Ask, LAYER, Row, Work};

/// Rows of the store and of the pull log, with the pages that they stand in.
const ROWS: u64 = 1024 * 1024;
/// A manifest of this size stands for all that a test makes.
const SMALL: u64 = 16 * 1024;
/// As many bytes of attestations as are read for one subject. Of each, three quarters are the statement, which is hashed
/// three times.
const ATTESTED: u64 = limits::EVIDENCE_BYTES;
/// Signatures that are counted for one timestamp.
const CHECKS_OF_TIMESTAMP: u64 = 4;
/// Nothing is verified.
const NO_WORK: Work = Work { hashed: 0, parsed: 0, checks: 0 };

const ANYBODY: &str = "client without credentials";
const KNOWN: &str = "client that offers credentials";
const ISSUER: &str = "issuer of clients' tokens";
const UPSTREAM: &str = "upstream";
const AUTHOR: &str = "author of evidence";
const TIMES: &str = "timestamp authority";

const fn row(party: &'static str, what: &'static str, ask: Ask, requests: usize, bytes: u64) -> Row {
    Row {
        party,
        what,
        requests,
        bytes,
        disk: ROWS + bytes,
        work: NO_WORK,
        processor: 20,
        memory: 2 * MIB,
        ask,
    }
}

impl Row {
    const fn work(self, hashed: u64, parsed: u64, checks: u64) -> Self {
        Self { work: Work { hashed, parsed, checks }, ..self }
    }

    /// As measured by hand: milliseconds of a processor, and bytes of memory.
    const fn takes(self, processor: u64, memory: u64) -> Self {
        Self { processor, memory, ..self }
    }
}

/// The table.
pub const TABLE: &[Row] = &[
    row(ANYBODY, "`GET /v2/`", Ask::Base, 0, 0),
    row(ANYBODY, "a repository that no scope matches", Ask::Unmatched, 0, 0),
    row(ANYBODY, "an unknown tag", Ask::UnknownTag, 1, SMALL),
    // Its evidence is asked for beside it, unless the answer comes first.
    row(ANYBODY, "an unknown digest", Ask::UnknownDigest, 5, SMALL),
    row(
        ANYBODY,
        "an unknown blob, once in `deny_ttl`, where an index has 32 children that are gone",
        Ask::UnknownBlob,
        pullgate::limits::CHILDREN_READ_FOR_BLOB + 1,
        SMALL,
    )
    .takes(90, 2 * MIB),
    row(ANYBODY, "another unknown blob", Ask::UnknownBlobAgain, 1, SMALL),
    row(ANYBODY, "an unsigned image", Ask::Unsigned, 5, SMALL),
    row(ANYBODY, "the same within `deny_ttl`", Ask::UnsignedAgain, 0, 0),
    row(ANYBODY, "a byte of a permitted layer of 4 MiB", Ask::Layer, 1, LAYER as u64),
    row(ANYBODY, "the same again", Ask::LayerAgain, 0, 0),
    row(ANYBODY, "the same layer, of which it takes nothing", Ask::SlowReader, 0, 0),
    row(ANYBODY, "a list of tags", Ask::Tags, 1, SMALL),
    row(ANYBODY, "a list of referrers", Ask::Referrers, 2, SMALL),
    row(KNOWN, "a wrong password", Ask::WrongPassword, 0, 0),
    row(
        ISSUER,
        "64 keys, and a token that names none of them, once in `issuer_pause`",
        Ask::Token,
        2,
        2 * pullgate_config::limits::ISSUER_BYTES,
    ),
    row(ISSUER, "the same token again", Ask::TokenAgain, 0, 0),
    row(UPSTREAM, "503 for a manifest", Ask::Broken, 1 + pullgate::upstream::limits::UPSTREAM_RETRIES, SMALL),
    row(
        UPSTREAM,
        "503 for each of 32 children, where a blob is asked for",
        Ask::BrokenChildren,
        pullgate::limits::CHILDREN_FAILED_FOR_BLOB * (1 + pullgate::upstream::limits::UPSTREAM_RETRIES),
        SMALL,
    )
    .takes(110, 2 * MIB),
    row(
        AUTHOR,
        "136 bundles by a stranger on one digest",
        Ask::Bundles,
        5 + 2 * limits::EVIDENCE_MANIFESTS,
        limits::EVIDENCE_BYTES,
    )
    .work(128 * 1024, 128 * 1024, limits::EVIDENCE_MANIFESTS as u64)
    .takes(480, 4 * MIB),
    row(
        AUTHOR,
        "4 attestations of 16 MiB by a stranger on one digest",
        Ask::Attestations,
        9,
        limits::EVIDENCE_BYTES + SMALL,
    )
    .work(ATTESTED / 4 * 9, ATTESTED, 4)
    .takes(1_100, 224 * MIB),
    row(TIMES, "32 timestamps on one good signature", Ask::Timestamps, 7, SMALL)
        .work(SMALL, SMALL, CHECKS_OF_TIMESTAMP * limits::TIMESTAMPS as u64 + 1)
        .takes(30, 2 * MIB),
];

/// The rows as `SECURITY.md` has them.
#[must_use]
pub fn table() -> String {
    let mut text = "| party | one request | requests | KiB received | KiB on the disk | KiB hashed | KiB read as JSON | signatures | CPU ms | KiB of memory |\n|---|---|---|---|---|---|---|---|---|---|\n".to_owned();
    for row in TABLE {
        let Row { party, what, requests, bytes, disk, work, processor, memory, .. } = row;
        let [bytes, disk, hashed, parsed, memory] =
            [*bytes, *disk, work.hashed, work.parsed, *memory].map(|bytes| bytes.div_ceil(1024));
        let checks = work.checks;
        text.push_str(&format!(
            "| {party} | {what} | {requests} | {bytes} | {disk} | {hashed} | {parsed} | {checks} | {processor} | {memory} |\n"
        ));
    }
    text
}
