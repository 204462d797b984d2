//! The lines of a policy that admit exactly those who signed: each authority by its key or its whole identity, each
//! repository by its own name.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use pullgate_config::{TrustOrigin, TrustSource};
use pullgate_policy::{limits, text};

use super::{KeyNames, Who};

/// Tables that every policy has.
const BUILT_IN: [&str; 2] = ["github", "sigstore"];

/// A signature or an attestation that was seen.
#[derive(Debug, Clone)]
pub struct Piece {
    /// By whom.
    pub who: Who,
    /// The name of the signer in the lines.
    pub name: String,
    /// Whether it is in a log.
    pub logged: bool,
    /// The predicate type of an attestation; none for a signature.
    pub attests: Option<String>,
}

/// The requirements of all images of one repository.
#[derive(Debug, Default)]
pub struct Repository {
    /// Signatures; where there are some, attestations are not asked for.
    pub signatures: Vec<Piece>,
    /// Attestations.
    pub attestations: Vec<Piece>,
    /// Of an index whose children stand for themselves.
    pub each_child: bool,
    /// Comments above the lines.
    pub remarks: Vec<String>,
}

/// A signer, as an authority.
struct Signer<'a> {
    who: &'a Who,
    name: &'a str,
    /// Whether each of its signatures is in a log.
    logged: bool,
}

/// The lines for all repositories together; nothing but remarks where nobody signed any.
#[must_use]
pub fn admitting(
    repositories: &BTreeMap<String, Repository>,
    keys: &dyn KeyNames,
    sources: &[TrustSource],
) -> String {
    let signers = signers(repositories.values().flat_map(Repository::asked));
    let mut lines = String::new();
    for remark in repositories.values().flat_map(|repository| &repository.remarks) {
        let _ = writeln!(lines, "# {}", text::escape(remark));
    }
    if signers.is_empty() {
        return lines;
    }
    lines.push_str(
        "# Admits exactly those who signed; `pullgate check` reads it, `pullgate policy test` tries it.\n",
    );
    let tables: BTreeSet<&str> = signers.iter().filter_map(|signer| signer.trust()).collect();
    for name in tables {
        trust(&mut lines, name, sources);
    }
    for signer in &signers {
        authority(&mut lines, signer, keys);
    }
    for (name, repository) in repositories {
        policy(&mut lines, name, repository, &signers);
    }
    lines
}

impl Repository {
    /// The pieces that its requirement is about.
    fn asked(&self) -> impl Iterator<Item = &Piece> {
        if self.signatures.is_empty() { self.attestations.iter() } else { self.signatures.iter() }
    }
}

fn signers<'a>(pieces: impl Iterator<Item = &'a Piece>) -> Vec<Signer<'a>> {
    let mut signers: Vec<Signer<'a>> = Vec::new();
    for piece in pieces {
        if let Some(known) = signers.iter_mut().find(|known| *known.who == piece.who) {
            known.logged &= piece.logged;
            continue;
        }
        signers.push(Signer { who: &piece.who, name: &piece.name, logged: piece.logged });
    }
    signers
}

impl Signer<'_> {
    fn trust(&self) -> Option<&str> {
        match self.who {
            Who::Identity { trust, .. } => Some(trust),
            Who::Certificate { .. } | Who::Key(_) | Who::Notation { .. } => None,
        }
    }
}

fn trust(lines: &mut String, name: &str, sources: &[TrustSource]) {
    let source = sources.iter().find(|source| source.name.as_str() == name);
    match source.map(|source| &source.origin) {
        Some(TrustOrigin::File(path)) => {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            let _ = writeln!(
                lines,
                "\n[trust.{}]\ntrusted_root = {}",
                key(name),
                quoted(&path.to_string_lossy())
            );
        }
        Some(TrustOrigin::Files(_) | TrustOrigin::Tuf) => {
            let _ = writeln!(lines, "\n# [trust.{}] as in your policy", key(name));
        }
        Some(TrustOrigin::BuiltIn) | None if BUILT_IN.contains(&name) => {}
        Some(TrustOrigin::BuiltIn) | None => {
            let _ = writeln!(lines, "\n# [trust.{}] as in your policy", key(name));
        }
    }
}

