//! The registries that this machine's runtimes name, and those of the images that they have.

use std::collections::{BTreeMap, BTreeSet};

use pullgate_policy::oci::{Image, Registry, Repository};

use crate::cli::node::{Named, Node, Runtime, images, registries};
use crate::cli::paint::Paint;
use crate::limits::NODE_IMAGES;

/// What a node pulls from most often, where nothing says otherwise.
const USUAL: [&str; 5] = ["docker.io", "gcr.io", "ghcr.io", "quay.io", "registry.k8s.io"];

/// The gate itself, as files of runtimes name it.
const GATE: [&str; 2] = ["127.0.0.1:5000", "localhost:5000"];

/// What was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) runtimes: BTreeSet<Runtime>,
    /// Each registry, and why it is there.
    pub(super) registries: BTreeMap<Registry, Why>,
    /// The repositories of the images that are here.
    pub(super) repositories: BTreeSet<Repository>,
    /// What could not be looked at.
    pub(super) unread: Vec<String>,
}

/// Why a registry is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Why {
    /// An image of it is here.
    Image,
    /// A runtime's file names it as one without TLS.
    Insecure,
    /// A runtime's file names it.
    Named,
    /// It is one of the usual ones.
    Usual,
}

impl Found {
    pub(super) fn on(node: &Node, runtimes: &BTreeSet<Runtime>) -> Self {
        let mut found = Self {
            runtimes: runtimes.clone(),
            registries: BTreeMap::new(),
            repositories: BTreeSet::new(),
            unread: Vec::new(),
        };
        for runtime in runtimes {
            let (named, unread) = registries(*runtime, node);
            found.unread.extend(unread.iter().map(ToString::to_string));
            for Named { registry, insecure } in named {
                found.list(&registry, if insecure { Why::Insecure } else { Why::Named });
            }
            match images(*runtime, node) {
                Ok(names) => {
                    let images = names.iter().take(NODE_IMAGES).filter_map(|name| name.parse::<Image>().ok());
                    found.repositories.extend(images.map(|image| image.repository));
                }
                Err(why) => found.unread.push(format!("images of {}: {why}", runtime.as_str())),
            }
        }
        let of_images: Vec<_> = found.repositories.iter().map(|one| one.registry().to_string()).collect();
        of_images.iter().for_each(|registry| found.list(registry, Why::Image));
        USUAL.iter().for_each(|registry| found.list(registry, Why::Usual));
        found
    }

    /// A name that is none of a registry is passed over; the first reason counts, but for one without TLS.
    fn list(&mut self, name: &str, why: Why) {
        let Ok(registry) = name.parse::<Registry>() else { return };
        if GATE.contains(&registry.as_str()) {
            return;
        }
        let entry = self.registries.entry(registry).or_insert(why);
        if why == Why::Insecure {
            *entry = why;
        }
    }

    /// For people.
    pub(super) fn text(&self, paint: Paint) -> String {
        let escape = pullgate_policy::text::escape;
        let words = |words: Vec<String>| if words.is_empty() { "none".to_owned() } else { words.join(", ") };
        let runtimes = words(self.runtimes.iter().map(|runtime| runtime.as_str().to_owned()).collect());
        let registries = words(self.registries.keys().map(ToString::to_string).collect());
        let mut text = format!(
            "{}    {runtimes}\n{}  {registries}\n{}      of {} repositories\n",
            paint.bold("runtimes"),
            paint.bold("registries"),
            paint.bold("images"),
            self.repositories.len()
        );
        for why in &self.unread {
            text.push_str(&format!("not read    {}\n", escape(why)));
        }
        text
    }
}
