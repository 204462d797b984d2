//! How much memory one case takes, as the kernel counts it: an allocator that counts would be unsafe code.

use std::fs;

/// What one case may take at once, KiB. Inputs have at most 64 KiB.
const RESIDENT_MAX: u64 = 32 * 1024;
/// What it may ask for, touched or not, KiB. A thread with its heap reserves some 100 MiB.
const RESERVED_MAX: u64 = 1024 * 1024;

/// Memory before a case. Where the kernel does not tell, nothing is found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Memory {
    resident: u64,
    reserved: u64,
    reserved_ever: u64,
}

impl Memory {
    /// Sets the peak back to what is resident now (proc(5), `clear_refs`), and takes note.
    pub(super) fn before() -> Self {
        let _ = fs::write("/proc/self/clear_refs", "5");
        let [resident, reserved, reserved_ever] = told(["VmRSS:", "VmSize:", "VmPeak:"]);
        Self { resident, reserved, reserved_ever }
    }

    /// What was too much, if something was.
    pub(super) fn after(self) -> Result<(), String> {
        let [peak, reserved_ever] = told(["VmHWM:", "VmPeak:"]);
        let took = peak.saturating_sub(self.resident);
        if took > RESIDENT_MAX {
            return Err(format!("it took {took} KiB of memory at once, {RESIDENT_MAX} are allowed"));
        }
        // The highest ever says something of this case only where this case has raised it.
        let reserved = reserved_ever.saturating_sub(self.reserved);
        if reserved_ever > self.reserved_ever && reserved > RESERVED_MAX {
            return Err(format!("it reserved {reserved} KiB of memory, {RESERVED_MAX} are allowed"));
        }
        Ok(())
    }
}

fn told<const N: usize>(names: [&str; N]) -> [u64; N] {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    names.map(|name| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
    })
}
