//! The machine, the date and the commit of a run.

use std::fs;
use std::process::Command;

use crate::report::Table;

/// The machine as a table of names and values.
pub(crate) fn describe() -> Table {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned())
    };
    let unknown = || "unknown".to_owned();
    let processor = field(&read("/proc/cpuinfo"), "model name").unwrap_or_else(unknown);
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = field(&read("/proc/meminfo"), "MemTotal").and_then(|total| {
        let kib: u64 = total.split_whitespace().next()?.parse().ok()?;
        Some(format!("{:.0} GiB", kib as f64 / f64::from(1 << 20)))
    });
    let mut table = Table::new(&["", ""]);
    let mut row = |name: &str, value: String| table.row([name.to_owned(), value]);
    row("processor", format!("{processor}, {processors} available"));
    row("memory", memory.unwrap_or_else(unknown));
    row("kernel", read("/proc/sys/kernel/osrelease").trim().to_owned());
    row("date", first_line("date", &["-u", "+%Y-%m-%d"]).unwrap_or_else(unknown));
    row("commit", commit());
    table
}

/// The commit of the working tree, with a note if files differ from it.
fn commit() -> String {
    let described =
        first_line("git", &["describe", "--always", "--dirty= and changes", "--exclude=*"]);
    described.unwrap_or_else(|| "unknown".to_owned())
}

fn first_line(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.lines().next().map(str::to_owned))?
}