fn authority(lines: &mut String, signer: &Signer<'_>, keys: &dyn KeyNames) {
    let _ = writeln!(lines, "\n[authority.{}]", signer.name);
    match signer.who {
        Who::Key(fingerprint) => {
            let file = keys.find(fingerprint).map(|(_, file)| file.to_string_lossy().into_owned());
            let _ = writeln!(lines, "key = {} # {fingerprint}", quoted(&file.unwrap_or_default()));
            if !signer.logged {
                lines.push_str("transparency = \"optional\" # not every signature is in a log\n");
            }
        }
        // Whose PKI it is the policy says alone; a survey looks for none.
        Who::Certificate { .. } | Who::Notation { .. } => lines.push_str("# as in your policy\n"),
        Who::Identity { trust, issuer, name, claims } => {
            if trust != "sigstore" {
                let _ = writeln!(lines, "trust = {}", quoted(trust));
            }
            let _ = writeln!(lines, "issuer = {}\nidentity = {}", quoted(issuer), quoted(name));
            // Whoever calls a shared workflow has its identity: the caller is pinned (A242).
            if let Some(caller) = claims.get("source_repository_uri") {
                let _ = writeln!(lines, "claims = {{ source_repository_uri = {} }}", quoted(caller));
            }
            if !signer.logged {
                lines.push_str("transparency = \"none\" # by the clock of a timestamp authority\n");
            }
        }
    }
}

fn policy(lines: &mut String, repository: &str, asks: &Repository, signers: &[Signer<'_>]) {
    let by: BTreeSet<&str> = signers
        .iter()
        .filter(|signer| asks.asked().any(|piece| piece.who == *signer.who))
        .map(|signer| signer.name)
        .collect();
    if by.is_empty() {
        return;
    }
    let by: Vec<String> = by.into_iter().map(quoted).collect();
    let name: String = repository.chars().rev().take(limits::REASON_PHRASE_BYTES).collect();
    let name: String = name.chars().rev().collect();
    let _ = writeln!(lines, "\n[[policy]]\nname = {}\nscope = [{}]", quoted(&name), quoted(repository));
    if asks.each_child {
        lines.push_str("index = \"each-child\" # no index is signed, each platform is\n");
    }
    lines.push_str("[[policy.require]]\n");
    if asks.signatures.is_empty() {
        let types: BTreeSet<&str> =
            asks.attestations.iter().filter_map(|piece| piece.attests.as_deref()).collect();
        let types: Vec<String> = types.into_iter().map(quoted).collect();
        match types.as_slice() {
            [one] => {
                let _ = writeln!(lines, "attestation = {one}");
            }
            several => {
                let _ = writeln!(lines, "attestation = [{}]", several.join(", "));
            }
        }
    }
    let _ = writeln!(lines, "signed_by = {{ any_of = [{}] }}", by.join(", "));
}

/// A name as a key of TOML.
fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.is_empty() && name.chars().all(bare) { name.to_owned() } else { quoted(name) }
}

/// A text as a basic string of TOML; what could be shown otherwise than it is stands as an escape.
fn quoted(value: &str) -> String {
    let mut quoted = String::from("\"");
    for c in value.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            c if text::is_unsafe(c) => {
                let _ = write!(quoted, "\\U{:08x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_an_image_cannot_end_its_string_or_its_line() {
        assert_eq!(quoted("a\"\n\\\u{202e}b"), "\"a\\\"\\U0000000a\\\\\\U0000202eb\"");
        assert_eq!((key("corp"), key("a b"), key("")), ("corp".into(), "\"a b\"".into(), "\"\"".into()));
    }
}
