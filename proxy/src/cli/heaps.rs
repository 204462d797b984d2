//! The C library keeps a heap for each of many threads, and memory that is freed in one stays there: under load a gate
//! would take twice the memory of its own limits. Two heaps are enough, and large blocks are given back at once (A602).

/// Variables that the C library reads at the start of a process (mallopt(3)), and their values unless they are set
/// already.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const SETTINGS: [(&str, &str); 2] = [("MALLOC_ARENA_MAX", "2"), ("MALLOC_MMAP_THRESHOLD_", "262144")];

/// Begins the process anew with these settings, once, under the same id and with the same descriptors. Where that is not
/// possible it goes on as it is.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(super) fn settle() {
    use std::os::unix::process::CommandExt as _;
    let unsaid: Vec<_> = SETTINGS.iter().filter(|(name, _)| std::env::var_os(name).is_none()).collect();
    let mut words = std::env::args_os();
    let (Some(name), false, Ok(program)) = (words.next(), unsaid.is_empty(), std::env::current_exe()) else {
        return;
    };
    let mut again = std::process::Command::new(program);
    let _failed = again.arg0(name).args(words).envs(unsaid.into_iter().copied()).exec();
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(super) fn settle() {}
