//! The policy file, as a person would write it.

use std::collections::BTreeSet;

use pullgate_policy::limits::REASON_PHRASE_BYTES;
use pullgate_policy::text::escape;

use super::join::Governing;
use super::model::{Alternative, Asks, Claimed, Condition, Mode, Need, Originals, Part, Unmatched};
use super::remark::Remark;
use super::text::{comment, inline, string, strings};
use super::trusted::{Trusted, Who};
use super::{text, tree::Place};

/// What is otherwise in every import, whatever was imported.
const DIFFERENCES: [&str; 3] = [
    "A permit for an index carries its children.",
    "Evidence counts in every layout, in the image's own repository and in the upstream's `evidence`.",
    "A piece of evidence that does not count spoils nothing.",
];

/// A policy that was written.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) text: String,
    /// The name of each policy, with the scopes and parts that it has, in the order of the file.
    pub(super) policies: Vec<(String, Governing)>,
    /// The files that it names.
    pub(super) files: BTreeSet<String>,
}

pub(super) fn write(originals: &Originals, mut governing: Vec<Governing>, trusted: &Trusted) -> Written {
    governing.sort_by(|a, b| a.from.cmp(&b.from).then(a.scopes.cmp(&b.scopes)));
    if governing.is_empty() && originals.unmatched == Unmatched::Deny {
        // A file without a policy would be taken for one that was cut off.
        let asks = Asks::Denial("nothing of what was imported serves any image".to_owned());
        let scopes = vec![super::area::Area::everything()];
        governing.push(Governing { scopes, mode: Mode::Enforce, asks, from: Vec::new() });
    }
    let mut file = head(originals, trusted);
    let unmatched = match originals.unmatched {
        Unmatched::Deny => "deny",
        Unmatched::Permit => "permit",
    };
    file.push_str(&format!("\nunmatched = \"{unmatched}\"\n\n"));
    let files = people(&mut file, &governing, trusted);
    let mut names = BTreeSet::new();
    let mut policies = Vec::new();
    for one in governing {
        let name = name(&mut names, one.from.iter().filter_map(|at| originals.parts.get(*at)));
        policy(&mut file, &name, &one, originals, trusted);
        policies.push((name, one));
    }
    // One line break ends a file.
    let text = format!("{}\n", file.trim_end());
    Written { text, policies, files }
}

fn head(originals: &Originals, trusted: &Trusted) -> String {
    let places: BTreeSet<&str> = originals.parts.iter().map(|part| part.place.file.as_ref()).collect();
    let from = places.into_iter().collect::<Vec<_>>().join(", ");
    let mut head = comment(&format!("Imported from {from} by `pullgate policy import`."));
    head.push_str("# In every import:\n");
    for difference in DIFFERENCES {
        head.push_str(&comment(&format!("- {difference}")));
    }
    for remark in originals.remarks.iter().chain(&trusted.remarks) {
        head.push_str(&remarked(remark, None));
    }
    head
}

fn remarked(remark: &Remark, beside: Option<&Place>) -> String {
    let Remark { code, place, text } = remark;
    let (weight, code) = (code.weight().as_str(), code.as_str());
    let place = match beside {
        Some(other) if other.file == place.file => format!("line {}", place.line),
        Some(_) | None => place.to_string(),
    };
    comment(&format!("- {weight}, {code} ({place}): {text}"))
}

/// The trust tables and authorities that are asked for; of the others nobody would know why they stand there.
fn people(file: &mut String, governing: &[Governing], trusted: &Trusted) -> BTreeSet<String> {
    let mut asked: BTreeSet<Who> = BTreeSet::new();
    for one in governing {
        if let Asks::Each(needs) = &one.asks {
            asked.extend(needs.iter().flat_map(|Need(any)| any).flat_map(|one| &one.any_of));
        }
    }
    let authorities: Vec<_> = asked.iter().filter_map(|who| trusted.get(*who)).collect();
    let tables: BTreeSet<&str> = authorities.iter().map(|one| one.trust.as_str()).collect();
    let mut written = String::new();
    for table in tables.iter().filter_map(|name| trusted.table(name)) {
        written.push_str(&comment(&table.place.to_string()));
        written.push_str(&text::table(table));
    }
    for authority in authorities {
        written.push_str(&comment(&authority.place.to_string()));
        written.push_str(&text::authority(authority));
    }
    file.push_str(&written);
    trusted.files.keys().filter(|name| written.contains(&string(name))).cloned().collect()
}

