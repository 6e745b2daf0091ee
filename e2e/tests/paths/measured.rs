//! Rate, delay and loss, as iperf3 and ping measure them.

use std::thread;
use std::time::{Duration, Instant};

use quiver_e2e::TIMEOUT;
use quiver_e2e::path_emulator::{
    BurstLoss, Direction, LinkCounters, LinkSettings, PathEmulator, PathSettings,
};

use crate::{output, run_iperf, tools_available};

/// Bytes of UDP payload in a packet of iperf3, and in all with the headers of IPv4 and UDP.
const PAYLOAD: u32 = 1400;
const PACKET: u32 = PAYLOAD + 20 + 8;

fn path(link: LinkSettings) -> PathEmulator {
    PathEmulator::new(PathSettings::symmetric(link))
}

fn expect_near(what: &str, measured: f64, expected: f64, tolerance: f64) {
    let error = (measured / expected - 1.0).abs();
    assert!(error <= tolerance, "{what}: {measured} instead of {expected}");
}

/// Both counters add up, and the emulator lost nothing by itself.
fn expect_complete(path: &PathEmulator, direction: Direction) -> LinkCounters {
    let deadline = Instant::now() + TIMEOUT;
    let mut counters = path.counters(direction);
    // The last packets may still be on their way.
    while counters.in_transit() > 0 {
        assert!(Instant::now() < deadline, "{counters:?}");
        thread::park_timeout(Duration::from_millis(1));
        counters = path.counters(direction);
    }
    assert_eq!(counters.packets_in, counters.packets_out + counters.dropped(), "{counters:?}");
    assert_eq!((counters.refused, path.unread(direction)), (0, 0), "{counters:?}");
    counters
}

/// Sends UDP from the client to the server. Returns the report's sums: what the receiver has got.
fn send_udp(path: &PathEmulator, rate: &str, seconds: &str) -> serde_json::Value {
    let length = PAYLOAD.to_string();
    let end =
        run_iperf(path, &["--udp", "--length", &length, "--bitrate", rate, "--time", seconds]);
    end["sum"].clone()
}

#[test]
fn a_round_trip_takes_both_delays() {
    if !tools_available() {
        return;
    }
    let mut settings = PathSettings::symmetric(LinkSettings::default());
    settings.to_server.delay = Duration::from_millis(20);
    settings.to_client.delay = Duration::from_millis(50);
    let path = PathEmulator::new(settings);
    let mut ping = path.client().command("ping");
    ping.args(["-q", "-c", "20", "-i", "0.02", &path.server_address().to_string()]);
    let report = output(&mut ping);
    // rtt min/avg/max/mdev = 70.1/70.2/70.3/0.1 ms
    let times = report.rsplit_once(" = ").expect("a summary").1;
    let shortest: f64 = times.split('/').next().expect("a time").parse().expect("a number");
    // The shortest one, because the replies wait for a processor.
    assert!((70.0..72.0).contains(&shortest), "{report}");
    for direction in Direction::BOTH {
        assert_eq!(expect_complete(&path, direction).packets_out, 20);
    }
}

#[test]
fn udp_passes_at_the_rate_and_the_queue_drops_the_rest() {
    if !tools_available() {
        return;
    }
    let path = path(LinkSettings::new(20_000_000, Duration::from_millis(5), 100_000));
    let sum = send_udp(&path, "40M", "2");
    let counters = expect_complete(&path, Direction::ToServer);
    let (sent, lost) = (sum["packets"].as_f64().unwrap(), sum["lost_packets"].as_f64().unwrap());
    // What the link carries in two seconds, and the queue's content.
    let carried = (20e6 * 2.0 / 8.0 + 100_000.0) / f64::from(PACKET);
    expect_near("packets carried", sent - lost, carried, 0.05);
    assert!(counters.dropped_queue > 1000, "{counters:?}");
    assert_eq!(counters.dropped(), counters.dropped_queue);
    // Packets of the connection with which iperf3 controls a measurement may be among those dropped.
    assert!((lost - counters.dropped_queue as f64).abs() <= 20.0, "{sum} {counters:?}");
    assert!((98_000..=100_000).contains(&counters.largest_queue), "{counters:?}");
}

