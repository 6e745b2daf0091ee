//! What the kernel says of processes: whose child each is, its memory, its processor time (proc(5)).

use std::fs;
use std::ops::Range;

/// All living descendants of a process, parents before their children.
pub(crate) fn descendants(pid: u32) -> Vec<u32> {
    let mut found = Vec::new();
    let mut open = vec![pid];
    while let Some(pid) = open.pop() {
        let children = children(pid);
        found.extend(&children);
        open.extend(children);
    }
    found
}

/// A process's children, whichever of its threads started them.
fn children(pid: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lists = threads
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().flat_map(str::parse).collect::<Vec<_>>())
        .collect()
}

/// A process and its living descendants.
pub(crate) fn tree(pid: u32) -> Vec<u32> {
    let mut tree = descendants(pid);
    tree.insert(0, pid);
    tree
}

/// The peak of a process's resident memory, in MiB; `None` once it has ended.
pub(crate) fn peak_memory(pid: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<f64>().ok().map(|kib| kib / 1024.0)
}

/// Makes the peak what the process holds now.
pub(crate) fn forget_peak_memory(pid: u32) {
    // Of somebody else's process the peak stays what it is: it then counts too much, not too little.
    let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
}

/// Processor seconds of this process's children that have ended and were waited for.
pub(crate) fn children_processor() -> f64 {
    ticks("self", 13..15).unwrap_or(0.0)
}

/// Processor seconds of a process, of its living descendants, and of all their children that have ended.
pub(crate) fn tree_processor(pid: u32) -> f64 {
    tree(pid).into_iter().filter_map(|pid| ticks(&pid.to_string(), 11..15)).sum()
}

/// A sum of `/proc/PID/stat`'s times in seconds: utime, stime, cutime and cstime are 11 to 14 behind
/// the program's name.
fn ticks(pid: &str, fields: Range<usize>) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let all: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    let ticks = all.get(fields)?.iter().flat_map(|field| field.parse::<u64>()).sum::<u64>();
    Some(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}
