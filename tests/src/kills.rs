//! A gate that is killed at any moment, again and again, on one state folder: what the command `kills` does.

mod checks;
mod load;
mod world;

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use world::World;

use crate::random::Random;

/// How long a start may take (A502).
const START_MAX: Duration = Duration::from_secs(5);
/// A kill comes within so many milliseconds of the start.
const KILL_WITHIN: u64 = 1_500;
/// How many clients pull at once.
const CLIENTS: u64 = 6;

/// What a run is asked to do.
#[derive(Debug, Clone)]
pub struct Run {
    /// How often the gate is killed.
    pub rounds: u32,
    /// Where the moments and the pulls come from.
    pub seed: u64,
    /// The gate's program.
    pub gate: PathBuf,
}

/// What a run saw.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen {
    /// Answers under load.
    pub answers: u64,
    /// Those that came whole and were compared byte by byte.
    pub whole: u64,
    /// Kills before the gate was ready.
    pub before_ready: u32,
    /// The longest start.
    pub slowest: Duration,
}

impl Run {
    /// Kills and starts the gate `rounds` times; tells of each round.
    ///
    /// # Errors
    /// The round in which something was wrong, and what. The folder is kept then.
    pub fn run(&self, mut tell: impl FnMut(u32, &Seen)) -> io::Result<Seen> {
        let mut world = World::new(&self.gate)?;
        let mut random = Random::new(self.seed);
        let mut seen = Seen::default();
        for round in 1..=self.rounds {
            if let Err(error) = one_round(&mut world, &mut random, &mut seen) {
                let folder = world.keep();
                return Err(io::Error::other(format!(
                    "seed {}, round {round}: {error}\nkept: {}",
                    self.seed,
                    folder.display()
                )));
            }
            tell(round, &seen);
        }
        Ok(seen)
    }
}

fn one_round(world: &mut World, random: &mut Random, seen: &mut Seen) -> io::Result<()> {
    let moment = Duration::from_millis(random.below(KILL_WITHIN));
    let mut gate = world.start()?;
    // One kill in five does not wait for the start to end.
    if random.below(5) == 0 {
        std::thread::sleep(moment / 10);
        seen.before_ready += 1;
    } else {
        gate.wait_ready()?;
        let clients: Vec<u64> = (0..CLIENTS).map(|_| random.next()).collect();
        let counts = load::until(moment, world, gate.address(), &clients)?;
        seen.answers += counts.answers;
        seen.whole += counts.whole;
        if random.below(4) == 0 {
            gate.signal("HUP")?;
        }
    }
    gate.kill()?;
    checks::at_rest(world)?;
    let begun = Instant::now();
    let mut gate = world.start()?;
    gate.wait_ready()?;
    let took = begun.elapsed();
    seen.slowest = seen.slowest.max(took);
    if took > START_MAX {
        return Err(io::Error::other(format!("the start took {took:?}")));
    }
    checks::after_start(world)?;
    checks::by_pulls(world, gate.address())?;
    gate.kill()?;
    checks::at_rest(world)
}