fn name<'a>(names: &mut BTreeSet<String>, parts: impl Iterator<Item = &'a Part>) -> String {
    // A name that could be taken for another by an eye or a shell is escaped, and a long one cut.
    let parts: BTreeSet<String> = parts.map(|part| escape(&part.name)).collect();
    let whole = parts.into_iter().collect::<Vec<_>>().join(" and ");
    let cut = |most: usize| whole.chars().take(most).collect::<String>().trim().to_owned();
    let base = Some(cut(REASON_PHRASE_BYTES)).filter(|name| !name.is_empty()).unwrap_or("nothing".to_owned());
    let mut name = base;
    let mut count = 1;
    while !names.insert(name.clone()) {
        count += 1;
        let suffix = format!(" ({count})");
        name = format!("{}{suffix}", cut(REASON_PHRASE_BYTES - suffix.len()));
    }
    name
}

fn policy(file: &mut String, name: &str, one: &Governing, originals: &Originals, trusted: &Trusted) {
    for part in one.from.iter().filter_map(|at| originals.parts.get(*at)) {
        file.push_str(&comment(&format!("{}: {}", part.place, escape(&part.name))));
        for remark in &part.remarks {
            file.push_str(&remarked(remark, Some(&part.place)));
        }
    }
    let scopes: Vec<String> = one.scopes.iter().map(super::area::Area::text).collect();
    file.push_str("[[policy]]\n");
    file.push_str(&format!("name = {}\n", string(name)));
    file.push_str(&format!("scope = {}\n", strings(scopes.iter().map(String::as_str))));
    if one.mode == Mode::Warn {
        file.push_str("mode = \"warn\"\n");
    }
    match &one.asks {
        Asks::Denial(reason) => {
            file.push_str(&format!("deny = true\nreason = {}\n\n", string(&escape(reason))));
        }
        Asks::Nothing => file.push_str("insecure_permit_anything = true\n\n"),
        Asks::Each(needs) => {
            file.push('\n');
            for need in needs {
                file.push_str(&require(need, trusted));
            }
        }
    }
}

fn require(Need(alternatives): &Need, trusted: &Trusted) -> String {
    let mut written = "[[policy.require]]\n".to_owned();
    match alternatives.as_slice() {
        [one] => {
            for (key, value) in asked(one, trusted) {
                written.push_str(&format!("{key} = {value}\n"));
            }
        }
        several => {
            written.push_str("any = [\n");
            for one in several {
                let keys: Vec<_> =
                    asked(one, trusted).into_iter().map(|(key, value)| format!("{key} = {value}")).collect();
                // A list of many names breaks its line, which is allowed inside of brackets.
                written.push_str(&format!("    {{ {} }},\n", keys.join(", ")));
            }
            written.push_str("]\n");
        }
    }
    written.push('\n');
    written
}

fn asked(one: &Alternative, trusted: &Trusted) -> Vec<(&'static str, String)> {
    let mut keys = Vec::new();
    if let Some(predicate) = &one.attestation {
        keys.push(("attestation", attestation(predicate)));
    }
    let names =
        one.any_of.iter().filter_map(|who| trusted.get(*who)).map(|authority| authority.name.as_str());
    let threshold =
        if one.threshold == 1 { String::new() } else { format!(", threshold = {}", one.threshold) };
    keys.push(("signed_by", format!("{{ any_of = {}{threshold} }}", strings(names))));
    if !one.annotations.is_empty() {
        keys.push(("annotations", inline(&one.annotations)));
    }
    if one.claimed == Claimed::Repository {
        keys.push(("claimed_reference", "true".to_owned()));
    }
    match &one.condition {
        Some(Condition::OfEach(condition)) => {
            keys.push(("where", string(condition)));
            keys.push(("every", "true".to_owned()));
        }
        Some(Condition::OfOne(condition)) => keys.push(("where", string(condition))),
        None => {}
    }
    keys
}

/// A URI as it is; what is none is said to be a type on purpose.
fn attestation(predicate: &str) -> String {
    let uri = predicate.starts_with("https://") || predicate.starts_with("http://");
    match uri && predicate.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => string(predicate),
        false => format!("{{ type = {} }}", string(predicate)),
    }
}
