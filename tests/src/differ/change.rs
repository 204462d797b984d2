//! One change to a bundle or to its trusted root, by its parts.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Case;
use crate::random::Random;

const ENTRY: &str = "/verificationMaterial/tlogEntries/0";

/// Changes one part of a case.
pub(super) fn once(case: &mut Case, random: &mut Random) {
    let what = match random.below(5) {
        0 => lists(&mut case.bundle, random),
        1 => entry(&mut case.bundle, random),
        2 => note(&mut case.bundle, random),
        3 => bytes(&mut case.bundle, random),
        _ => root(&mut case.root, random),
    };
    case.what.push(what.unwrap_or_else(|| "nothing to change".to_owned()));
}

/// One part more or less, or in another order.
fn lists(bundle: &mut Value, random: &mut Random) -> Option<String> {
    let path = *random.one(&[
        "/verificationMaterial/tlogEntries",
        "/verificationMaterial/timestampVerificationData/rfc3161Timestamps",
        "/verificationMaterial/x509CertificateChain/certificates",
        "/dsseEnvelope/signatures",
        "/verificationMaterial/tlogEntries/0/inclusionProof/hashes",
    ])?;
    let list = bundle.pointer_mut(path)?.as_array_mut()?;
    shuffled(list, random).map(|done| format!("{path}: {done}"))
}

fn shuffled(list: &mut Vec<Value>, random: &mut Random) -> Option<&'static str> {
    let at = usize::try_from(random.below(list.len() as u64)).ok()?;
    match random.below(3) {
        0 => {
            let again = list.get(at)?.clone();
            list.push(again);
            Some("one twice")
        }
        1 => (!list.is_empty()).then(|| drop(list.remove(at))).map(|()| "one less"),
        _ => {
            list.reverse();
            Some("the other way round")
        }
    }
}

/// A field of the first log entry.
fn entry(bundle: &mut Value, random: &mut Random) -> Option<String> {
    let kinds = ["hashedrekord", "dsse", "intoto", "rekord"];
    let (path, value) = match random.below(11) {
        0 => ("/kindVersion/kind", json!(random.one(&kinds)?)),
        1 => ("/kindVersion/version", json!(random.one(&["0.0.1", "0.0.2", ""])?)),
        2 => ("/logId/keyId", json!(STANDARD.encode([7; 32]))),
        3 => ("/logId/keyId", json!("")),
        4 => ("/logIndex", json!(random.below(9).to_string())),
        5 => ("/inclusionProof/logIndex", json!(random.below(9).to_string())),
        6 => ("/inclusionProof/treeSize", json!(random.below(9).to_string())),
        7 => ("/inclusionProof/rootHash", json!(STANDARD.encode([7; 32]))),
        8 => {
            let time = bundle.pointer(ENTRY)?.get("integratedTime")?.as_str()?.parse::<i64>().ok()?;
            let by = *random.one(&[1, -1, 86_400, -86_400])?;
            ("/integratedTime", json!((time + by).to_string()))
        }
        _ => {
            let key = *random.one(&[
                "inclusionPromise",
                "inclusionProof",
                "integratedTime",
                "logId",
                "kindVersion",
            ])?;
            bundle.pointer_mut(ENTRY)?.as_object_mut()?.remove(key)?;
            return Some(format!("entry without {key}"));
        }
    };
    *bundle.pointer_mut(&format!("{ENTRY}{path}"))? = value.clone();
    Some(format!("entry{path} = {value}"))
}

