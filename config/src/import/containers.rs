//! `policy.json` of containers/image (podman, CRI-O, skopeo, bootc) with `registries.d`: the most specific scope counts, as
//! here, and each of its requirements must hold.

use std::collections::{BTreeMap, BTreeSet};

use pullgate_policy::oci::Repository;

use self::attachments::Attachments;
use self::requirement::{Asked, Piece};
use super::area::{Area, is_hub};
use super::fault::Fault;
use super::model::{Asks, Joined, Mode, Need, Originals, Part, Unmatched};
use super::reader::Reader;
use super::remark::{Remark, RemarkCode};
use super::tree::{Node, Place};

mod attachments;
pub(super) mod identity;
mod requirement;

/// Reads a `policy.json`.
pub(super) fn read(reader: &mut Reader<'_>, node: &Node) -> Result<Originals, Fault> {
    let mut fields = node.fields()?;
    let default = fields.take("default");
    let transports = fields.take("transports");
    if let Some((name, place)) = fields.first_left() {
        return Err(unknown(name, place));
    }
    let default = default.ok_or_else(|| invalid(&node.place, "it has no `default`"))?;
    let mut remarks = Vec::new();
    let mut scopes: BTreeMap<String, &Node> = BTreeMap::new();
    let mut over_all = default;
    if let Some(transports) = transports {
        let mut fields = transports.fields()?;
        if let Some(docker) = fields.take("docker") {
            for (scope, requirements) in entries(docker)? {
                if scope.is_empty() {
                    over_all = requirements;
                } else {
                    scopes.insert(scope.clone(), requirements);
                }
            }
        }
        if let Some((name, place)) = fields.first_left() {
            let text = format!(
                "transport \"{}\" and those beside it are about nothing that a registry serves",
                name
            );
            remarks.push(Remark::new(RemarkCode::LeftOut, place, text));
        }
    }
    let attachments = Attachments::read(reader)?;
    if attachments.is_assumed() {
        let text = "`use-sigstore-attachments` is taken to be on: name its folder by --registries-d";
        remarks.push(Remark::new(RemarkCode::AttachmentsAssumed, &node.place, text));
    }
    let mut all = All { reader, scopes, over_all, attachments, parts: Vec::new() };
    let unmatched = all.read()?;
    Ok(Originals { parts: all.parts, joined: Joined::MostSpecific, unmatched, remarks })
}

fn entries(node: &Node) -> Result<&[(String, Node)], Fault> {
    match &node.value {
        super::tree::Value::Map(entries) => Ok(entries),
        super::tree::Value::Null => Ok(&[]),
        super::tree::Value::List(_) | super::tree::Value::Scalar(_) => Err(node.unexpected("scopes")),
    }
}

fn unknown(name: &str, place: &Place) -> Fault {
    invalid(place, &format!("the key \"{}\" is unknown", pullgate_policy::text::escape(name)))
}

fn invalid(place: &Place, why: &str) -> Fault {
    Fault::Invalid { place: place.clone(), why: why.to_owned() }
}

/// All scopes of the transport `docker`.
struct All<'r, 'a, 'n> {
    reader: &'r mut Reader<'a>,
    scopes: BTreeMap<String, &'n Node>,
    /// What counts where none of them matches.
    over_all: &'n Node,
    attachments: Attachments,
    parts: Vec<Part>,
}

/// What a scope names.
enum Names<'s> {
    /// Every host below a domain.
    Hosts,
    /// A host, a namespace and the repository of its name.
    Namespace,
    /// One tag or digest of a repository.
    One(&'s str),
    /// Nothing that a reference could be.
    Nothing(&'static str),
    /// A host that is another one there if it is written in another case.
    Cased,
}

fn names(scope: &str) -> Names<'_> {
    if scope.starts_with("*.") {
        return Names::Hosts;
    }
    let host = scope.split('/').next().unwrap_or_default();
    if is_hub(host) && host != "docker.io" {
        return Names::Nothing("Docker Hub is `docker.io` there, whatever it is written as");
    }
    if host.chars().any(|c| c.is_ascii_uppercase()) {
        return Names::Cased;
    }
    let (before, last) = scope.rsplit_once('/').unwrap_or(("", scope));
    match last.find(['@', ':']) {
        Some(_) if before.is_empty() => Names::Namespace,
        Some(_) if before == "docker.io" => {
            Names::Nothing("such repositories of Docker Hub are `library/…` there")
        }
        Some(at) => Names::One(scope.get(..before.len() + 1 + at).unwrap_or(scope)),
        None => Names::Namespace,
    }
}

