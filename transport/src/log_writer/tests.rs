//! Outputs that fail or wait, and what becomes of the lines.

use std::io::{BufRead as _, BufReader, PipeReader, Read as _};
use std::os::fd::OwnedFd;
use std::sync::mpsc;
use std::time::Instant;

use rustix::fs::{CWD, FileType, Mode, OFlags};

use super::*;

const PATIENCE: Duration = Duration::from_secs(10);

/// A writer that reports dropped lines as `dropped N`.
fn start(output: impl Into<OwnedFd>) -> LogWriter {
    let itself = Arc::new(OnceLock::<LogWriter>::new());
    let report = {
        let itself = itself.clone();
        move |count| log(itself.get().unwrap(), format!("dropped {count}"))
    };
    let writer = LogWriter::start(OwnedFd::into(output.into()), report).unwrap();
    itself.set(writer.clone()).unwrap();
    writer
}

fn log(writer: &LogWriter, line: impl fmt::Display) {
    // In one piece, as a subscriber does.
    writer.clone().write_all(format!("{line}\n").as_bytes()).unwrap();
}

fn next(reader: &mut BufReader<PipeReader>) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

/// Logs numbers until lines are dropped; how many were logged.
fn fill(writer: &LogWriter) -> u64 {
    let deadline = Instant::now() + PATIENCE;
    let mut count = 0;
    while writer.dropped() < 100 {
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
    writer.flush(PATIENCE);
    let mut written = vec![0; 3890];
    reader.read_exact(&mut written).unwrap();
    let expected: String = (0..1000).map(|number| format!("{number}\n")).collect();
    assert_eq!(String::from_utf8(written).unwrap(), expected);
    assert_eq!(writer.dropped(), 0);
}

#[test]
fn an_output_that_takes_nothing_keeps_nobody_waiting() {
    let (reader, output) = io::pipe().unwrap();
    let writer = start(output);
    let logged = fill(&writer);
    let began = Instant::now();
    writer.flush(Duration::from_millis(10));
    assert!(began.elapsed() < PATIENCE / 2);

    // Read again, it has one gap, and says how large that is.
    let mut reader = BufReader::new(reader);
    let mut number = 0;
    let dropped = loop {
        let line = next(&mut reader);
        match line.strip_prefix("dropped ") {
            Some(count) => break count.parse::<u64>().unwrap(),
            None => assert_eq!(line, number.to_string()),
        }
        number += 1;
    };
    assert_eq!((number + dropped, writer.dropped()), (logged, dropped));
    log(&writer, "later");
    assert_eq!(next(&mut reader), "later");
}

#[test]
fn an_output_that_is_closed_drops_every_line() {
    let (reader, output) = io::pipe().unwrap();
    drop(reader);
    let writer = start(output);
    (0..10).for_each(|number| log(&writer, number));
    writer.flush(PATIENCE);
    assert_eq!(writer.dropped(), 10);
}

#[test]
fn a_full_disk_drops_every_line() {
    let writer = start(File::options().write(true).open("/dev/full").unwrap());
    (0..10).for_each(|number| log(&writer, number));
    writer.flush(PATIENCE);
    assert_eq!(writer.dropped(), 10);
}

#[test]
fn an_output_that_works_again_is_told_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fifo");
    rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    // Opening either end alone would wait.
    let open = |flags| rustix::fs::open(&path, flags | OFlags::NONBLOCK, Mode::empty()).unwrap();
    let reader = open(OFlags::RDONLY);
    let writer = start(open(OFlags::WRONLY));
    drop(reader);
    (0..3).for_each(|number| log(&writer, number));
    writer.flush(PATIENCE);
    assert_eq!(writer.dropped(), 3);

    let (found, line) = mpsc::channel();
    let waiting = File::open(&path);
    thread::spawn(move || {
        let mut text = String::new();
        BufReader::new(waiting.unwrap()).read_line(&mut text).unwrap();
        found.send(text).unwrap();
    });
    // Without another line: the report does not wait for one.
    assert_eq!(line.recv_timeout(PATIENCE).unwrap(), "dropped 3\n");
}

#[test]
fn a_line_that_was_cut_off_is_ended_before_the_next() {
    let file = tempfile::tempfile().unwrap();
    let mut output = LogOutput { file: file.try_clone().unwrap(), has_failed: true, is_cut: true };
    assert!(output.write(b"next\n"));
    assert!(output.write(b"last\n"));
    assert!(!output.has_failed && !output.is_cut);
    let mut text = String::new();
    use std::io::Seek as _;
    let mut file = file;
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "\nnext\nlast\n");
}

#[test]
fn an_output_that_is_busy_is_waited_for() {
    let (reader, output) = io::pipe().unwrap();
    rustix::fs::fcntl_setfl(&output, OFlags::NONBLOCK).unwrap();
    let writer = start(output);
    // More than the pipe holds, and less than the queue.
    (0..30_000).for_each(|number| log(&writer, number));
    let mut reader = BufReader::new(reader);
    (0..30_000).for_each(|number| assert_eq!(next(&mut reader), number.to_string()));
    assert_eq!(writer.dropped(), 0);
}
