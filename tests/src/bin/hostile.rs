//! Asks a gate of its own for hostile evidence in every format, for ten minutes, and says what others notice of it.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that people run")]

use std::time::Duration;

use pullgate_tests::hostile::{Hostile, Seen, World};

/// The memory of the whole process that may be resident at the peak, as a container counts it.
const MEMORY: u64 = 512 * 1024 * 1024;
const SECONDS: u64 = 600;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let (mut seconds, mut memory) = (SECONDS, MEMORY);
    while let Some(word) = words.next() {
        match (word.as_str(), words.next()) {
            ("--seconds", Some(value)) => seconds = value.parse()?,
            ("--memory", Some(value)) => memory = value.parse()?,
            _ => {
                eprintln!("hostile [--seconds N] [--memory BYTES]");
                std::process::exit(2);
            }
        }
    }
    let world = World::start(0).await?;
    say("alone", &world.watch(Duration::from_secs(seconds.min(10)), Hostile::None).await);
    let seen = world.watch(Duration::from_secs(seconds), Hostile::Many).await;
    say("beside", &seen);
    if !seen.alive || seen.peak > memory || !seen.refused.is_empty() {
        println!("{:#?}\n{}", seen.refused, seen.last_words);
        std::process::exit(1);
    }
    Ok(())
}

fn say(when: &str, seen: &Seen) {
    let told = |times: &[Duration]| {
        let worst = times.iter().max().copied().unwrap_or_default();
        format!("{} answers, p99 {:?}, worst {worst:?}", times.len(), Seen::p99(times))
    };
    println!("{when}: alive {}, peak {} MiB, {} hostile answers", seen.alive, seen.peak >> 20, seen.hostile);
    println!(
        "  /livez: {}\n  warm:   {}\n  cold:   {}",
        told(&seen.livez),
        told(&seen.warm),
        told(&seen.cold)
    );
    println!("  refused: {}", seen.refused.len());
    let memory = seen.memory.iter();
    let memory: Vec<_> = memory
        .map(|(at, resident, space)| format!("{} s: {}/{}", at.as_secs(), resident >> 20, space >> 20))
        .collect();
    println!("  memory, MiB resident/address space: {}", memory.join(", "));
}
