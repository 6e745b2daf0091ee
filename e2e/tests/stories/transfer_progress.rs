//! What a terminal shows of running transfers: true rates, lines that fit, and one line for many files.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::fs;
use std::num::NonZeroU16;

use quiver_e2e::process::Signal;
use quiver_e2e::random::Random;
use quiver_e2e::terminal::Terminal;
use quiver_e2e::{Home, PromptUser, Server, TIMEOUT, TransferWatch, wait_until};
use serde_json::Value;

const SIZE: usize = 9_000_000;

/// The rate limit of all transfers here, in MB/s.
const LIMIT: f64 = 2.0;

const LIMITED: [&str; 2] = ["--limit", "2MB/s"];

/// A server with the file `big`.
async fn server() -> Server {
    let server = Server::options().argument("--allow-upload").start().await;
    server.add_file("big", Random::new(77).bytes(SIZE));
    server
}

/// All lines that the program has drawn or printed, without escape sequences.
fn drawn_lines(terminal: &Terminal) -> Vec<String> {
    let raw = String::from_utf8_lossy(&terminal.raw_output()).into_owned();
    let lines = raw.split(['\r', '\n']).map(|line| {
        let mut parts = line.split("\x1b[");
        let first = parts.next().unwrap_or_default().to_owned();
        let rest = parts.map(|part| part.split_once(|end: char| end.is_ascii_alphabetic()));
        first + &rest.map(|part| part.map_or("", |(_, text)| text)).collect::<String>()
    });
    lines.filter(|line| !line.is_empty()).collect()
}

/// The lines about progress.
fn progress_lines(terminal: &Terminal) -> Vec<String> {
    let is_progress = |line: &String| line.contains(" % ") && line.contains(" of ");
    drawn_lines(terminal).into_iter().filter(is_progress).collect()
}

/// The rates of these lines, in MB/s.
fn rates(lines: &[String]) -> Vec<f64> {
    let rate = |line: &String| {
        let (before, _) = line.split_once(" MB/s")?;
        before.rsplit(' ').next()?.parse().ok()
    };
    lines.iter().filter_map(rate).collect()
}

/// Checks that the lines start without a rate, and that all later rates are near the limit.
fn assert_true_rates(lines: &[String]) {
    let first = lines.first().unwrap();
    assert!(!first.contains("/s") && !first.contains("left"), "{first}");
    let rates = rates(lines);
    assert!(rates.len() >= 2, "{lines:#?}");
    for rate in &rates {
        // Several files take their first block each from the limit at once.
        assert!((LIMIT / 3.0..LIMIT * 2.0).contains(rate), "{rate} MB/s: {lines:#?}");
    }
    assert!(!lines.iter().any(|line| line.contains(" 0 s left")), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains(" s left")), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains("100 %")), "{lines:#?}");
}

#[tokio::test]
async fn a_get_shows_the_rate_of_the_last_seconds_from_the_start_and_after_a_resume() {
    let (server, home) = (server().await, Home::new());
    let get = || home.quiver_as(&server, "Ron", ["get", "big"]).arguments(LIMITED);
    let mut first = get().start_at_terminal();
    wait_until("half of the content", || home.partial_length() > SIZE as u64 / 2).await;
    first.type_text("\x03");
    assert_eq!(first.wait_for_exit().exit_code(), 130);
    assert_true_rates(&progress_lines(&first));

    let mut resumed = get().start_at_terminal();
    assert!(resumed.wait_for_exit().success(), "{}", resumed.contents());
    let lines = progress_lines(&resumed);
    // What the first run received is no rate of this one.
    let share = lines[0].split(" %").next().unwrap().rsplit(' ').next().unwrap();
    assert!(share.parse::<u64>().unwrap() >= 40, "{}", lines[0]);
    assert_true_rates(&lines);
    assert!(resumed.contents().contains("big: 9.0 MB received and verified"), "{resumed:?}");
    assert!(!resumed.contents().contains(" left"), "the line stays: {resumed:?}");
}

#[tokio::test]
async fn a_put_shows_the_rate_at_which_the_server_receives() {
    let (server, home) = (server().await, Home::new());
    fs::write(home.file("up"), Random::new(78).bytes(SIZE)).unwrap();
    let put = home.quiver_as(&server, "Ron", ["put", "up"]).arguments(LIMITED);
    let mut terminal = put.start_at_terminal();
    assert!(terminal.wait_for_exit().success(), "{}", terminal.contents());
    assert_true_rates(&progress_lines(&terminal));
}

#[tokio::test]
async fn a_tree_has_one_line_with_files_current_name_bytes_rate_and_time_left() {
    let (server, home) = (server().await, Home::new());
    for number in 0..6 {
        server.add_file(format!("t/film {number}"), Random::new(number).bytes(SIZE / 6));
    }
    let get = home.quiver_as(&server, "Ron", ["get", "-r", "t"]).arguments(LIMITED);
    let mut terminal = get.start_at_terminal();
    terminal.wait_until("the progress", |screen| screen.contains(" left"));
    let shown = terminal.contents();
    assert_eq!(shown.trim_end().lines().count(), 1, "{shown}");
    assert!(terminal.wait_for_exit().success(), "{}", terminal.contents());
    let lines = progress_lines(&terminal);
    assert_true_rates(&lines);
    for line in &lines {
        assert!(line.contains(" of 6 files  t/film ") && line.contains(" of 9.0 MB"), "{line}");
    }
    assert!(lines.last().unwrap().starts_with(['3', '4', '5']), "{:?}", lines.last());
}

