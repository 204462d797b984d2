//! What a survey found, as what the lines of a policy are made of.

use std::collections::BTreeMap;

use pullgate_config::TrustSource;
use pullgate_policy::oci::Image;

use super::everybody::Keys;
use super::report::{Found, Kind, Piece, Report};
use crate::signers::lines::{self, Repository};

/// The lines for all images together; empty where nobody signed any.
pub(super) fn admitting(reports: &[Report], keys: &Keys, sources: &[TrustSource]) -> String {
    lines::admitting(&repositories(reports), keys, sources)
}

fn repositories(reports: &[Report]) -> BTreeMap<String, Repository> {
    let mut repositories: BTreeMap<String, Repository> = BTreeMap::new();
    for report in reports {
        let Ok(image) = report.image.parse::<Image>() else { continue };
        let repository = repositories.entry(image.repository.to_string()).or_default();
        match report.found() {
            Found::Admissible => {}
            Found::Nobody => repository.remarks.push(format!("{}: nobody signed it", report.image)),
            Found::NotLookedAt => repository.remarks.push(format!("{}: {}", report.image, report.says)),
        }
        if report.stands_by_its_children() {
            repository.each_child = true;
            let children = report.children.iter().flat_map(|child| child.signers(Kind::Signature));
            repository.signatures.extend(children.map(piece));
        } else {
            repository.signatures.extend(report.signers(Kind::Signature).into_iter().map(piece));
            if report.signers(Kind::Signature).is_empty() {
                repository.attestations.extend(report.signers(Kind::Attestation).into_iter().map(piece));
            }
        }
    }
    for (name, repository) in &mut repositories {
        if !repository.signatures.is_empty() && !repository.attestations.is_empty() {
            let remark =
                format!("{name}: some images are only attested, and are not admitted by a signature");
            repository.remarks.push(remark);
        }
    }
    repositories
}

fn piece(piece: &Piece) -> lines::Piece {
    lines::Piece {
        who: piece.signed_by.clone(),
        name: piece.name.clone(),
        logged: piece.logged,
        attests: piece.predicate_type.clone(),
    }
}
