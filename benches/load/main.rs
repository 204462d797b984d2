//! The gate beside its peers: one table, everything in the same run, each round all of them in turn. `benches/run`
//! starts it.
#![expect(clippy::print_stdout, reason = "it prints a table")]

mod bare;
mod client;
mod peers;
mod process;
mod rows;
mod soak;
mod table;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Measure the gate beside nginx, docker-registry and a bare hyper server.
///
/// Every figure is the median over the rounds, with the least and the most in brackets; "to nginx" is the median of the
/// ratios within each round. The processor time is the server's own, from /proc; the client runs on the same machine.
#[derive(Parser)]
#[command(
    name = "load",
    after_help = "Examples:\n  benches/run\n  benches/run manifest blob --rounds 9\n  benches/run --list\n  benches/run --soak 60"
)]
struct Arguments {
    /// Rows to measure; all when none is named.
    rows: Vec<String>,
    /// Say which rows there are.
    #[arg(long)]
    list: bool,
    /// Rounds.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How long each server is asked in a round, milliseconds.
    #[arg(long, default_value_t = 2_000)]
    span: u64,
    /// The most distinct images of the row `images`.
    #[arg(long, default_value_t = 10_000)]
    images: usize,
    /// In place of the rows: load for so many minutes, in which nothing may go wrong or grow.
    #[arg(long, value_name = "MINUTES")]
    soak: Option<u64>,
    /// Requests in a second of a soak.
    #[arg(long, default_value_t = 500)]
    rate: u64,
    /// Be the bare server: its address and its file.
    #[arg(long, num_args = 2, hide = true)]
    bare: Option<Vec<String>>,
}

fn main() -> Result<(), Failed> {
    let arguments = Arguments::parse();
    if arguments.list {
        for (name, what) in rows::ROWS {
            println!("{name:<10} {what}");
        }
        return Ok(());
    }
    let runtime = tokio::runtime::Runtime::new()?;
    if let Some([address, file]) = arguments.bare.as_deref() {
        let address: SocketAddr = address.parse()?;
        return runtime.block_on(bare::serve(address, &PathBuf::from(file)));
    }
    if let Some(minutes) = arguments.soak {
        return runtime.block_on(soak::run(soak::Soak { minutes, rate: arguments.rate }));
    }
    if let Some(unknown) = arguments.rows.iter().find(|row| !rows::ROWS.iter().any(|(name, _)| name == row)) {
        return Err(format!("there is no row {unknown}; --list names them").into());
    }
    let wanted = |name: &str| arguments.rows.is_empty() || arguments.rows.iter().any(|row| row == name);
    let rounds = rows::Rounds {
        count: arguments.rounds.max(1),
        span: Duration::from_millis(arguments.span),
        images: arguments.images,
    };
    runtime.block_on(rows::measure(wanted, rounds))
}
