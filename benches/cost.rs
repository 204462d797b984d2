//! What one verdict costs on the processor, beside the bare signature checks that it contains: one table, everything in the
//! same run, each round all rows in turn, so that a noisy machine is noisy for all of them.
//!
//! `cargo bench -p pullgate-benches --bench cost [-- ROUNDS]`

#![expect(clippy::print_stdout, reason = "it prints a table")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use pullgate_benches::bare::Bare;
use pullgate_benches::evidence;
use pullgate_benches::verdict;

/// Rounds, where the command line names no number.
const ROUNDS: usize = 15;
/// How long a row runs in one round, at least.
const SPAN: Duration = Duration::from_millis(20);

type Failed = Box<dyn std::error::Error>;

/// One line of the table.
struct Row {
    name: String,
    /// The signature checks that cannot be avoided, where the row is a piece of evidence.
    contains: Vec<(Bare, usize)>,
    work: Box<dyn FnMut()>,
    seconds: Vec<f64>,
}

fn main() -> Result<(), Failed> {
    // Cargo itself adds an argument.
    let rounds = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(ROUNDS).max(3);
    let mut rows = rows()?;
    for row in &mut rows {
        // Once for what is made at the first use only.
        (row.work)();
    }
    for _ in 0..rounds {
        for row in &mut rows {
            let seconds = time(&mut row.work);
            row.seconds.push(seconds);
        }
    }
    print(&rows, rounds);
    Ok(())
}

fn rows() -> Result<Vec<Row>, Failed> {
    let mut rows = Vec::new();
    for bare in Bare::ALL {
        let check = bare.check()?;
        rows.push(Row::new(format!("bare {bare}"), vec![(bare, 1)], move || assert!(check())));
    }
    for (name, contains, question) in evidence::all()? {
        let rejected = question.ask().rejected;
        assert!(rejected.is_empty() && question.counting() == question.pieces(), "{name}: {rejected:?}");
        rows.push(Row::new(name, contains, move || {
            black_box(question.ask());
        }));
    }
    for (name, work) in verdict::all()? {
        rows.push(Row::new(name, Vec::new(), work));
    }
    Ok(rows)
}

impl Row {
    fn new(name: impl Into<String>, contains: Vec<(Bare, usize)>, work: impl FnMut() + 'static) -> Self {
        Self { name: name.into(), contains, work: Box::new(work), seconds: Vec::new() }
    }
}

/// Seconds for one run, over as many as fill the span.
fn time(work: &mut dyn FnMut()) -> f64 {
    let (begin, mut runs) = (Instant::now(), 0_u32);
    while begin.elapsed() < SPAN {
        work();
        runs += 1;
    }
    begin.elapsed().as_secs_f64() / f64::from(runs.max(1))
}

fn print(rows: &[Row], rounds: usize) {
    println!("{rounds} rounds; of each row the median, in brackets the least and the most");
    println!("{:<44} {:>24} {:>22} {:>12}", "", "µs", "in P-256 checks", "in its own");
    let p256 = seconds_of(rows, Bare::P256);
    for row in rows {
        let ratios = divided(&row.seconds, &p256);
        let own = own_checks(rows, row).map_or_else(String::new, |own| {
            let (median, ..) = spread(&divided(&row.seconds, &own));
            format!("{median:.1}")
        });
        let (median, least, most) = spread(&row.seconds);
        let micro = format!("{:.1} ({:.1}, {:.1})", median * 1e6, least * 1e6, most * 1e6);
        let (median, least, most) = spread(&ratios);
        let ratio = format!("{median:.2} ({least:.2}, {most:.2})");
        println!("{:<44} {micro:>24} {ratio:>22} {own:>12}", row.name);
    }
}

/// What the checks that a row contains took, round by round.
fn own_checks(rows: &[Row], row: &Row) -> Option<Vec<f64>> {
    let mut sum = vec![0.0; row.seconds.len()];
    for (bare, count) in &row.contains {
        for (all, one) in sum.iter_mut().zip(seconds_of(rows, *bare)) {
            *all += one * *count as f64;
        }
    }
    (!row.contains.is_empty()).then_some(sum)
}

fn seconds_of(rows: &[Row], bare: Bare) -> Vec<f64> {
    let name = format!("bare {bare}");
    rows.iter().find(|row| row.name == name).map(|row| row.seconds.clone()).unwrap_or_default()
}

fn divided(above: &[f64], below: &[f64]) -> Vec<f64> {
    above.iter().zip(below).map(|(above, below)| above / below).collect()
}

/// Median, least and most.
fn spread(values: &[f64]) -> (f64, f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    (at(sorted.len() / 2), at(0), at(sorted.len().saturating_sub(1)))
}