#[test]
fn random_and_bursty_losses_are_those_that_iperf3_counts() {
    if !tools_available() {
        return;
    }
    let burst_loss = Some(BurstLoss { mean_loss: 0.05, mean_length: 4.0 });
    for link in [
        LinkSettings { random_loss: 0.05, ..LinkSettings::default() },
        LinkSettings { burst_loss, ..LinkSettings::default() },
    ] {
        // Only what the client sends, so that iperf3's own connection suffers less.
        let mut settings = PathSettings::symmetric(LinkSettings::default());
        settings.to_server = link;
        let path = PathEmulator::new(settings);
        let sum = send_udp(&path, "60M", "2");
        let counters = expect_complete(&path, Direction::ToServer);
        let percent = sum["lost_percent"].as_f64().unwrap();
        let tolerance = if link.burst_loss.is_some() { 0.4 } else { 0.2 };
        expect_near("loss in percent", percent, 5.0, tolerance);
        let lost = sum["lost_packets"].as_f64().unwrap();
        let dropped = (counters.lost_random + counters.lost_burst) as f64;
        assert!((lost - dropped).abs() <= 20.0, "{sum} {counters:?}");
        assert_eq!(counters.lost_random > 0, link.random_loss > 0.0);
        assert_eq!(counters.lost_burst > 0, link.burst_loss.is_some());
    }
}

#[test]
fn tcp_fills_the_link_in_both_directions() {
    if !tools_available() {
        return;
    }
    let path = path(LinkSettings::new(50_000_000, Duration::from_millis(5), 150_000));
    for (direction, arguments) in
        [(Direction::ToServer, None), (Direction::ToClient, Some("--reverse"))]
    {
        let arguments: Vec<_> = ["--time", "3"].into_iter().chain(arguments).collect();
        let end = run_iperf(&path, &arguments);
        let rate = end["sum_received"]["bits_per_second"].as_f64().unwrap();
        // Content: a packet of 1500 bytes has 52 bytes of headers.
        let most = 50e6 * 1448.0 / 1500.0;
        assert!((0.85 * most..1.01 * most).contains(&rate), "{direction:?}: {rate}");
    }
}

#[test]
fn tcp_uses_the_congestion_control_that_is_selected() {
    if !tools_available() {
        return;
    }
    let path = path(LinkSettings::new(50_000_000, Duration::from_millis(1), 150_000));
    assert!(!path.set_tcp_congestion_control("none"));
    // Cubic is restricted in namespaces of some kernels, and BBR is missing in others.
    for name in ["reno", "cubic", "bbr", "reno"] {
        if !path.set_tcp_congestion_control(name) {
            continue;
        }
        let end = run_iperf(&path, &["--bytes", "100k", "--reverse"]);
        for side in ["sender_tcp_congestion", "receiver_tcp_congestion"] {
            assert_eq!(end[side], name, "{side}");
        }
    }
}

#[test]
fn the_emulator_carries_a_gigabit_a_second() {
    if !tools_available() {
        return;
    }
    let path = path(LinkSettings::new(1_000_000_000, Duration::from_millis(2), 2_000_000));
    // Other programs may use the processors too, so the best of three counts.
    let rates = (0..3).map(|_| {
        let end = run_iperf(&path, &["--time", "2", "--reverse"]);
        end["sum_received"]["bits_per_second"].as_f64().unwrap()
    });
    let best = rates.fold(0.0, f64::max);
    println!("{best} bit/s, {:?}", path.counters(Direction::ToClient));
    assert!(best > 0.85e9, "{best}");
}
