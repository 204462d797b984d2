//! A gate under load for long: nothing wrong may be answered, and memory, descriptors and files must stay as they are.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use pullgate_tests::clients::content::sha256;
use pullgate_tests::made::{Made, fresh};
use pullgate_tests::random::Random;
use pullgate_tests::signing::Signer;
use pullgate_tests::upstream::{Fault, Upstream, When};
use tempfile::TempDir;
use tokio::task::block_in_place;

use crate::client::{Connection, ask_all};
use crate::peers::{self, REPOSITORY};
use crate::rows::manifest_of;
use crate::{Failed, process};

/// How long, and how hard.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Soak {
    pub(crate) minutes: u64,
    /// Requests in a second, of all clients together.
    pub(crate) rate: u64,
}

const CLIENTS: u64 = 16;
const IMAGES: usize = 400;
const TAGS: u64 = 100;
const LAYER_BYTES: usize = 256 * 1024;
/// A third of what the images have, so that blobs come and go.
const BLOBS_MAX: &str = "32MiB";
/// How much more the last third of the time may have than the third before it.
const FLAT: f64 = 1.10;

/// What the clients know, and what they found.
struct World {
    address: SocketAddr,
    /// The upstream itself, which a control client asks without the gate.
    control: SocketAddr,
    /// Whether the upstream does wrong at the moment.
    trouble: AtomicBool,
    signed: Vec<Made>,
    unsigned: Vec<Made>,
    asked: AtomicU64,
    undecided: AtomicU64,
    /// Those among them that the control client had.
    lost: AtomicU64,
    wrong: Mutex<BTreeMap<String, u64>>,
}

/// One look at the process.
struct Sample {
    memory: f64,
    descriptors: f64,
    files: f64,
}

/// Runs it and prints a line for each minute.
pub(crate) async fn run(soak: Soak) -> Result<(), Failed> {
    let (upstream, signer, state) =
        (Upstream::start().await?, Signer::new(), TempDir::with_prefix("pullgate-soak-")?);
    let settings = peers::settings_with(
        &upstream,
        &signer,
        &format!("blobs_max = \"{BLOBS_MAX}\"\ntag_ttl = \"5s\"\npermit_ttl = \"30s\""),
    );
    let gate = block_in_place(|| peers::gate_with(settings.state(state.path()), None))?;
    let world = Arc::new(world(&upstream, &signer, gate.plain));
    // Blobs are asked for without their manifest later on: a grant follows from having pulled that once.
    let first: Vec<_> =
        world.signed.iter().map(|image| format!("GET {}", manifest_of(&image.digest()))).collect();
    ask_all(gate.plain, &first).await?;
    let until = Instant::now() + Duration::from_secs(soak.minutes * 60);
    let pause = Duration::from_micros(1_000_000 * CLIENTS / soak.rate.max(1));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|seed| tokio::spawn(client(Arc::clone(&world), Random::new(seed), until, pause)))
        .collect();
    let mut samples = Vec::new();
    println!("minute  requests  undecided  MiB  descriptors  files");
    for minute in 1..=soak.minutes {
        trouble(&upstream, &world, minute).await;
        let sample = look(gate.pid, state.path());
        println!(
            "{minute:>6}  {:>8}  {:>9}  {:>4.1}  {:>11}  {:>5}",
            world.asked.load(Ordering::Relaxed),
            world.undecided.load(Ordering::Relaxed),
            sample.memory,
            sample.descriptors,
            sample.files
        );
        samples.push(sample);
    }
    for client in clients {
        client.await?;
    }
    let wrong = world.wrong.lock();
    let lost = world.lost.load(Ordering::Relaxed);
    println!("pulls lost that a control client without the gate did not lose: {lost}");
    verdict(&wrong, &samples)?;
    if lost > 0 { Err(format!("{lost} pulls were lost").into()) } else { Ok(()) }
}

fn world(upstream: &Upstream, signer: &Signer, address: SocketAddr) -> World {
    let (mut signed, mut unsigned, mut random) = (Vec::new(), Vec::new(), Random::new(0));
    for n in 0..IMAGES {
        let image = Made::image_of_bytes(LAYER_BYTES);
        image.tag(upstream, REPOSITORY, &format!("image{n}"));
        if n % 4 == 0 {
            unsigned.push(image);
        } else {
            signer.sign_at(upstream, REPOSITORY, &image.digest());
            signed.push(image);
        }
    }
    for n in 0..TAGS {
        if let Some(image) = random.one(&signed) {
            upstream.tag(REPOSITORY, &format!("moving{n}"), &image.digest());
        }
    }
    World {
        address,
        control: upstream.address(),
        trouble: AtomicBool::new(false),
        signed,
        unsigned,
        asked: AtomicU64::new(0),
        undecided: AtomicU64::new(0),
        lost: AtomicU64::new(0),
        wrong: Mutex::default(),
    }
}

