//! Images that rest on one authority, or on one signer.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::fit;
use super::images::{Image, Said};
use super::told::Told;
use crate::audit::read::{ReadError, Reader};

/// A manifest that was served by an authority's signature.
#[derive(Debug, Serialize)]
pub struct Rests {
    /// The image.
    #[serde(flatten)]
    pub image: Image,
    /// The authorities that counted.
    pub authorities: BTreeSet<String>,
    /// Whether it is served without that authority.
    pub without: Without,
}

/// The verdict on a manifest without an authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Without {
    /// Nobody else signed it, as far as the log says.
    Alone,
    /// It would be refused.
    Refused,
    /// Others carry it.
    Served,
    /// Others counted too, and what each was asked for is not told.
    Unknown,
}

/// Images whose last permit rests on the authority, or the signer, of this name.
pub(super) async fn on(reader: &Reader, told: &Told, name: &str) -> Result<Vec<Rests>, ReadError> {
    let (signer, key) = (name, format!("key {name}"));
    let served: Vec<_> =
        told.each().filter(|seen| seen.said() == Said::Permitted && !seen.signers.is_empty()).collect();
    // One record tells for all manifests that the same signed under the same policy.
    let mut samples: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    for seen in &served {
        let newest = samples.entry((&seen.image.policy, &seen.signers)).or_insert(seen.position);
        *newest = (*newest).max(seen.position);
    }
    let places: Vec<i64> = samples.values().copied().collect();
    let mut authorities: BTreeMap<i64, BTreeSet<String>> = BTreeMap::new();
    for found in reader.at(&places).await? {
        if let Some(position) = found.position {
            authorities.insert(position, found.record.authorities.iter().map(|name| fit(name)).collect());
        }
    }
    let mut all = Vec::new();
    for seen in served {
        let position = samples.get(&(seen.image.policy.as_str(), seen.signers.as_str()));
        let counted = position.and_then(|position| authorities.get(position)).cloned().unwrap_or_default();
        let of_signers = |line: &str| line == signer || line == key;
        let by_authority = counted.contains(name);
        if !by_authority && !seen.signers.lines().any(of_signers) {
            continue;
        }
        let alone = match by_authority {
            true => counted.len() == 1,
            false => seen.signers.lines().all(of_signers),
        };
        let without = if alone { Without::Alone } else { Without::Unknown };
        all.push(Rests { image: seen.image.clone(), authorities: counted, without });
    }
    all.sort_by(|a, b| (&a.image.repository, &a.image.digest).cmp(&(&b.image.repository, &b.image.digest)));
    Ok(all)
}
