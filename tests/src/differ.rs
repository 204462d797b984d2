//! The gate's verifier and the reference (sigstore-go), side by side: recordings and bundles of our own making, changed
//! part by part, and judged by both. Where they differ the case must be one of the deliberate differences. The command
//! `differ` does it.

mod bases;
mod change;
mod differences;
mod judge;
#[expect(clippy::indexing_slicing, reason = "fields of JSON that is made here")]
mod minted;
#[expect(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a helper of tests, as the minted bundles use it"
)]
#[path = "../../policy/verify/tests/minted/pki.rs"]
mod pki;
mod reference;
#[expect(dead_code, clippy::unwrap_used, reason = "a helper of tests, as the minted bundles use it")]
#[path = "../../policy/verify/tests/minted/stamp.rs"]
mod stamp;

use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::random::Random;
pub use differences::{DIFFERENCES, Difference, Side};
use judge::Ours;
use reference::Reference;

/// One question: a bundle about an artifact under a trusted root.
#[derive(Debug, Clone)]
pub struct Case {
    /// Where it comes from and what was changed.
    pub what: Vec<String>,
    /// The bundle.
    pub bundle: Value,
    /// The trusted root.
    pub root: Value,
    /// What the bundle is to be about.
    pub artifact: Vec<u8>,
    /// Whether a log entry is demanded.
    pub log: bool,
    /// Whether a signed certificate timestamp is demanded.
    pub sct: bool,
}

/// What both said of many cases.
#[derive(Debug, Default)]
pub struct Told {
    /// Cases that both accept.
    pub accepted: usize,
    /// Cases that both refuse.
    pub refused: usize,
    /// How often each deliberate difference was met, in the order of [`DIFFERENCES`].
    pub deliberate: Vec<usize>,
    /// Where the cases that differ otherwise were written.
    pub unlisted: Vec<PathBuf>,
}

/// Judges so many cases.
///
/// # Errors
/// When the reference cannot be asked, or a case cannot be written.
pub fn run(tool: &Path, cases: usize, seed: u64, folder: &Path) -> io::Result<Told> {
    let mut reference = Reference::start(tool)?;
    let bases = bases::recorded()?;
    let mut told = Told { deliberate: vec![0; DIFFERENCES.len()], ..Told::default() };
    for number in 0..cases {
        // Each case by itself, so that one can be made again.
        let mut random = Random::new(seed.wrapping_mul(0x1_0000_0001).wrapping_add(number as u64));
        let case = made(&bases, &mut random);
        let (ours, theirs) = (judge::ours(&case), reference.ask(&case)?);
        match (&ours, &theirs) {
            (Ours::Accepts, Ok(())) => told.accepted += 1,
            (Ours::Refuses { .. }, Err(_)) => told.refused += 1,
            (_, _) => {
                let found = DIFFERENCES.iter().position(|one| one.is(&case, &ours, &theirs));
                match found.and_then(|found| told.deliberate.get_mut(found)) {
                    Some(count) => *count += 1,
                    None => told.unlisted.push(write(folder, seed, number, &case, &ours, &theirs)?),
                }
            }
        }
    }
    Ok(told)
}

/// Every other case is a recording; each is changed once or a few times, or not at all.
fn made(bases: &[Case], random: &mut Random) -> Case {
    let mut case = match random.below(2) {
        0 => random.one(bases).cloned().unwrap_or_else(|| minted::case(random)),
        _ => minted::case(random),
    };
    for _ in 0..[0, 1, 1, 1, 2, 3].get(random.below(6) as usize).copied().unwrap_or(1) {
        change::once(&mut case, random);
    }
    case
}

fn write(
    folder: &Path,
    seed: u64,
    number: usize,
    case: &Case,
    ours: &Ours,
    theirs: &Result<(), String>,
) -> io::Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    let path = folder.join(format!("{seed}-{number}.json"));
    let text = json!({
        "what": case.what, "ours": format!("{ours:?}"), "reference": theirs.as_ref().err(),
        "log": case.log, "sct": case.sct, "artifact": String::from_utf8_lossy(&case.artifact),
        "bundle": case.bundle, "root": case.root,
    });
    std::fs::write(&path, serde_json::to_vec_pretty(&text)?)?;
    Ok(path)
}