/// A minute: tags move, and for some of it the upstream is slow, cut off or down.
async fn trouble(upstream: &Upstream, world: &World, minute: u64) {
    let mut random = Random::new(minute);
    for second in 0..60 {
        let faults = [
            Fault::Delay(Duration::from_millis(50)),
            Fault::Status(503),
            Fault::Cut(1_000),
            Fault::Flip(100),
        ];
        match second {
            20 => {
                let fault = random.one(&faults).cloned().unwrap_or(Fault::Status(500));
                // Slowness alone loses nobody a pull.
                world.trouble.store(!matches!(fault, Fault::Delay(_)), Ordering::SeqCst);
                upstream.fail(When::on(""), fault);
            }
            30 => {
                upstream.heal();
                world.trouble.store(false, Ordering::SeqCst);
            }
            _ => {}
        }
        if let Some(image) = random.one(&world.signed) {
            upstream.tag(REPOSITORY, &format!("moving{}", random.below(TAGS)), &image.digest());
        }
        upstream.forget();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn client(world: Arc<World>, mut random: Random, until: Instant, pause: Duration) {
    let mut connection = None;
    while Instant::now() < until {
        let begun = Instant::now();
        let (line, expected) = question(&world, &mut random);
        let well = !world.trouble.load(Ordering::SeqCst);
        let answered = ask(&mut connection, world.address, &line).await;
        world.asked.fetch_add(1, Ordering::Relaxed);
        match answered {
            // A body that breaks off is an upstream's fault that was passed on, and no wrong byte.
            Err(_) | Ok((503, _)) => {
                connection = None;
                world.undecided.fetch_add(1, Ordering::Relaxed);
                if well && had_by_control(&world, &line, &expected).await {
                    println!("lost: {}", kind(&line));
                    world.lost.fetch_add(1, Ordering::Relaxed);
                }
            }
            Ok((status, body)) if expected.holds(status, &body) => {}
            Ok((status, _)) => world.complain(format!("{status} to {}", kind(&line))),
        }
        tokio::time::sleep(pause.saturating_sub(begun.elapsed())).await;
    }
}

/// Whether a client without the gate has it now, and the upstream was well all the time.
async fn had_by_control(world: &World, line: &str, expected: &Expected) -> bool {
    let wanted = matches!(expected, Expected::Content(_) | Expected::Signed);
    let well = || !world.trouble.load(Ordering::SeqCst);
    if !wanted || !well() {
        return false;
    }
    let had = ask(&mut None, world.control, line).await;
    had.is_ok_and(|(status, body)| expected.holds(status, &body)) && well()
}

async fn ask(
    connection: &mut Option<Connection>,
    address: SocketAddr,
    line: &str,
) -> Result<(u16, Vec<u8>), Failed> {
    let mut open = match connection.take() {
        Some(open) => open,
        None => Connection::open(address).await?,
    };
    let (status, body, last) = open.whole(line).await?;
    if !last {
        *connection = Some(open);
    }
    Ok((status, body))
}

/// What an answer has to be.
enum Expected {
    /// These bytes, or a part of them.
    Content(String),
    /// Some signed image.
    Signed,
    /// 403: never content.
    Denied,
    /// 404.
    Missing,
}

impl Expected {
    fn holds(&self, status: u16, body: &[u8]) -> bool {
        match self {
            Self::Content(digest) => status == 200 && sha256(body) == *digest,
            Self::Signed => status == 200,
            Self::Denied => status == 403,
            Self::Missing => status == 404,
        }
    }
}

fn question(world: &World, random: &mut Random) -> (String, Expected) {
    let manifest = |reference: &str| format!("GET {}", manifest_of(reference));
    let (signed, unsigned) = (random.one(&world.signed), random.one(&world.unsigned));
    match (random.below(10), signed, unsigned) {
        (0..=2, Some(image), _) => (manifest(&image.digest()), Expected::Content(image.digest())),
        (3, _, _) => (manifest(&format!("moving{}", random.below(TAGS))), Expected::Signed),
        (4, _, Some(image)) => (manifest(&image.digest()), Expected::Denied),
        (5, _, _) => (manifest(&fresh()), Expected::Missing),
        (_, Some(image), _) => {
            let digest = image.layer();
            (format!("GET /v2/{REPOSITORY}/blobs/{digest}"), Expected::Content(digest))
        }
        (_, None, _) => (manifest("none"), Expected::Missing),
    }
}

fn kind(line: &str) -> &str {
    if line.contains("/blobs/") { "a blob" } else { line.rsplit('/').next().unwrap_or(line) }
}

impl World {
    fn complain(&self, what: String) {
        *self.wrong.lock().entry(what).or_default() += 1;
    }
}

fn look(pid: u32, state: &Path) -> Sample {
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().count();
    Sample {
        memory: process::memory(pid) as f64 / 1024.0,
        descriptors: descriptors as f64,
        files: files(state) as f64,
    }
}

fn files(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { 1 }).sum()
}

/// Says what it was; an error where anything was wrong or grew.
fn verdict(wrong: &BTreeMap<String, u64>, samples: &[Sample]) -> Result<(), Failed> {
    for (what, count) in wrong {
        println!("wrong: {count} times {what}");
    }
    let third = samples.len() / 3;
    let mut grew = Vec::new();
    type Figure = (&'static str, fn(&Sample) -> f64);
    let figures: [Figure; 3] =
        [("memory", |one| one.memory), ("descriptors", |one| one.descriptors), ("files", |one| one.files)];
    for (name, figure) in figures {
        let median =
            |samples: &[Sample]| crate::table::spread(&samples.iter().map(figure).collect::<Vec<_>>()).0;
        let (before, after) = (
            median(samples.get(third..third * 2).unwrap_or_default()),
            median(samples.get(third * 2..).unwrap_or_default()),
        );
        println!("{name}: {before:.1} in the middle third, {after:.1} in the last");
        if after > before * FLAT {
            grew.push(name);
        }
    }
    match (wrong.is_empty(), grew.as_slice()) {
        (true, []) => {
            println!("nothing was wrong, nothing grew");
            Ok(())
        }
        (_, grew) => Err(format!("{} kinds of wrong answers; grew: {grew:?}", wrong.len()).into()),
    }
}
