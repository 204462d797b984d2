//! What a server costs: processor time and memory of a process and its children, as Linux tells them (proc(5)).

use std::fs;

/// Processor time so far, seconds.
pub(crate) fn cpu(pid: u32) -> f64 {
    // sysconf(_SC_CLK_TCK) is 100 on every Linux that has been.
    family(pid).iter().filter_map(|pid| ticks(*pid)).sum::<u64>() as f64 / 100.0
}

/// Memory that is resident and its own: without what is shared with files, kilobytes.
pub(crate) fn memory(pid: u32) -> u64 {
    family(pid).iter().filter_map(|pid| anonymous(*pid)).sum()
}

fn family(pid: u32) -> Vec<u32> {
    let mut all = vec![pid];
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(one) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if fields(one).and_then(|fields| fields.get(1)?.parse().ok()) == Some(pid) {
            all.push(one);
        }
    }
    all
}

/// The fields behind the name of the program: state, parent, …
fn fields(pid: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

fn ticks(pid: u32) -> Option<u64> {
    let fields = fields(pid)?;
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(number(11)? + number(12)?)
}

fn anonymous(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    line.trim().trim_end_matches(" kB").trim().parse().ok()
}
