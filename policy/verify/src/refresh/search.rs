//! The role that lists the target, and whether the target matches (TUF 5.6.7 and 5.7).

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::digest;
use pullgate_policy::limits;
use sigstore_tuf::{DelegatedRole, Delegations, Metadata, TargetFile, Targets};

use super::fault::{FetchFault, RefreshFault};
use super::name::encoded;
use super::repository::{self, File, Repository};
use super::update::Work;
use super::{TargetName, keys};

/// The target, and the delegated lists that led to it.
pub(super) struct Found {
    pub(super) target: File,
    pub(super) delegated: Vec<File>,
}

/// Finds the target depth first, in the order in which each list delegates, and reads it.
pub(super) async fn target<R: Repository>(work: &mut Work<'_, R>) -> Result<Found, RefreshFault> {
    let wanted = &work.order.target.clone();
    let mut delegated = Vec::new();
    let mut visited = BTreeSet::new();
    let mut rest = vec![("targets".to_owned(), String::new())];
    while let Some((role, delegator)) = rest.pop() {
        // Each role once: delegations may form a circle (A345).
        if !visited.insert(role.clone()) {
            continue;
        }
        if visited.len() > limits::TUF_DELEGATIONS {
            return Err(RefreshFault::Delegations);
        }
        if role != "targets" {
            match list(work, &role, &delegator).await? {
                Some(file) => delegated.push(file),
                None => continue,
            }
        }
        let Some(targets) = work.set.targets_role(&role) else { continue };
        if let Some(listed) = targets.target(wanted.as_str()) {
            let target = read(work, wanted, &listed.clone()).await?;
            return Ok(Found { target, delegated });
        }
        let (next, further) = delegates(targets, wanted)?;
        match further {
            Further::Others => {}
            Further::Nobody => rest.clear(),
        }
        rest.extend(next.into_iter().rev().map(|name| (name, role.clone())));
    }
    Err(RefreshFault::Unlisted { file: wanted.to_string() })
}

/// Whether lists further up may still be asked.
enum Further {
    Others,
    Nobody,
}

/// The roles that a list delegates this target to. One that answers for a path that it was not given is not asked (A344).
fn delegates(targets: &Targets, wanted: &TargetName) -> Result<(Vec<String>, Further), RefreshFault> {
    let mut next = Vec::new();
    for role in targets.delegations.iter().flat_map(|delegations| &delegations.roles) {
        if covers(role, wanted)? {
            next.push(role.name.clone());
            if role.terminating {
                return Ok((next, Further::Nobody));
            }
        }
    }
    Ok((next, Further::Others))
}

fn covers(role: &DelegatedRole, wanted: &TargetName) -> Result<bool, RefreshFault> {
    if role.paths.is_some() && role.path_hash_prefixes.is_some() {
        let why = "a delegation by paths and by hashes of paths at once";
        return Err(RefreshFault::malformed("targets.json", why));
    }
    role.matches_path(wanted.as_str()).map_err(|error| RefreshFault::of("targets.json", error))
}

/// Reads a delegated list; `None` where the snapshot does not list it.
async fn list<R: Repository>(
    work: &mut Work<'_, R>,
    role: &str,
    delegator: &str,
) -> Result<Option<File>, RefreshFault> {
    let Some(version) = work.listed(role) else { return Ok(None) };
    let name = work.versioned(version, &encoded(role));
    let file = work.read(&name, limits::TUF_TARGETS_BYTES).await?;
    let wrong = |error| RefreshFault::of(&name, error);
    work.set.update_delegated_targets(&file.bytes, role, delegator, work.now).map_err(wrong)?;
    let metadata = Metadata::<Targets>::from_slice(&file.bytes).map_err(wrong)?;
    let by = work.set.targets_role(delegator).and_then(|targets| targets.delegations.as_ref());
    let delegation =
        |delegations: &Delegations| delegations.roles.iter().find(|one| one.name == role).cloned();
    match by.and_then(|delegations| Some((delegations, delegation(delegations)?))) {
        Some((delegations, one)) => keys::enough(&metadata, &delegations.keys, &one.role_keys(), role)?,
        None => return Err(RefreshFault::threshold(role)),
    }
    Ok(Some(file))
}

/// Reads the target and compares it with its listed length and hashes.
async fn read<R: Repository>(
    work: &Work<'_, R>,
    wanted: &TargetName,
    listed: &TargetFile,
) -> Result<File, RefreshFault> {
    if listed.length > limits::TRUSTED_ROOT_BYTES {
        return Err(RefreshFault::TooLarge { file: wanted.to_string() });
    }
    let name = if work.set.root().consistent_snapshot {
        let (_, hash) = known(&listed.hashes).next().ok_or_else(|| unhashed(wanted))?;
        // The hash becomes part of a file's name, so it must be one (A346).
        hex::decode(hash).map_err(|_| unhashed(wanted))?;
        wanted.under(hash)
    } else {
        wanted.to_string()
    };
    let file = match repository::target(work.order.repository, &name, listed.length).await {
        // As many bytes as are listed were asked for.
        Err(RefreshFault::TooLarge { file }) => {
            return Err(RefreshFault::mismatch(&file, FetchFault::TooLarge.to_string()));
        }
        other => other?.ok_or_else(|| RefreshFault::missing(&name))?,
    };
    if file.bytes.len() as u64 != listed.length {
        return Err(RefreshFault::mismatch(&name, "its length differs"));
    }
    let mut hashes = known(&listed.hashes).peekable();
    if hashes.peek().is_none() {
        return Err(unhashed(wanted));
    }
    for (algorithm, hash) in hashes {
        let found = hex::encode(digest::digest(algorithm, &file.bytes));
        if !found.eq_ignore_ascii_case(hash) {
            return Err(RefreshFault::mismatch(&name, "its hash differs"));
        }
    }
    Ok(file)
}

fn unhashed(wanted: &TargetName) -> RefreshFault {
    RefreshFault::mismatch(wanted.as_str(), "no hash of a known kind is listed")
}

/// The hashes of a kind that can be computed here.
fn known(hashes: &BTreeMap<String, String>) -> impl Iterator<Item = (&'static digest::Algorithm, &String)> {
    let of = |name: &str, algorithm| hashes.get(name).map(|hash| (algorithm, hash));
    [of("sha256", &digest::SHA256), of("sha512", &digest::SHA512)].into_iter().flatten()
}
