//! The path emulator by hand: runs a command on the server's host and one on the client's, with an emulated path between
//! them, and prints what the path has carried and dropped as a line of JSON. Needs root.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it is a program")]

use std::process::{Child, ExitCode, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use clap::Parser;
use quiver_e2e::path_emulator::{
    Direction, LinkSettings, PathEmulator, PathSettings, parse_duration,
};
use serde_json::json;

/// How long the server's command has until it listens.
const START: Duration = Duration::from_secs(10);

/// Run two commands with an emulated path between them.
///
/// Options with a value take one for both directions, or two with a comma between them: to the client, to the server.
/// Lost packets take no time of the link.
#[derive(Debug, Parser)]
#[command(name = "path_emulator", max_term_width = 100)]
struct Args {
    /// Rate of the link in bit/s of IP packets, such as 200mbit [default: no limit]
    #[arg(long, value_name = "RATE")]
    rate: Option<String>,
    /// Delay of each direction, such as 50ms
    #[arg(long, value_name = "TIME", default_value = "0ms")]
    delay: String,
    /// Bytes that wait for the link at most: 2.5MB, 300ms or 0.25bdp [default: 1bdp, or 64kB if that is more]
    #[arg(long, value_name = "SIZE")]
    queue: Option<String>,
    /// Share of packets lost at random, such as 0.1%
    #[arg(long, value_name = "SHARE")]
    loss: Option<String>,
    /// Share of packets lost in bursts, and their mean length in packets, such as 2%:5
    #[arg(long, value_name = "SHARE:LENGTH")]
    burst_loss: Option<String>,
    /// Additional delay of up to this; with :reorder, packets overtake others
    #[arg(long, value_name = "TIME[:reorder]")]
    jitter: Option<String>,
    /// Share of packets that are late by a time, or early with -, such as 1%:10ms
    #[arg(long, value_name = "SHARE:TIME")]
    reorder: Option<String>,
    /// Change settings of both directions while the client runs, such as '10s rate=50mbit loss=1%';
    /// also silence=on
    #[arg(long, value_name = "TIME NAME=VALUE...")]
    at: Vec<String>,
    /// Print the counters to standard error so often
    #[arg(long, value_name = "TIME")]
    interval: Option<String>,
    /// TCP congestion control of both hosts, if not the kernel's default
    #[arg(long, value_name = "NAME")]
    tcp_congestion: Option<String>,
    /// The same seed loses the same packets of the same sequence
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Largest IP packet in bytes
    #[arg(long, default_value_t = 1500, value_parser = clap::value_parser!(u32).range(576..=9000))]
    mtu: u32,
    /// 'SERVER COMMAND' -- 'CLIENT COMMAND', each for the shell, with the addresses in $SERVER and $CLIENT. The client
    /// starts once a program on the server's host has a socket, or at once if the server's command is ":"
    #[arg(last = true, required = true, value_name = "COMMAND")]
    commands: Vec<String>,
}

/// A change of settings, and when.
type Change = (Duration, Vec<(String, String)>);

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// Returns the exit code of the client's command.
fn run(args: &Args) -> Result<u8, String> {
    let [server_command, separator, client_command] = &args.commands[..] else {
        return Err("expected -- 'SERVER COMMAND' -- 'CLIENT COMMAND'".to_owned());
    };
    if separator != "--" {
        return Err("expected -- between both commands; each is one word of the shell".to_owned());
    }
    let settings = path_settings(args)?;
    let changes = args.at.iter().map(|text| parse_change(text)).collect::<Result<Vec<_>, _>>()?;
    let interval = args.interval.as_deref().map(parse_duration).transpose()?;
    PathEmulator::available().map_err(|missing| missing.to_string())?;
    let path = PathEmulator::new(settings);
    if let Some(name) = &args.tcp_congestion
        && !path.set_tcp_congestion_control(name)
    {
        return Err(format!("the kernel has no TCP congestion control {name}"));
    }
    let cannot_start = |error| format!("the shell cannot be started: {error}");
    let mut server = path
        .shell(path.server(), server_command)
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .spawn()
        .map_err(cannot_start)?;
    if server_command != ":" {
        wait_for_listener(&path, &mut server)?;
    }
    let start = Instant::now();
    let mut client = path.shell(path.client(), client_command).spawn().map_err(cannot_start)?;
    let (ended, end) = channel();
    let status = std::thread::scope(|scope| {
        let path = &path;
        scope.spawn(move || follow(path, changes, interval, start, &end));
        let status = client.wait();
        drop(ended);
        status
    });
    println!("{}", report(&path, start.elapsed()));
    drop(path);
    let _ = server.wait();
    let code = status.map_err(|error| error.to_string())?.code();
    Ok(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

fn wait_for_listener(path: &PathEmulator, server: &mut Child) -> Result<(), String> {
    let deadline = Instant::now() + START;
    while !path.server().has_listener() {
        if let Ok(Some(status)) = server.try_wait() {
            return Err(format!("the server's command has ended: {status}"));
        }
        if Instant::now() > deadline {
            return Err("the server's command does not listen".to_owned());
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    Ok(())
}

/// Makes the changes and prints the counters, until the client has ended.
fn follow(
    path: &PathEmulator,
    mut changes: Vec<Change>,
    interval: Option<Duration>,
    start: Instant,
    end: &std::sync::mpsc::Receiver<()>,
) {
    changes.sort_by_key(|(at, _)| *at);
    let mut changes = changes.into_iter().peekable();
    let mut next_report = interval;
    loop {
        let next_change = changes.peek().map(|(at, _)| *at);
        let wait = match next_change.into_iter().chain(next_report).min() {
            Some(at) => end.recv_timeout(at.saturating_sub(start.elapsed())),
            None => end.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        if wait == Err(RecvTimeoutError::Disconnected) {
            return;
        }
        let now = start.elapsed();
        while let Some((_, words)) = changes.next_if(|(at, _)| *at <= now) {
            path.change(|link| {
                for (name, value) in &words {
                    if let Err(error) = link.apply(name, value) {
                        eprintln!("error: {name}={value}: {error}");
                    }
                }
            });
        }
        if let Some((at, interval)) = next_report.as_mut().zip(interval)
            && *at <= now
        {
            eprintln!("{}", report(path, now));
            *at += interval;
        }
    }
}

fn report(path: &PathEmulator, elapsed: Duration) -> serde_json::Value {
    let mut report = json!({ "seconds": elapsed.as_secs_f64() });
    for direction in Direction::BOTH {
        let mut counters = path.counters(direction).to_json();
        counters["unread"] = path.unread(direction).into();
        report[direction.name()] = counters;
    }
    report
}

fn path_settings(args: &Args) -> Result<PathSettings, String> {
    let mut path = PathSettings::symmetric(LinkSettings::default());
    (path.mtu, path.seed) = (args.mtu, args.seed);
    let delay = Some(args.delay.clone());
    // The queue last, because its size may depend on the rate and the delay.
    let options = [
        ("rate", &args.rate),
        ("delay", &delay),
        ("loss", &args.loss),
        ("burst-loss", &args.burst_loss),
        ("jitter", &args.jitter),
        ("reorder", &args.reorder),
        ("queue", &args.queue),
    ];
    for (name, value) in options {
        let Some(value) = value else { continue };
        let (to_client, to_server) = value.split_once(',').unwrap_or((value, value));
        for (link, value) in [(&mut path.to_client, to_client), (&mut path.to_server, to_server)] {
            link.apply(name, value).map_err(|error| format!("--{name}: {error}"))?;
        }
    }
    if args.queue.is_none() {
        for link in [&mut path.to_client, &mut path.to_server] {
            link.queue = link.bandwidth_delay_product().map(|product| product.max(64_000));
        }
    }
    Ok(path)
}

/// Reads `10s rate=50mbit loss=1%`.
fn parse_change(text: &str) -> Result<Change, String> {
    let mut words = text.split_whitespace();
    let at = parse_duration(words.next().unwrap_or_default())?;
    let words = words.map(|word| {
        let (name, value) = word.split_once('=').ok_or_else(|| format!("{word}: no ="))?;
        // A size in time or products needs a rate that is known only then.
        LinkSettings::new(1, Duration::ZERO, 0).apply(name, value)?;
        Ok((name.to_owned(), value.to_owned()))
    });
    Ok((at, words.collect::<Result<_, String>>()?))
}
