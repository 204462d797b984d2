//! The command that would sign rightly.

use pullgate_policy::evidence::Evidence;
use pullgate_policy::identity::{Authority, By, Principal, Subjects, Transparency, Uses};
use pullgate_policy::policy::{Asks, PolicySet, PredicateType, Requirement};
use pullgate_policy::verdict::Subject;

/// The `cosign` command by which the first authority of a requirement would meet it. Always by digest: a tag may move
/// between signing and pulling.
pub(super) fn command(set: &PolicySet, subject: &Subject, requirement: &Requirement) -> Option<String> {
    let excluded = match requirement.asks {
        Asks::Attestation(_) => Uses::Signatures,
        Asks::Signature => Uses::Attestations,
    };
    let named = requirement.any_of.iter().filter_map(|name| set.authorities.get(name));
    let authority = named.into_iter().find(|authority| authority.uses != excluded)?;
    let (verb, what) = match &requirement.asks {
        Asks::Signature => ("sign", String::new()),
        Asks::Attestation(types) => {
            let kind = types.iter().map(PredicateType::uri).rfind(|uri| cosign_type(uri) != *uri);
            let kind = kind.or(types.first().map(PredicateType::uri)).map(cosign_type).unwrap_or_default();
            ("attest", format!(" --type {} --predicate predicate.json", quoted(kind)))
        }
    };
    let says: Vec<_> = requirement
        .annotations
        .iter()
        .map(|(key, value)| format!(" -a {}", quoted(&format!("{key}={value}"))))
        .collect();
    let says = says.concat();
    let image = format!("{}@{}", subject.repository, subject.digest);
    if let By::Subjects { subjects, .. } = &authority.by {
        let says = says.replace(" -a ", " --user-metadata ");
        return Some(format!("notation sign{says} {image}   # with a certificate for {}", wanted(subjects)));
    }
    let (with, remark) = means(authority);
    Some(format!("cosign {verb}{with}{what}{says} {image}{remark}"))
}

/// What alone keeps somebody who did sign from being an authority that is asked for.
pub(super) fn nearly(set: &PolicySet, requirement: &Requirement, evidence: &Evidence) -> Option<String> {
    let signers: Vec<&Principal> = match requirement.asks {
        Asks::Signature => evidence.signatures.iter().map(|one| &one.facts().principal).collect(),
        Asks::Attestation(_) => evidence.attestations.iter().map(|one| &one.facts().principal).collect(),
    };
    let mut named = requirement.any_of.iter().filter_map(|name| set.authorities.get(name));
    named.find_map(|authority| {
        let nearly = signers.iter().find_map(|signer| authority.nearly(signer))?;
        Some(format!("somebody signed who is nearly \"{}\": {nearly}", authority.name))
    })
}

/// How the holder of an authority signs, and where.
fn means(authority: &Authority) -> (String, String) {
    match &authority.by {
        By::Certificate { holder, .. } => {
            let files = " --key signer.key --certificate signer.pem --certificate-chain chain.pem".to_owned();
            (files, format!("   # with a certificate for {holder}"))
        }
        By::Subjects { .. } => (String::new(), String::new()),
        By::Keys(_) => {
            let log = match authority.transparency {
                Transparency::Required => "",
                Transparency::None | Transparency::Optional => "   # a log entry is not needed",
            };
            (format!(" --key {}", quoted(&format!("{}.key", authority.name))), log.to_owned())
        }
        By::Identity { issuer, pattern, .. } => {
            let remark = format!("   # as {}, by a token of {}", pattern.as_str(), issuer.as_str());
            (String::new(), remark)
        }
    }
}

fn wanted(subjects: &Subjects) -> String {
    match subjects {
        Subjects::Any => "anybody, by an authority of the trust table".to_owned(),
        Subjects::AnyOf(asked) => asked.first().map(ToString::to_string).unwrap_or_default(),
    }
}

/// The text as one word of a shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// cosign's short name of a predicate type, where it has one.
fn cosign_type(uri: &str) -> &str {
    match uri {
        "https://cosign.sigstore.dev/attestation/vuln/v1" => "vuln",
        "https://cyclonedx.org/bom" => "cyclonedx",
        "https://openvex.dev/ns" => "openvex",
        "https://slsa.dev/provenance/v0.2" => "slsaprovenance02",
        "https://slsa.dev/provenance/v1" => "slsaprovenance1",
        "https://spdx.dev/Document" => "spdxjson",
        uri => uri,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_would_read_otherwise_is_quoted() {
        for (text, word) in
            [("env=prod", "env=prod"), ("a b", "'a b'"), ("", "''"), ("it's $(x)", "'it'\\''s $(x)'")]
        {
            assert_eq!(quoted(text), word);
        }
    }
}
