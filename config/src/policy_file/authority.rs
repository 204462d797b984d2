//! `[authority.…]`: whom the policy trusts.

use std::collections::BTreeMap;
use std::sync::Arc;

use pullgate_policy::identity::{
    Authority, By, CLAIMS, IdentityPattern, KeyId, Name, Transparency, Uses, WholeRegex,
};
use pullgate_policy::limits;
use pullgate_verify::{KeyFault, KeyRing, PublicKey};

use crate::code::Code;
use crate::reader::{At, Context, Table, similarity};

type Keys<'a> = (&'a mut KeyRing, &'a mut Vec<Arc<Vec<u8>>>);

/// Texts that no identity is, to find out what matches anything (A404).
const PROBES: [&str; 3] = ["3fJ9x!", "https://example.invalid/q/7#z", "nobody@example.invalid"];

pub(super) fn read(
    context: &mut Context<'_>,
    name: &str,
    mut table: Table,
    trusts: &[Name],
    keys: Keys<'_>,
) -> Option<Authority> {
    let head = table.head();
    let trust = trust(context, &mut table, trusts);
    let keyed = table.has("key");
    let transparency = transparency(context, &mut table, &trust, keyed);
    let uses = uses(context, &mut table);
    let by = if keyed {
        for key in ["issuer", "identity", "identity_regex", "claims"] {
            if let Some(value) = table.take(key) {
                let message = format!("an authority has a key or an identity: `{key}` does not go with `key`");
                context.fault(&value.span, Code::AuthorityIncomplete, message);
            }
        }
        key_file(context, &mut table, keys).map(By::Keys)
    } else {
        identity(context, &mut table, &head)
    };
    table.finish(context);
    Some(Authority { name: Name::new(name), uses, transparency, trust, by: by? })
}

fn trust(context: &mut Context<'_>, table: &mut Table, trusts: &[Name]) -> Name {
    let Some(text) = table.string(context, "trust") else { return Name::new("sigstore") };
    let name = Name::new(&text.value);
    if !trusts.contains(&name) {
        let message = format!("no trust table is called \"{}\"", text.value);
        context.hinted(&text.span, Code::TrustUnknown, message, "\"sigstore\" and \"github\" are built in");
    }
    name
}

fn transparency(context: &mut Context<'_>, table: &mut Table, trust: &Name, keyed: bool) -> Transparency {
    let words = [
        ("required", Transparency::Required),
        ("optional", Transparency::Optional),
        ("none", Transparency::None),
    ];
    match table.string(context, "transparency") {
        None if !keyed && trust.as_str() == "github" => Transparency::None,
        None => Transparency::Required,
        Some(text) => match context.word("transparency", &text, &words) {
            Some(Transparency::Optional) if !keyed => {
                let message = "a keyless signature needs a time: `transparency` must be \"required\" or \"none\"";
                context.fault(&text.span, Code::ValueInvalid, message);
                Transparency::Required
            }
            Some(word) => word,
            None => Transparency::Required,
        },
    }
}

fn uses(context: &mut Context<'_>, table: &mut Table) -> Uses {
    let Some(written) = table.strings(context, "use") else { return Uses::Both };
    let words = [("signature", Uses::Signatures), ("attestation", Uses::Attestations)];
    let read: Vec<Uses> = written.iter().filter_map(|text| context.word("use", text, &words)).collect();
    match (read.contains(&Uses::Signatures), read.contains(&Uses::Attestations)) {
        (true, false) => Uses::Signatures,
        (false, true) => Uses::Attestations,
        (true, true) => Uses::Both,
        (false, false) => {
            if written.is_empty() {
                context.fault(&table.head(), Code::ValueInvalid, "`use` excludes everything");
            }
            Uses::Both
        }
    }
}