/// The scopes of a host or namespace: all below it, and the repository of its name.
fn areas(scope: &str) -> Vec<Area> {
    let below = Area::parse(&format!("{scope}/**"));
    // A name of one component on Docker Hub is another repository's: `library/…`.
    let own = match scope.split_once('/') {
        Some(("docker.io", path)) if !path.contains('/') => None,
        Some(_) => Area::parse(scope),
        None => None,
    };
    own.into_iter().chain(below).collect()
}

impl<'n> All<'_, '_, 'n> {
    fn read(&mut self) -> Result<Unmatched, Fault> {
        let default = self.over_all;
        let asked = requirement::read(self.reader, default, None)?;
        let on = self.attachments.on("");
        let mut part = part("default", &default.place, asked, on);
        let everywhere = part.asks.clone();
        if matches!(part.asks, Asks::Each(_)) {
            part.areas = vec![Area::everything()];
        }
        self.parts.push(part);
        let mut tagged: BTreeMap<&str, Vec<(&str, &'n Node)>> = BTreeMap::new();
        let scopes = self.scopes.clone();
        for (scope, node) in &scopes {
            match names(scope) {
                Names::Hosts => self.hosts(scope, node, &everywhere)?,
                Names::Namespace => self.namespace(scope, node)?,
                Names::One(repository) => tagged.entry(repository).or_default().push((scope, node)),
                Names::Nothing(why) => self.left_out(scope, node, why),
                Names::Cased => self.cased(scope, node)?,
            }
        }
        for namespace in self.attachments.namespaces() {
            if !scopes.contains_key(&namespace) && matches!(names(&namespace), Names::Namespace) {
                self.namespace(&namespace, self.governing(&namespace))?;
            }
        }
        for (repository, each) in tagged {
            self.tags(repository, &each)?;
        }
        Ok(match everywhere {
            Asks::Nothing => Unmatched::Permit,
            Asks::Denial(_) | Asks::Each(_) => Unmatched::Deny,
        })
    }

    /// What counts for a namespace: its own entry, or the next one above it.
    fn governing(&self, namespace: &str) -> &'n Node {
        let mut name = namespace;
        loop {
            if let Some(node) = self.scopes.get(name) {
                return node;
            }
            match name.rsplit_once('/') {
                Some((above, _)) => name = above,
                None => break,
            }
        }
        // The host; then `*.` and what follows each of its dots.
        let host = name.split(':').next().unwrap_or(name);
        let mut rest = host;
        while let Some((_, domain)) = rest.split_once('.') {
            if let Some(node) = self.scopes.get(&format!("*.{domain}")) {
                return node;
            }
            rest = domain;
        }
        self.over_all
    }

    fn namespace(&mut self, scope: &str, node: &Node) -> Result<(), Fault> {
        let areas = areas(scope);
        if areas.is_empty() {
            self.left_out(scope, node, "no repository can have such a name");
            return Ok(());
        }
        let asked = requirement::read(self.reader, node, Some(scope))?;
        let own_name_only = asked.own_name_only;
        let mut part = part(scope, &node.place, asked, self.attachments.on(scope));
        let (below, own): (Vec<_>, Vec<_>) =
            areas.into_iter().partition(|area| area.text().ends_with("/**") && own_name_only);
        if !below.is_empty() {
            let asks = Asks::Denial("the payload must name the repository above".to_owned());
            let empty = Part::new(format!("{scope}/**"), &node.place, Mode::Enforce);
            self.parts.push(Part { areas: below, asks, ..empty });
        }
        part.areas = own;
        self.parts.push(part);
        Ok(())
    }

