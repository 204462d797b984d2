//! What values take in memory is counted within a factor of two of what they do take (A602). Each case has a process of
//! its own: what one leaves to the allocator the next one would have.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "what a process takes is read from /proc, and told to the test that started it"
)]

use std::process::Command;

use pullgate_policy::limits::MIB;
use pullgate_policy::strict_json;

/// Names the case to the process that is to measure it.
const CASE: &str = "PULLGATE_MEMORY_CASE";
/// Bytes of text of each case.
const BYTES: usize = 2 * MIB as usize;

/// What a list is of, by the name of the case.
fn cases() -> Vec<(&'static str, String)> {
    let package = r#"{"SPDXID":"SPDXRef-Package-deb-adduser-37ed2e8b1c4d","name":"adduser","versionInfo":"3.134","supplier":"Organization: Debian Adduser Developers","licenseDeclared":"GPL-2.0-only"}"#;
    let fifty = (0..50).map(|n| format!("\"key-{n}\":{n}")).collect::<Vec<_>>().join(",");
    vec![
        ("objects of one key", r#"{"a":0}"#.to_owned()),
        ("objects of fifty keys", format!("{{{fifty}}}")),
        ("packages", package.to_owned()),
        ("numbers", "0".to_owned()),
        ("lists of nothing", "[]".to_owned()),
        ("lists of one", "[0]".to_owned()),
        ("short texts", r#""v1.2.3""#.to_owned()),
        ("long texts", format!("\"{}\"", "x".repeat(100_000))),
    ]
}

/// A list of so much of it that its text has `BYTES`; nothing else is taken and given back on the way.
fn list(value: &str) -> Vec<u8> {
    let mut text = Vec::with_capacity(BYTES + 2);
    text.push(b'[');
    while text.len() + value.len() < BYTES {
        text.extend_from_slice(value.as_bytes());
        text.push(b',');
    }
    text.pop();
    text.push(b']');
    text
}

#[test]
fn a602_what_values_take_is_counted_within_a_factor_of_two() {
    if let Ok(case) = std::env::var(CASE) {
        let (_, value) = cases().into_iter().find(|(name, _)| *name == case).unwrap();
        let text = list(&value);
        let before = resident();
        let (value, counted) = strict_json::parse_counted(&text, usize::MAX).unwrap();
        println!("measured {} {counted}", resident() - before);
        drop(value);
        return;
    }
    for (case, _) in cases() {
        let mut child = Command::new(std::env::current_exe().unwrap());
        let output = child.args(["--exact", "--nocapture"]).env(CASE, case);
        let output = output.arg("a602_what_values_take_is_counted_within_a_factor_of_two").output().unwrap();
        let output = String::from_utf8(output.stdout).unwrap();
        let line = output.lines().find_map(|line| line.split_once("measured ")).unwrap().1;
        let (measured, counted) = line.split_once(' ').unwrap();
        let (measured, counted): (usize, usize) = (measured.parse().unwrap(), counted.parse().unwrap());
        assert!(counted <= 2 * measured && measured <= 2 * counted, "{case}: {counted} for {measured}");
    }
}

/// Bytes of this process that are in memory.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}