fn key_file(context: &mut Context<'_>, table: &mut Table, (ring, read): Keys<'_>) -> Option<Vec<KeyId>> {
    let file = table.string(context, "key")?;
    let path = context.text.beside(&file.value);
    let bytes = match context.sources.bytes(&path, limits::KEY_FILE_BYTES) {
        Ok(bytes) => bytes,
        Err(why) => {
            let message = format!("the key file `{}` cannot be read: {why}", file.value);
            context.fault(&file.span, Code::KeyUnreadable, message);
            return None;
        }
    };
    match PublicKey::from_file(&bytes) {
        Ok(keys) => {
            read.push(bytes);
            Some(keys.into_iter().map(|key| ring.insert(key)).collect())
        }
        Err(fault) => {
            let (code, hint) = match fault {
                KeyFault::PrivateKey => (Code::KeyPrivate, "give the public key; keep this one away from the gate"),
                KeyFault::Unsupported(_) => {
                    (Code::KeyUnsupported, "ECDSA P-256, P-384, P-521, Ed25519, or RSA 2048 to 4096 bits")
                }
                KeyFault::Certificate | KeyFault::Empty | KeyFault::Garbage | KeyFault::TooLarge => {
                    (Code::KeyUnreadable, "a PEM or DER file with a public key")
                }
            };
            context.hinted(&file.span, code, format!("`{}`: {fault}", file.value), hint);
            None
        }
    }
}

fn identity(context: &mut Context<'_>, table: &mut Table, head: &std::ops::Range<usize>) -> Option<By> {
    let issuer = table.string(context, "issuer");
    let exact = table.string(context, "identity");
    let regex = table.string(context, "identity_regex");
    let claims = claims(context, table);
    let pattern = match (exact, regex) {
        (Some(exact), None) if exact.value.is_empty() => {
            context.fault(&exact.span, Code::IdentityEmpty, "an empty identity is nobody");
            None
        }
        (Some(exact), None) => Some(IdentityPattern::Exact(exact.value)),
        (None, Some(regex)) => whole(context, &regex).map(IdentityPattern::Regex),
        (Some(_), Some(_)) | (None, None) => {
            let message = "an authority needs `key`, or `issuer` with `identity` or `identity_regex`";
            context.fault(head, Code::AuthorityIncomplete, message);
            None
        }
    };
    if issuer.as_ref().is_none_or(|issuer| issuer.value.is_empty()) {
        // One identity through two issuers is two people (A240).
        context.hinted(head, Code::IssuerMissing, "an identity needs its `issuer`", "for GitHub Actions: \"https://token.actions.githubusercontent.com\"");
        return None;
    }
    Some(By::Identity { issuer: issuer?.value, pattern: pattern?, claims })
}

fn whole(context: &mut Context<'_>, text: &At<String>) -> Option<WholeRegex> {
    if text.value.is_empty() {
        context.fault(&text.span, Code::IdentityEmpty, "an empty identity is nobody");
        return None;
    }
    match WholeRegex::new(&text.value) {
        Ok(regex) if PROBES.iter().all(|probe| regex.matches(probe)) => {
            context.fault(&text.span, Code::IdentityMatchesAnything, "this matches any identity");
            None
        }
        Ok(regex) => Some(regex),
        Err(fault) => {
            let message = fault.to_string().replace('\n', " ");
            context.fault(&text.span, Code::RegexInvalid, message);
            None
        }
    }
}

fn claims(context: &mut Context<'_>, table: &mut Table) -> BTreeMap<String, String> {
    let Some(mut written) = table.table(context, "claims") else { return BTreeMap::new() };
    let mut claims = BTreeMap::new();
    for (name, (span, value)) in written.take_all() {
        if !CLAIMS.contains(&name.as_str()) {
            let near = CLAIMS.iter().max_by(|a, b| similarity(a, &name).total_cmp(&similarity(b, &name)));
            let hint = near.map(|near| format!("did you mean `{near}`?")).unwrap_or_default();
            context.hinted(&span, Code::ClaimUnknown, format!("certificates have no claim `{name}`"), hint);
            continue;
        }
        if let Some(text) = context.string(&name, At { value: value.value, span: value.span }) {
            claims.insert(name, text.value);
        }
    }
    claims
}
