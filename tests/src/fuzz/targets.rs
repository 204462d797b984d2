//! The targets.

use super::words::{EVIDENCE, EXPRESSION, HEADER, KEYS, MANIFEST, PEM, ROUTE};
use super::{
    Target, asked, conditions, documents, files, keyed, keyless, naming, notation, passing, shown, tokens,
};

/// Every target, by name.
pub const TARGETS: &[Target] = &[
    Target { name: "accept", seeds: naming::accepts, words: TYPES, check: naming::accept },
    Target { name: "annotations", seeds: keyed::annotations, words: EVIDENCE, check: keyed::annotated },
    Target { name: "bundle", seeds: keyed::bundles, words: EVIDENCE, check: keyed::bundle },
    Target { name: "certificate", seeds: keyless::certificates, words: &[], check: keyless::certificate },
    Target { name: "challenge", seeds: asked::challenges, words: HEADER, check: asked::challenge },
    Target { name: "checkpoint", seeds: keyless::checkpoints, words: CHECKPOINT, check: keyless::checkpoint },
    Target { name: "client-token", seeds: tokens::tokens, words: JOSE, check: tokens::token },
    Target { name: "configuration", seeds: files::configurations, words: KEYS, check: files::configuration },
    Target { name: "docker-config", seeds: files::docker_configs, words: KEYS, check: files::docker_config },
    Target { name: "dsse", seeds: keyed::envelopes, words: EVIDENCE, check: keyed::dsse },
    Target { name: "issuer-keys", seeds: tokens::key_sets, words: JOSE, check: tokens::key_set },
    Target { name: "json", seeds: documents::manifests, words: MANIFEST, check: documents::json },
    Target { name: "key", seeds: files::keys, words: PEM, check: files::key },
    Target { name: "keyless", seeds: keyless::bundles, words: EVIDENCE, check: keyless::bundle },
    Target { name: "keyless-sig", seeds: keyless::annotations, words: EVIDENCE, check: keyless::annotated },
    Target { name: "link", seeds: asked::links, words: HEADER, check: asked::link },
    Target { name: "log-entry", seeds: keyless::entries, words: EVIDENCE, check: keyless::entry },
    Target { name: "login", seeds: files::docker_configs, words: KEYS, check: asked::login },
    Target { name: "manifest", seeds: documents::manifests, words: MANIFEST, check: documents::manifest },
    Target { name: "notation-cose", seeds: notation::cose_seeds, words: CBOR, check: notation::cose },
    Target { name: "notation-jws", seeds: notation::jws_seeds, words: JWS, check: notation::jws },
    Target { name: "passing", seeds: passing::layers, words: EVIDENCE, check: passing::only },
    Target { name: "payload", seeds: keyed::payloads, words: EVIDENCE, check: keyed::payload },
    Target { name: "policy", seeds: files::policies, words: KEYS, check: files::policy },
    Target {
        name: "provenance",
        seeds: conditions::predicates,
        words: EVIDENCE,
        check: conditions::provenance,
    },
    Target {
        name: "range",
        seeds: naming::ranges,
        words: &["bytes=", "-", ",", "0-0"],
        check: naming::range_header,
    },
    Target { name: "record", seeds: shown::texts, words: CONTROLS, check: shown::record },
    Target { name: "referrers", seeds: asked::lists, words: MANIFEST, check: asked::referrers },
    Target { name: "route", seeds: naming::routes, words: ROUTE, check: naming::route },
    Target {
        name: "scope",
        seeds: naming::scopes,
        words: &["*", "**", "/", "docker.io", "library"],
        check: naming::scope,
    },
    Target { name: "signed-payload", seeds: keyed::payloads, words: EVIDENCE, check: keyed::signed_payload },
    Target { name: "statement", seeds: keyed::statements, words: EVIDENCE, check: keyed::signed_statement },
    Target { name: "text", seeds: shown::texts, words: CONTROLS, check: shown::shown },
    Target { name: "timestamp", seeds: keyless::timestamps, words: &[], check: keyless::timestamp },
    Target { name: "token", seeds: asked::tokens, words: KEYS, check: asked::token },
    Target { name: "trusted-root", seeds: files::trusted_roots, words: EVIDENCE, check: files::trusted_root },
    Target { name: "where", seeds: conditions::conditions, words: EXPRESSION, check: conditions::condition },
];

const TYPES: &[&str] =
    &["application/vnd.oci.image.index.v1+json", ";q=0", "; q=0.0", ",", "*/*", "application/*"];
const CHECKPOINT: &[&str] = &["\n\n", "\u{2014} ", "rekor.sigstore.dev - ", "18446744073709551615", "AAAA"];
/// Headers and members of tokens and keys; the first three in base64url: `{"alg":"none"}`, `{"alg":"HS256","kid":"a"}`,
/// `{}`.
const JOSE: &[&str] = &[
    "eyJhbGciOiJub25lIn0",
    "eyJhbGciOiJIUzI1NiIsImtpZCI6ImEifQ",
    "e30",
    ".",
    "\"kid\":\"a\"",
    "\"oct\"",
    "\"d\":",
];
/// Heads of CBOR: a tag, lists and maps with and without an end, long forms.
const CBOR: &[&str] =
    &["\u{1}", "\u{18}", "\u{19}", "\u{40}", "\u{60}", "io.cncf.notary.expiry", "io.cncf.notary.signingTime"];
const JWS: &[&str] =
    &["\"payload\":\"", "\"protected\":\"", "\"header\":{", "\"x5c\":[", "\"signatures\":[", "e30", "=="];
const CONTROLS: &[&str] = &["\u{1b}[31m", "\u{2028}", "\u{e9}", "\r\n", "\",\"verdict\":\"permit\",\"x\":\""];
