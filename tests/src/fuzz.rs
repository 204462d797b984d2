//! Everything that reads bytes from outside, fed with what almost is one of them: what the command `fuzz` does.
//!
//! A target is a function of bytes that says what must not be. A panic, a case that takes too long and one that takes too
//! much memory are findings of every target. Cases that once were a finding are kept in `tests/fixtures/fuzz` and run in
//! the suites.

mod answering;
mod asked;
mod conditions;
mod documents;
mod files;
mod keyed;
mod keyless;
mod memory;
mod mutate;
mod naming;
mod notation;
mod passing;
mod shown;
mod targets;
mod tokens;
mod unique;
mod words;

use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use targets::TARGETS;

use memory::Memory;

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

/// The longest that one case may take of the processor, without optimisation.
const CASE_MAX: Duration = Duration::from_secs(2);
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

/// What this thread has had of the processor: a machine that is busy with other things takes none of it. In nanoseconds,
/// the first field of `schedstat` (the kernel's `sched-stats.rst`); where there is none, a case has no limit.
fn processor_time() -> Duration {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(stat.split(' ').next().and_then(|time| time.parse().ok()).unwrap_or_default())
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
        let before = processor_time();
        let ended = catch_unwind(AssertUnwindSafe(|| (self.check)(input)));
        let took = processor_time().saturating_sub(before);
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

    /// One input, alone in the process: its memory is looked at too.
    ///
    /// # Errors
    /// The finding.
    pub fn measured(&self, input: &[u8]) -> Result<(), Finding> {
        let before = Memory::before();
        self.one(input)?;
        before.after().map_err(|what| Finding { input: input.to_vec(), what })
    }

    /// Feeds it; tells how many inputs there were.
    ///
    /// # Errors
    /// The first finding.
    pub fn feed(&self, seed: u64, budget: Budget) -> Result<u64, Finding> {
        let mut random = Random::new(seed);
        let mut pool = (self.seeds)();
        // What is made once is made here, and belongs to no case.
        pool.iter().try_for_each(|input| self.one(input))?;
        let (begun, mut fed) = (Instant::now(), 0);
        loop {
            match budget {
                Budget::Inputs(most) if fed >= most => return Ok(fed),
                Budget::Time(most) if begun.elapsed() >= most => return Ok(fed),
                Budget::Inputs(_) | Budget::Time(_) => {}
            }
            let input = mutate::input(&pool, self.words, &mut random);
            self.measured(&input)?;
            if pool.len() < POOL_MAX && pool.iter().all(|known| known.len() != input.len()) {
                pool.push(input);
            }
            fed += 1;
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