/// The checkpoint, line by line.
fn note(bundle: &mut Value, random: &mut Random) -> Option<String> {
    let envelope = bundle.pointer_mut(&format!("{ENTRY}/inclusionProof/checkpoint/envelope"))?;
    let text = envelope.as_str()?.to_owned();
    let (body, lines) = text.split_once("\n\n")?;
    let first = lines.lines().next()?;
    let (name, signature) = first.strip_prefix("\u{2014} ")?.split_once(' ')?;
    let witness = format!("\u{2014} witness.example {}", STANDARD.encode([9; 68]));
    let (what, changed) = match random.below(10) {
        0 => ("a line twice", format!("{text}{first}\n")),
        1 => ("a witness behind", format!("{text}{witness}\n")),
        2 => ("a witness before", format!("{body}\n\n{witness}\n{lines}")),
        3 => ("another name in the line", format!("{body}\n\n\u{2014} x{name} {signature}\n")),
        4 => ("another origin", format!("x{body}\n\n{lines}")),
        5 => ("an extension", format!("{body}\nmore\n\n{lines}")),
        6 => ("no last newline", text.trim_end().to_owned()),
        7 => ("no signature", format!("{body}\n\n")),
        8 => ("seventeen lines", format!("{text}{}", format!("{witness}\n").repeat(17))),
        _ => ("a hyphen for a dash", text.replace('\u{2014}', "-")),
    };
    *envelope = json!(changed);
    Some(format!("checkpoint: {what}"))
}

/// One bit of something that is signed, or signs.
fn bytes(bundle: &mut Value, random: &mut Random) -> Option<String> {
    let path = *random.one(&[
        "/messageSignature/signature",
        "/messageSignature/messageDigest/digest",
        "/dsseEnvelope/payload",
        "/dsseEnvelope/signatures/0/sig",
        "/verificationMaterial/certificate/rawBytes",
        "/verificationMaterial/x509CertificateChain/certificates/0/rawBytes",
        "/verificationMaterial/tlogEntries/0/canonicalizedBody",
        "/verificationMaterial/tlogEntries/0/inclusionPromise/signedEntryTimestamp",
        "/verificationMaterial/tlogEntries/0/inclusionProof/hashes/0",
        "/verificationMaterial/timestampVerificationData/rfc3161Timestamps/0/signedTimestamp",
    ])?;
    let value = bundle.pointer_mut(path)?;
    let mut decoded = STANDARD.decode(value.as_str()?).ok()?;
    let at = usize::try_from(random.below(decoded.len() as u64)).ok()?;
    *decoded.get_mut(at)? ^= 1 << random.below(8);
    *value = json!(STANDARD.encode(decoded));
    Some(format!("{path}: a bit at {at}"))
}

/// A part of the trusted root.
fn root(root: &mut Value, random: &mut Random) -> Option<String> {
    let list = *random.one(&["tlogs", "ctlogs", "certificateAuthorities", "timestampAuthorities"])?;
    let listed = root.get_mut(list)?.as_array_mut()?;
    let at = usize::try_from(random.below(listed.len() as u64)).ok()?;
    if random.below(4) == 0 {
        return shuffled(listed, random).map(|done| format!("root {list}: {done}"));
    }
    let one = listed.get_mut(at)?;
    let window = if one.get("publicKey").is_some() { "/publicKey/validFor" } else { "/validFor" };
    let what = match random.below(6) {
        0 => {
            one.pointer_mut(window)?["end"] = json!("2025-01-01T00:00:00Z");
            "closed"
        }
        1 => {
            one.pointer_mut(window)?["start"] = json!("2026-11-26T00:00:00Z");
            "opened late"
        }
        2 => {
            one.pointer_mut(window)?.as_object_mut()?.remove("start")?;
            "without a beginning"
        }
        3 => {
            one.as_object_mut()?.get_mut("baseUrl").map(|url| *url = json!("https://elsewhere.example"))?;
            "at another address"
        }
        4 => {
            one.pointer_mut("/logId/keyId").map(|id| *id = json!(STANDARD.encode([7; 32])))?;
            "under another id"
        }
        _ => {
            let chain = one.pointer_mut("/certChain/certificates")?.as_array_mut()?;
            return shuffled(chain, random).map(|done| format!("root {list}/{at} chain: {done}"));
        }
    };
    Some(format!("root {list}/{at}: {what}"))
}