    /// Every tag and digest of a repository that is named, and what counts for the repository: all of it.
    fn tags(&mut self, repository: &str, each: &[(&str, &Node)]) -> Result<(), Fault> {
        let Some((first, node)) = each.first() else { return Ok(()) };
        let area = Area::parse(repository).filter(|_| Repository::of_short_name(repository).is_ok());
        let Some(area) = area else {
            self.left_out(first, node, "no repository can have such a name");
            return Ok(());
        };
        let mut asked = Asked::default();
        for (_, node) in each {
            asked.add(requirement::read(self.reader, node, Some(repository))?);
        }
        asked.add(requirement::read(self.reader, self.governing(repository), Some(repository))?);
        let mut part = part(repository, &node.place, asked, self.attachments.on(repository));
        for (scope, node) in each {
            let text = format!("\"{scope}\": every tag and digest of the repository is asked for the same");
            part.remark(RemarkCode::Tags, &node.place, text);
        }
        for other in &mut self.parts {
            other.areas.retain(|other| *other != area);
        }
        part.areas = vec![area];
        self.parts.push(part);
        Ok(())
    }

    /// A domain is no registry: it is left out where what governs its hosts otherwise denies, or where it permits.
    fn hosts(&mut self, scope: &str, node: &Node, everywhere: &Asks) -> Result<(), Fault> {
        let asked = requirement::read(self.reader, node, None)?;
        let part = part(scope, &node.place, asked, self.attachments.on(scope));
        match (&part.asks, everywhere) {
            (Asks::Nothing, _) | (_, Asks::Denial(_)) => {
                self.left_out(
                    scope,
                    node,
                    "registries have names here: what governs its hosts otherwise counts",
                );
                Ok(())
            }
            (asks, otherwise) if asks == otherwise => Ok(()),
            (Asks::Denial(_) | Asks::Each(_), Asks::Nothing | Asks::Each(_)) => Err(Fault::Unscoped {
                place: node.place.clone(),
                why: format!("\"{scope}\" is every host of a domain, which no scope says"),
                under: "`default`".to_owned(),
            }),
        }
    }

    /// Hosts are told apart by case there, and not here.
    fn cased(&mut self, scope: &str, node: &Node) -> Result<(), Fault> {
        let asked = requirement::read(self.reader, node, None)?;
        if part(scope, &node.place, asked, attachments::Are::On).asks == Asks::Nothing {
            self.left_out(scope, node, "hosts are told apart by case there, and not here");
            return Ok(());
        }
        let why = format!("\"{}\" tells hosts apart by case", pullgate_policy::text::escape(scope));
        Err(Fault::Unscoped {
            place: node.place.clone(),
            why,
            under: "the same host in lower case".to_owned(),
        })
    }

    fn left_out(&mut self, scope: &str, node: &Node, why: &str) {
        let mut part = Part::new(scope, &node.place, Mode::Enforce);
        part.remark(RemarkCode::LeftOut, &node.place, why);
        self.parts.push(part);
    }
}

fn part(name: &str, place: &Place, asked: Asked, attachments: attachments::Are) -> Part {
    let mut needs: Vec<Need> = Vec::new();
    let mut denial = None;
    let signed = asked.pieces.iter().any(|piece| matches!(piece, Piece::Need(_)));
    for piece in asked.pieces {
        match piece {
            Piece::Denial(why) => denial = denial.or(Some(why)),
            Piece::Need(need) => needs.push(need),
            Piece::Nothing => {}
        }
    }
    let mut part = Part { remarks: asked.remarks, ..Part::new(name, place, Mode::Enforce) };
    if signed && attachments == attachments::Are::Off && denial.is_none() {
        part.remark(RemarkCode::Attachments, place, "`use-sigstore-attachments` is not on for it");
        denial = Some("signatures beside images are not looked for".to_owned());
    }
    part.asks = match denial {
        Some(why) => Asks::Denial(why),
        None if needs.is_empty() => Asks::Nothing,
        None => Asks::Each(needs),
    };
    part
}

/// Whether two names are one repository, as references are read.
fn same_repository(one: &str, other: &str) -> bool {
    let names: BTreeSet<Option<String>> = [one, other]
        .iter()
        .map(|name| Repository::of_short_name(name).ok().map(|name| name.to_string()))
        .collect();
    names.len() == 1 && !names.contains(&None)
}
