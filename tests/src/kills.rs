//! A gate that is killed at any moment, again and again, on one state folder: what the command `kills` does.

mod checks;
mod load;
mod pull_log;
mod rest;
mod world;

use std::io;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use load::Counts;
use rest::Rest;
use world::{Gate, State, World};

use crate::random::Random;

/// What a start may take of the processor (A502).
const START_MAX: Duration = Duration::from_secs(5);
/// How long it may take in all, on a machine that does other things.
const START_WAIT: Duration = Duration::from_secs(90);
/// A kill comes within so many milliseconds after the gate is ready.
const KILL_WITHIN: u64 = 1_500;
/// One that does not wait for the gate to be ready, within so many after its start.
const KILL_EARLY_WITHIN: u64 = 60;
/// A kill comes within so many milliseconds after the request to load everything anew.
const KILL_IN_RELOAD_WITHIN: u64 = 40;
/// So many kills must have met something.
const ROUNDS_TO_TELL: u32 = 10;
/// How many clients pull at once.
const CLIENTS: u64 = 6;

/// What a run is asked to do.
#[derive(Debug, Clone)]
pub struct Run {
    /// How often the gate is killed.
    pub rounds: u32,
    /// Where the moments and the pulls come from: round `n` of seed `s` does as the first one of seed `s + n - 1`.
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
    /// Kills that cut off somebody's answer.
    pub in_flight: u32,
    /// Kills before the gate was ready.
    pub before_ready: u32,
    /// Kills right after everything was to be loaded anew.
    pub in_reload: u32,
    /// Permits that were found stored, at most at once.
    pub permits: usize,
    /// Records whose end was cut off.
    pub torn: u32,
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
        let mut seen = Seen::default();
        for round in 1..=self.rounds {
            let seed = self.seed.wrapping_add(u64::from(round) - 1);
            if let Err(error) = one_round(&mut world, &mut Random::new(seed), &mut seen) {
                let folder = world.keep();
                return Err(io::Error::other(format!(
                    "round {round}, its seed {seed}: {error}\nkept: {}",
                    folder.display()
                )));
            }
            tell(round, &seen);
        }
        if self.rounds >= ROUNDS_TO_TELL && (seen.permits == 0 || seen.in_flight == 0) {
            return Err(io::Error::other(
                "no permit was stored or no answer cut off: nothing was put to the test",
            ));
        }
        Ok(seen)
    }
}

/// When the gate is killed.
enum Moment {
    /// So long after its start.
    Early(Duration),
    /// So long after it is ready.
    Loaded(Duration),
    /// So long after it is ready it is to load everything anew, and so long after that it dies.
    Reload(Duration, Duration),
}

impl Moment {
    fn choose(random: &mut Random) -> Self {
        let mut within = |most| Duration::from_millis(random.below(most));
        let (early, loaded, reload) =
            (within(KILL_EARLY_WITHIN), within(KILL_WITHIN), within(KILL_IN_RELOAD_WITHIN));
        match random.below(10) {
            0 | 1 => Self::Early(early),
            2..=4 => Self::Reload(loaded, reload),
            _ => Self::Loaded(loaded),
        }
    }
}

fn one_round(world: &mut World, random: &mut Random, seen: &mut Seen) -> io::Result<()> {
    let moment = Moment::choose(random);
    // What a first start makes is to be whole too, so half of the early kills hit one.
    let first = matches!(moment, Moment::Early(_)) && random.below(2) == 0;
    world.use_state(if first { State::New } else { State::Stays })?;
    world.renew(random);
    killed(world, &moment, random, seen)?;
    let rest = Rest::look(world)?;
    seen.permits = seen.permits.max(rest.permits);
    // A kill in the middle of a write tears the log by itself, seldom; else it is torn here at times.
    let cut = world.pull_log.exists() && !world.pull_log.is_whole()?;
    let torn = cut || (random.below(4) == 0 && world.pull_log.tear(random.next())?);
    seen.torn += u32::from(torn);

    let begun = Instant::now();
    let mut gate = world.start()?;
    gate.wait_ready()?;
    let (waited, took) = (begun.elapsed(), gate.processor_time()?);
    seen.slowest = seen.slowest.max(waited);
    if took > START_MAX || waited > START_WAIT {
        return Err(io::Error::other(format!(
            "the start took {waited:?}, {took:?} of them of the processor"
        )));
    }
    checks::after_start(world, &gate, torn)?;
    checks::by_pulls(world, gate.address())?;
    gate.kill()?;
    Rest::look(world).map(drop)
}

/// Starts a gate and kills it while clients pull.
fn killed(world: &World, moment: &Moment, random: &mut Random, seen: &mut Seen) -> io::Result<()> {
    let mut gate = world.start()?;
    if !matches!(moment, Moment::Early(_)) {
        gate.wait_ready()?;
    }
    let address = gate.address().to_owned();
    let clients: Vec<u64> = (0..CLIENTS).map(|_| random.next()).collect();
    seen.in_reload += u32::from(matches!(moment, Moment::Reload(..)));
    let early = matches!(moment, Moment::Early(_));
    let counts = load::meanwhile(world, &address, &clients, || die(world, gate, moment))?;
    let Counts { answers, whole, cut } = counts;
    seen.answers += answers;
    seen.whole += whole;
    seen.in_flight += u32::from(cut > 0);
    seen.before_ready += u32::from(early && answers == 0);
    Ok(())
}

fn die(world: &World, gate: Gate, moment: &Moment) -> io::Result<()> {
    match moment {
        Moment::Early(after) | Moment::Loaded(after) => sleep(*after),
        Moment::Reload(after, then) => {
            sleep(*after);
            world.change_policy()?;
            gate.signal("HUP")?;
            sleep(*then);
        }
    }
    gate.kill()
}
