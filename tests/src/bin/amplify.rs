//! Prints what one request can cost, by whose it is.
#![expect(clippy::print_stdout, reason = "a program that people run")]

use std::process::ExitCode;

use clap::Parser;
use pullgate_tests::amplify::{TABLE, bounds};

/// Measure what one request costs the gate and its upstream, at the limits, for each party: requests, bytes received,
/// bytes on the disk, what verification takes of its budgets, processor time and memory of gate and upstream together.
///
/// A suite holds all but the last two against the table of SECURITY.md. Those depend on the machine and the build, and
/// are reported where they are four times what the table says. The second table is what bounds each request, verdict,
/// upstream, client address and the process. Exit status: 0 when every row is within the table, 1 when not.
#[derive(Parser)]
#[command(name = "amplify")]
struct Arguments {}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments {} = Arguments::parse();
    println!(
        "{:32} {:84} {:>6} {:>8} {:>8} {:>9} {:>10} {:>10} {:>10} {:>7} {:>9}",
        "party",
        "one request",
        "status",
        "requests",
        "KiB",
        "disk KiB",
        "hashed KiB",
        "parsed KiB",
        "signatures",
        "CPU ms",
        "mem KiB"
    );
    let mut end = ExitCode::SUCCESS;
    for row in TABLE {
        let cost = row.measure().await;
        let kib = |bytes: u64| bytes.div_ceil(1024);
        let over = [row.over(&cost), row.far_over(&cost)].concat();
        println!(
            "{:32} {:84} {:>6} {:>8} {:>8} {:>9} {:>10} {:>10} {:>10} {:>7} {:>9}{}",
            row.party,
            row.what,
            cost.status,
            cost.requests,
            kib(cost.bytes),
            kib(cost.disk),
            kib(cost.work.hashed),
            kib(cost.work.parsed),
            cost.work.checks,
            cost.processor.as_millis(),
            kib(cost.memory),
            if over.is_empty() { String::new() } else { format!("  over the table: {}", over.join(", ")) }
        );
        if !row.over(&cost).is_empty() {
            end = ExitCode::from(1);
        }
    }
    println!("\n{}", bounds());
    end
}
