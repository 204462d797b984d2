//! Prints what one request can cost, by whose it is.
#![expect(clippy::print_stdout, reason = "a program that people run")]

use std::process::ExitCode;

use clap::Parser;
use pullgate_tests::amplify::TABLE;

/// Measure what one request costs the gate and its upstream, at the limits, for each party: requests upstream, bytes
/// from there, bytes on the disk, processor time and memory of gate and upstream together.
///
/// The first three are held against the table of SECURITY.md by a suite; the others depend on the machine and the
/// build. Exit status: 0 when every row is within the table, 1 when not.
#[derive(Parser)]
#[command(name = "amplify")]
struct Arguments {}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments {} = Arguments::parse();
    println!(
        "{:32} {:84} {:>6} {:>8} {:>10} {:>9} {:>8} {:>9}",
        "party", "one request", "status", "requests", "KiB", "disk KiB", "CPU ms", "mem KiB"
    );
    let mut end = ExitCode::SUCCESS;
    for row in TABLE {
        let cost = row.measure().await;
        let within = cost.requests <= row.requests && cost.bytes <= row.bytes && cost.disk <= row.disk;
        println!(
            "{:32} {:84} {:>6} {:>8} {:>10} {:>9} {:>8} {:>9}{}",
            row.party,
            row.what,
            cost.status,
            cost.requests,
            cost.bytes.div_ceil(1024),
            cost.disk.div_ceil(1024),
            cost.processor.as_millis(),
            cost.memory.div_ceil(1024),
            if within { "" } else { "  over the table" }
        );
        if !within {
            end = ExitCode::from(1);
        }
    }
    end
}
