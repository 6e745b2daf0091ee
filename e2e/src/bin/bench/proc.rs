//! Processes as the kernel reports them: children, memory, processor time (proc(5)).

use std::fs;
use std::ops::Range;

/// All living descendants of a process, parents before their children.
pub(crate) fn descendants(pid: u32) -> Vec<u32> {
    let mut found = Vec::new();
    let mut queue = vec![pid];
    while let Some(pid) = queue.pop() {
        let children = children(pid);
        found.extend(&children);
        queue.extend(children);
    }
    found
}

/// A process's children, started by any of its threads.
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

/// The peak of a process's resident memory, in MiB; `None` once it has exited.
pub(crate) fn peak_memory(pid: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<f64>().ok().map(|kib| kib / 1024.0)
}

/// Resets the peak of a process's memory to its current memory.
pub(crate) fn reset_peak_memory(pid: u32) {
    // Fails for another user's process, whose peak then remains, and counts too much rather than too little.
    let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
}

/// Processor seconds of this process's children that have exited and were waited for.
pub(crate) fn children_processor() -> f64 {
    processor_seconds("self", 13..15).unwrap_or(0.0)
}

/// Processor seconds of a process, of its living descendants, and of all their children that have exited.
pub(crate) fn tree_processor(pid: u32) -> f64 {
    tree(pid).into_iter().filter_map(|pid| processor_seconds(&pid.to_string(), 11..15)).sum()
}

/// The sum of some times of `/proc/PID/stat` in seconds: utime, stime, cutime and cstime are fields 11 to 14
/// after the program's name.
fn processor_seconds(pid: &str, fields: Range<usize>) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let columns: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    let ticks = columns.get(fields)?.iter().flat_map(|field| field.parse::<u64>()).sum::<u64>();
    Some(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}
