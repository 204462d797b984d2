//! Everything that reads bytes from outside, fed with what almost is one of them: what the command `fuzz` does.
//!
//! A target is a function of bytes that says what must not be. A panic, a case that takes too long and memory that grows
//! over a limit are findings of every target. Cases that once were a finding are kept in `tests/fixtures/fuzz` and run in
//! the suites.

mod evidence;
mod mutate;
mod targets;

use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use targets::TARGETS;

use crate::random::Random;

/// Something that reads bytes.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// Inputs to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Texts that mean something to it.
    pub words: &'static [&'static str],
    /// Says what is wrong, if something is.
    pub check: fn(&[u8]) -> Result<(), String>,
}

/// The longest that one case may take, on a busy machine and without optimisation.
const CASE_MAX: Duration = Duration::from_secs(2);
/// By how many KiB one target may let the process grow.
const GROWTH_MAX: u64 = 256 * 1024;
/// Inputs that are kept to begin with: those of a length that is new.
const POOL_MAX: usize = 400;

/// How long a target is fed.
#[derive(Debug, Clone, Copy)]
pub enum Budget {
    /// So many inputs: the same ones for the same seed.
    Inputs(u64),
    /// So long.
    Time(Duration),
}

/// What was wrong with an input.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The input.
    pub input: Vec<u8>,
    /// What was wrong.
    pub what: String,
}

impl Target {
    /// The target of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        TARGETS.iter().find(|target| target.name == name)
    }

    /// One input.
    ///
    /// # Errors
    /// The finding.
    pub fn one(&self, input: &[u8]) -> Result<(), Finding> {
        let begun = Instant::now();
        let ended = catch_unwind(AssertUnwindSafe(|| (self.check)(input)));
        let took = begun.elapsed();
        let what = match ended {
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                format!("a panic: {}", text.unwrap_or_default())
            }
            Ok(Err(what)) => what,
            Ok(Ok(())) if took > CASE_MAX => format!("it took {took:?}"),
            Ok(Ok(())) => return Ok(()),
        };
        Err(Finding { input: input.to_vec(), what })
    }

    /// Feeds it; tells how many inputs there were.
    ///
    /// # Errors
    /// The first finding.
    pub fn feed(&self, seed: u64, budget: Budget) -> Result<u64, Finding> {
        let mut random = Random::new(seed);
        let mut pool = (self.seeds)();
        let before = resident_kib();
        for input in &pool {
            self.one(input)?;
        }
        let (begun, mut fed) = (Instant::now(), 0);
        loop {
            match budget {
                Budget::Inputs(most) if fed >= most => return Ok(fed),
                Budget::Time(most) if begun.elapsed() >= most => return Ok(fed),
                Budget::Inputs(_) | Budget::Time(_) => {}
            }
            let input = mutate::input(&pool, self.words, &mut random);
            self.one(&input)?;
            if pool.len() < POOL_MAX && pool.iter().all(|known| known.len() != input.len()) {
                pool.push(input.clone());
            }
            fed += 1;
            if fed.is_multiple_of(256) && resident_kib().saturating_sub(before) > GROWTH_MAX {
                return Err(Finding { input, what: format!("memory grew by more than {GROWTH_MAX} KiB") });
            }
        }
    }

    /// Where cases that once were a finding are kept.
    #[must_use]
    pub fn kept(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/fuzz").join(self.name)
    }

    /// Writes a finding there, under the digest of its input.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep(&self, finding: &Finding) -> io::Result<PathBuf> {
        let digest = crate::clients::content::sha256(&finding.input);
        let name = digest.trim_start_matches("sha256:").get(..16).unwrap_or_default().to_owned();
        fs::create_dir_all(self.kept())?;
        let file = self.kept().join(name);
        fs::write(&file, &finding.input)?;
        Ok(file)
    }
}

/// What the process holds of memory (proc(5), `status`); nothing where that is not to be had.
fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}
