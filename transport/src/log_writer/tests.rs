//! Lines that are logged while the output works, fails or blocks.

use std::io::{BufRead as _, BufReader, PipeReader, Read as _};
use std::os::fd::OwnedFd;
use std::sync::mpsc;
use std::time::Instant;

use rustix::fs::{CWD, FileType, Mode, OFlags};

use super::*;

const TIMEOUT: Duration = Duration::from_secs(10);

/// A writer that reports dropped lines as `dropped N`.
fn start(output: impl Into<OwnedFd>) -> LogWriter {
    let cell = Arc::new(OnceLock::<LogWriter>::new());
    let report = {
        let cell = cell.clone();
        move |count| log(cell.get().unwrap(), format!("dropped {count}"))
    };
    let writer = LogWriter::start(OwnedFd::into(output.into()), report).unwrap();
    cell.set(writer.clone()).unwrap();
    writer
}

fn log(writer: &LogWriter, line: impl fmt::Display) {
    // In one write, as a subscriber does it.
    writer.clone().write_all(format!("{line}\n").as_bytes()).unwrap();
}

fn read_line(reader: &mut BufReader<PipeReader>) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

/// Logs numbers until lines are dropped. Returns how many it logged.
fn log_until_lines_are_dropped(writer: &LogWriter) -> u64 {
    let deadline = Instant::now() + TIMEOUT;
    let mut count = 0;
    while writer.dropped_lines() < 100 {
        log(writer, count);
        count += 1;
        assert!(Instant::now() < deadline, "no line was dropped");
    }
    count
}

#[test]
fn lines_are_written_in_order_before_a_flush_returns() {
    let (mut reader, output) = io::pipe().unwrap();
    let writer = start(output);
    (0..1000).for_each(|number| log(&writer, number));
    writer.flush(TIMEOUT);
    let mut written = vec![0; 3890];
    reader.read_exact(&mut written).unwrap();
    let expected: String = (0..1000).map(|number| format!("{number}\n")).collect();
    assert_eq!(String::from_utf8(written).unwrap(), expected);
    assert_eq!(writer.dropped_lines(), 0);
}

#[test]
fn a_blocked_output_does_not_block_a_thread_that_logs() {
    let (reader, output) = io::pipe().unwrap();
    let writer = start(output);
    let logged = log_until_lines_are_dropped(&writer);
    let start = Instant::now();
    writer.flush(Duration::from_millis(10));
    assert!(start.elapsed() < TIMEOUT / 2);

    // Once the output is read, it has one gap and a line that tells the number of dropped lines.
    let mut reader = BufReader::new(reader);
    let mut number = 0;
    let dropped = loop {
        let line = read_line(&mut reader);
        match line.strip_prefix("dropped ") {
            Some(count) => break count.parse::<u64>().unwrap(),
            None => assert_eq!(line, number.to_string()),
        }
        number += 1;
    };
    assert_eq!((number + dropped, writer.dropped_lines()), (logged, dropped));
    log(&writer, "later");
    assert_eq!(read_line(&mut reader), "later");
}

#[test]
fn every_line_to_a_closed_output_is_dropped() {
    let (reader, output) = io::pipe().unwrap();
    drop(reader);
    let writer = start(output);
    (0..10).for_each(|number| log(&writer, number));
    writer.flush(TIMEOUT);
    assert_eq!(writer.dropped_lines(), 10);
}

#[test]
fn every_line_to_a_full_disk_is_dropped() {
    let writer = start(File::options().write(true).open("/dev/full").unwrap());
    (0..10).for_each(|number| log(&writer, number));
    writer.flush(TIMEOUT);
    assert_eq!(writer.dropped_lines(), 10);
}

#[test]
fn the_number_of_dropped_lines_is_written_once_the_output_works_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fifo");
    rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    // Without NONBLOCK, opening one end waits for the other.
    let open = |flags| rustix::fs::open(&path, flags | OFlags::NONBLOCK, Mode::empty()).unwrap();
    let reader = open(OFlags::RDONLY);
    let writer = start(open(OFlags::WRONLY));
    drop(reader);
    (0..3).for_each(|number| log(&writer, number));
    writer.flush(TIMEOUT);
    assert_eq!(writer.dropped_lines(), 3);

    let (sender, line) = mpsc::channel();
    let reader = File::open(&path);
    thread::spawn(move || {
        let mut text = String::new();
        BufReader::new(reader.unwrap()).read_line(&mut text).unwrap();
        sender.send(text).unwrap();
    });
    // The report is written although no other line is logged.
    assert_eq!(line.recv_timeout(TIMEOUT).unwrap(), "dropped 3\n");
}

#[test]
fn a_partial_line_is_ended_before_the_next_line() {
    let file = tempfile::tempfile().unwrap();
    let mut output =
        LogOutput { file: file.try_clone().unwrap(), has_failed: true, has_partial_line: true };
    assert!(output.write(b"next\n"));
    assert!(output.write(b"last\n"));
    assert!(!output.has_failed && !output.has_partial_line);
    let mut text = String::new();
    use std::io::Seek as _;
    let mut file = file;
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "\nnext\nlast\n");
}

#[test]
fn the_writer_waits_for_a_non_blocking_output() {
    let (reader, output) = io::pipe().unwrap();
    rustix::fs::fcntl_setfl(&output, OFlags::NONBLOCK).unwrap();
    let writer = start(output);
    // More than the pipe holds, and less than the queue holds.
    (0..30_000).for_each(|number| log(&writer, number));
    let mut reader = BufReader::new(reader);
    (0..30_000).for_each(|number| assert_eq!(read_line(&mut reader), number.to_string()));
    assert_eq!(writer.dropped_lines(), 0);
}
