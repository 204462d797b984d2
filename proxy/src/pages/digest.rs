//! One digest: its signatures and the worth of each, its index and its children, its clients.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use pullgate_policy::oci::Digest;

use super::answer::{Signed, failed, signed};
use super::fault::Fault;
use super::frame::Frame;
use super::{Answer, Pages, shown};
use crate::audit::read::{Filter, Found, Reader};
use crate::limits::REPORT_ENTRIES;
use crate::report::{self, Image, Said};

/// Clients that are shown.
const CLIENTS: usize = 500;
/// Children, and indexes that carry it, that are shown.
const AROUND: usize = 500;

/// The verdict on it in one repository, and the evidence under it.
struct Place {
    image: Image,
    /// The id of the last answer about it.
    id: String,
    evidence: Vec<String>,
    signed: Vec<Signed>,
    failed: Vec<(String, String)>,
    requirements: Vec<String>,
    unmet: Vec<String>,
}

#[derive(askama::Template)]
#[template(path = "digest.html")]
struct Page {
    frame: Frame,
    digest: String,
    places: Vec<Place>,
    carriers: Vec<String>,
    children: Vec<(String, &'static str, u64)>,
    clients: Vec<(String, u64)>,
}

pub(super) async fn page(State(pages): State<Arc<Pages>>, Path(digest): Path<String>) -> Answer {
    if digest.parse::<Digest>().is_err() {
        return Err(Fault::Asked(
            "a digest is sha256: and 64 hexadecimal digits, or sha512: and 128".to_owned(),
        ));
    }
    let reader = pages.log.reader().await?;
    let filter = Filter { digest: Some(digest.clone()), ..Filter::default() };
    let looked = tokio::time::timeout(super::WAIT, report::images(&reader, filter, REPORT_ENTRIES));
    let images = looked.await.map_err(|_| Fault::StillCounting)??;
    if images.is_empty() {
        return Err(Fault::NotFound("nobody asked for this digest, as far as the pull log goes back"));
    }
    let (own, under): (Vec<_>, Vec<_>) = images.into_iter().partition(|(image, _)| image.digest == digest);
    let mut clients: BTreeMap<String, u64> = BTreeMap::new();
    for (name, pulls) in own.iter().flat_map(|(image, _)| &image.clients) {
        *clients.entry(name.clone()).or_default() += pulls;
    }
    let mut clients: Vec<(String, u64)> = clients.into_iter().collect();
    clients.sort_by(|a, b| (std::cmp::Reverse(a.1), &a.0).cmp(&(std::cmp::Reverse(b.1), &b.0)));
    clients.truncate(CLIENTS);
    let roots: std::collections::BTreeSet<String> =
        own.iter().map(|(image, _)| image.root.clone()).filter(|root| !root.is_empty()).collect();
    let children = under.iter().take(AROUND);
    let children = children.map(|(image, _)| (image.digest.clone(), report::shown::said(image), image.pulls));
    shown(&Page {
        frame: Frame::still(format!("{}…", report::shown::short(&digest)), ""),
        children: children.collect(),
        carriers: roots.into_iter().take(AROUND).collect(),
        places: places(&reader, own).await?,
        clients,
        digest,
    })
}

async fn places(reader: &Reader, own: Vec<(Image, i64)>) -> Result<Vec<Place>, Fault> {
    let positions: Vec<i64> = own.iter().take(AROUND).map(|(_, position)| *position).collect();
    let found = reader.at(&positions).await?;
    let records: BTreeMap<i64, Found> =
        found.into_iter().filter_map(|found| Some((found.position?, found))).collect();
    let place = |(image, position): (Image, i64)| {
        let record = records.get(&position).map(|found| &found.record);
        let fit = |lines: &[String]| lines.iter().map(|line| report::fit(line)).collect();
        Place {
            id: record.map(|record| report::fit(&record.id)).unwrap_or_default(),
            evidence: record.map(|record| fit(&record.evidence)).unwrap_or_default(),
            signed: record.map(signed).unwrap_or_default(),
            failed: record.map(failed).unwrap_or_default(),
            requirements: record.map(|record| fit(&record.requirements)).unwrap_or_default(),
            unmet: record.map(|record| fit(&record.unmet)).unwrap_or_default(),
            image,
        }
    };
    Ok(own.into_iter().take(AROUND).map(place).collect())
}

impl Place {
    fn was_served(&self) -> bool {
        self.image.said == Said::Permitted
    }
}