#[tokio::test]
async fn lines_fit_into_a_narrow_terminal_and_one_that_becomes_narrow() {
    let (server, home) = (server().await, Home::new());
    let name = format!("{}-end.iso", "a-very-long-name".repeat(5));
    server.add_file(&name, Random::new(79).bytes(SIZE));
    let get = home.quiver_as(&server, "Ron", ["get", &name]).arguments(LIMITED);
    let mut terminal = get.start_at_terminal();
    terminal.wait_until("the progress", |screen| screen.contains(" left"));
    terminal.set_columns(NonZeroU16::new(40).unwrap());
    let is_narrow = |screen: &str| {
        let lines: Vec<_> = screen.trim_end().lines().collect();
        lines.len() == 1 && lines[0].contains("d.iso  ") && lines[0].ends_with(" MB/s")
    };
    terminal.wait_until("one line of 40 columns", is_narrow);
    let shown = terminal.contents();
    assert!(shown.trim_end().chars().count() < 40 && shown.starts_with("a-very"), "{shown}");
    assert!(shown.contains('…') && shown.contains(" %  "), "{shown}");
    assert!(terminal.wait_for_exit().success(), "{}", terminal.contents());
}

#[tokio::test]
async fn a_terminal_that_cannot_move_its_cursor_gets_a_line_every_ten_seconds() {
    let (server, home) = (server().await, Home::new());
    let get = home.quiver_as(&server, "Ron", ["get", "big", "--limit", "700kB/s"]);
    let mut terminal = get.environment("TERM", "dumb").start_at_terminal();
    terminal.wait_for(" left");
    let lines = progress_lines(&terminal);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("big  ") && !lines[0].contains('['), "{lines:?}");
    assert!(terminal.wait_for_exit().success(), "{}", terminal.contents());
    assert!(!terminal.raw_output().contains(&0x1b));
}

#[tokio::test]
async fn quiet_and_a_pipe_show_no_progress() {
    let (server, home) = (server().await, Home::new());
    let get = home.quiver_as(&server, "Ron", ["get", "big", "--quiet"]).arguments(LIMITED);
    let mut terminal = get.start_at_terminal();
    assert!(terminal.wait_for_exit().success(), "{}", terminal.contents());
    assert_eq!(terminal.contents().trim(), "");
    let put = home.quiver_as(&server, "Ron", ["put", "big", "--as", "copy"]).arguments(LIMITED);
    let output = put.run().await;
    let lines: Vec<_> = output.expect(0).stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(lines[0], "copy: 9.0 MB stored and verified");
}

#[tokio::test]
async fn a_long_transfer_is_visible_at_the_prompt() {
    let (server, home) = (server().await, Home::new());
    let mut ron = PromptUser::sign_in(&home, &server, "Ron");
    let started = ron.enter("get big --limit 700kB/s");
    assert!(started.contains("continues in the background."), "{started}");
    let row = |screen: &str| {
        screen.contains(" % of 9.0 MB  ")
            && screen.contains("kB/s  ")
            && screen.contains(" left  (")
    };
    let mut watch = TransferWatch::start(home.quiver([""; 0]));
    // The limit lets a burst pass at first, which counts much in the rate of a short time.
    let has_rate = |view: &Value| {
        view["seconds_left"].is_u64() && view["rate"].as_u64().is_some_and(|rate| rate < 900_000)
    };
    watch.wait_for("a rate", has_rate).await;
    let listed = ron.enter("transfers");
    assert!(row(&listed), "{listed}");
    ron.terminal.wait_until("a line after ten seconds", |screen| {
        screen.lines().any(|line| line.starts_with("big  ") && line.ends_with(" s left"))
    });
    ron.terminal.wait_until("size, time and rate", |screen| {
        screen.contains("File received successfully: big\n9.0 MB in 12.")
            && screen.contains(" kB/s")
    });
    ron.exit();
}

#[tokio::test]
async fn ctrl_c_at_the_prompt_names_what_it_cancels_and_how_to_continue_it() {
    let (server, home) = (server().await, Home::new());
    let mut ron = PromptUser::sign_in(&home, &server, "Ron");
    ron.enter("get big --limit 2MB/s");
    wait_until("half of the content", || home.partial_length() > SIZE as u64 / 2).await;
    ron.press("\x03");
    ron.terminal.wait_for("Transfer cancelled: get big --limit 2MB/s. The same command, or quiver resume, continues at ");
    let finished = ron.enter("get big");
    assert!(finished.contains("big: resuming at "), "{finished}");
    assert!(finished.ends_with("File received successfully."), "{finished}");
    ron.exit();
}

#[tokio::test]
async fn a_killed_client_leaves_no_rate_to_the_next_one() {
    let (server, home) = (server().await, Home::new());
    let get = || home.quiver_as(&server, "Ron", ["get", "big"]).arguments(LIMITED);
    let mut first = get().start();
    wait_until("half of the content", || home.partial_length() > SIZE as u64 / 2).await;
    first.signal(Signal::KILL);
    first.wait_for_exit(TIMEOUT).await;
    let mut resumed = get().start_at_terminal();
    assert!(resumed.wait_for_exit().success(), "{}", resumed.contents());
    assert_true_rates(&progress_lines(&resumed));
}
