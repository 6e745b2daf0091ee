//! The windows of connections whose content moves in simulated time.

use super::*;

const MIB: u64 = 1024 * 1024;
const TICK: Duration = Duration::from_millis(25);
const BOUNDS: Bounds = Bounds { base_receive: 6 * MIB, base_send: MIB, largest: 64 * MIB };
const NO_LIMIT: u64 = u64::MAX;

struct Connection {
    sizes: WindowSizes,
    sample: PathSample,
}

impl Connection {
    fn new(round_trip: Duration) -> Self {
        let sample = PathSample {
            now: Instant::now(),
            round_trip,
            congestion_window: 14_720,
            mtu: 1452,
            sent_packets: 0,
            lost_packets: 0,
            content_read: 0,
            content_written: 0,
            blocked_reports: 0,
            content_remaining: None,
            is_receiving: false,
            is_sending: false,
        };
        let mut sizes = WindowSizes::new(BOUNDS);
        sizes.record(sample);
        Self { sizes, sample }
    }

    fn receiving() -> Self {
        let mut connection = Self::new(Duration::from_millis(100));
        connection.sample.is_receiving = true;
        connection
    }

    /// Adjusts the windows after an interval in which so many bytes were read, with at most `limit`
    /// bytes of the budget.
    fn read(&mut self, bytes: u64, limit: u64) {
        self.sample.now += TICK;
        self.sample.content_read += bytes;
        if self.sample.is_sending {
            self.sample.content_written += bytes;
        }
        if let Some(remaining) = &mut self.sample.content_remaining {
            *remaining -= bytes;
        }
        let wanted = self.sizes.record(self.sample);
        let claim = self.sizes.reservation_of(wanted).min(limit);
        self.sizes.apply(wanted, claim);
        self.sizes.note_send_window(self.sample.content_written);
    }

    fn read_for(&mut self, rate: u64, time: Duration) {
        for _ in 0..(time.as_micros() / TICK.as_micros()) {
            self.read(rate * TICK.as_millis() as u64 / 1000, NO_LIMIT);
        }
    }
}

#[test]
fn the_receive_window_is_four_times_what_is_read_in_a_round_trip() {
    let mut connection = Connection::receiving();
    connection.read_for(100_000_000, Duration::from_secs(1));
    assert_eq!(connection.sizes.receive(), 4 * 10_000_000 + HEADROOM);
    assert_eq!(connection.sizes.reservation(), 4 * 10_000_000 + HEADROOM - 6 * MIB);
    connection.read_for(1_000_000_000, Duration::from_secs(1));
    assert_eq!(connection.sizes.receive(), 64 * MIB);
}

#[test]
fn a_sender_that_quadruples_each_round_trip_is_not_blocked() {
    // Bytes that arrive, and are read, in each interval. What follows of them was sent within the last round trip.
    let growth = 4_f64.powf(0.25);
    let ahead: f64 = (1..=4).map(|interval| growth.powi(interval)).sum();
    let mut connection = Connection::receiving();
    let (mut rate, mut sent_ahead) = (10_000.0, 0.0);
    while rate < 2_000_000.0 {
        rate *= growth;
        sent_ahead = rate * ahead;
        connection.read(rate as u64, NO_LIMIT);
        assert!(connection.sizes.receive() as f64 >= sent_ahead, "{rate}");
    }
    assert!(sent_ahead > 2.0 * BOUNDS.base_receive as f64);
}

#[test]
fn windows_stay_as_they_are_on_a_short_path() {
    let mut connection = Connection::new(SHORT_PATH - Duration::from_nanos(1));
    (connection.sample.is_receiving, connection.sample.is_sending) = (true, true);
    connection.sample.congestion_window = 100 * MIB;
    connection.read_for(1_000_000_000, Duration::from_secs(1));
    assert_eq!((connection.sizes.receive(), connection.sizes.send()), (6 * MIB, MIB));
}

#[test]
fn the_send_window_is_two_and_a_half_congestion_windows() {
    let mut connection = Connection::new(Duration::from_millis(100));
    connection.sample.is_sending = true;
    connection.sample.congestion_window = 4 * MIB;
    connection.read(0, NO_LIMIT);
    assert_eq!(connection.sizes.send(), 10 * MIB);
    connection.sample.congestion_window = MIB;
    connection.read(0, NO_LIMIT);
    assert_eq!(connection.sizes.send(), 10 * MIB - 10 * MIB / 64);
    for _ in 0..200 {
        connection.read(0, NO_LIMIT);
    }
    assert!(connection.sizes.send() <= 5 * MIB / 2 + 64);
    connection.sample.is_sending = false;
    connection.read(0, NO_LIMIT);
    assert_eq!((connection.sizes.send(), connection.sizes.reservation()), (MIB, 0));
}

#[test]
fn the_send_window_is_larger_where_retransmissions_are_lost() {
    let window = |lost_of_thousand: u64| {
        let mut connection = Connection::new(Duration::from_millis(100));
        connection.sample.is_sending = true;
        connection.sample.congestion_window = 4 * MIB;
        for _ in 0..10 {
            connection.sample.sent_packets += 1000;
            connection.sample.lost_packets += lost_of_thousand;
            connection.read(0, NO_LIMIT);
        }
        connection.sizes.send()
    };
    assert_eq!([0, 1, 2, 10].map(window), [10, 10, 18, 18].map(|halves| halves * MIB));
}

#[test]
fn a_smaller_send_window_is_reserved_until_content_is_written_again() {
    let mut connection = Connection::new(Duration::from_millis(100));
    connection.sample.is_sending = true;
    connection.sample.congestion_window = 4 * MIB;
    connection.sample.content_written = 10 * MIB;
    connection.read(0, NO_LIMIT);
    assert_eq!(connection.sizes.reservation(), 9 * MIB);
    // The other side acknowledges nothing, so QUIC keeps everything, and takes nothing more.
    connection.sample.congestion_window = 0;
    for round_trip in [100, 1] {
        connection.sample.round_trip = Duration::from_millis(round_trip);
        for _ in 0..400 {
            connection.read(0, NO_LIMIT);
        }
        assert_eq!((connection.sizes.send(), connection.sizes.reservation()), (MIB, 9 * MIB));
        assert!(connection.sizes.has_send_reservation());
    }
    connection.sample.content_written += 1;
    connection.read(0, NO_LIMIT);
    assert_eq!(connection.sizes.reservation(), 0);
    assert!(!connection.sizes.has_send_reservation());
}

#[test]
fn windows_stay_within_the_budget_while_credit_is_unpaid() {
    let mut connection = Connection::receiving();
    connection.sample.is_sending = true;
    connection.read_for(50_000_000, Duration::from_secs(1));
    connection.sample.congestion_window = 64 * MIB;
    let mut held = connection.sizes.reservation();
    for limit in [12, 9, 7, 12, 3, 9, 20, 10] {
        for read in [0, 0, 100_000] {
            connection.read(read, (limit * MIB).max(held));
            let reserved = connection.sizes.reservation();
            assert!(
                reserved <= (limit * MIB).max(held),
                "{reserved} bytes, {limit} MiB, {held} held"
            );
            held = reserved;
        }
    }
}

#[test]
fn a_sender_that_loses_many_packets_has_few_of_them_missing_at_once() {
    let mut connection = Connection::new(Duration::from_millis(100));
    connection.sample.is_sending = true;
    connection.sample.congestion_window = 64 * MIB;
    for (lost_of_thousand, window) in [(10, 64 * MIB), (50, 20 * 512 * 1452), (900, 1024 * 1452)] {
        for _ in 0..10 {
            connection.sample.sent_packets += 1000;
            connection.sample.lost_packets += lost_of_thousand;
            connection.read(0, NO_LIMIT);
        }
        assert_eq!(connection.sizes.send(), window, "{lost_of_thousand}");
    }
}

#[test]
fn windows_share_what_the_budget_allows() {
    let mut connection = Connection::receiving();
    connection.sample.is_sending = true;
    connection.sample.congestion_window = 64 * MIB;
    for _ in 0..40 {
        connection.read(2_500_000, 9 * MIB);
        assert!(connection.sizes.reservation() <= 9 * MIB);
    }
    assert!(connection.sizes.receive() > 7 * MIB && connection.sizes.send() > 2 * MIB);
}

#[test]
fn credit_that_the_sender_has_is_claimed_until_it_is_paid() {
    let mut connection = Connection::receiving();
    connection.read_for(100_000_000, Duration::from_secs(1));
    let claim = connection.sizes.reservation();
    connection.sample.is_receiving = false;
    connection.read(0, NO_LIMIT);
    assert_eq!((connection.sizes.receive(), connection.sizes.reservation()), (6 * MIB, claim));
    connection.sample.is_receiving = true;
    connection.sample.content_remaining = Some(MIB);
    connection.read(MIB, NO_LIMIT);
    assert_eq!(connection.sizes.reservation(), claim - MIB);
}

#[test]
fn the_last_bytes_of_content_pay_for_the_window() {
    let mut connection = Connection::receiving();
    connection.sample.content_remaining = Some(100_000_000);
    connection.read_for(100_000_000, Duration::from_millis(500));
    assert!(connection.sizes.reservation() > 20 * MIB);
    for _ in 0..20 {
        let before = connection.sizes.receive();
        connection.read(2_500_000, NO_LIMIT);
        let remaining = connection.sample.content_remaining.unwrap();
        // What QUIC has granted already.
        assert!(before >= remaining.min(before), "{remaining}");
    }
    assert_eq!((connection.sizes.receive(), connection.sizes.reservation()), (6 * MIB, 0));
}

#[test]
fn a_budget_that_becomes_short_takes_a_part_once() {
    let mut connection = Connection::receiving();
    connection.read_for(100_000_000, Duration::from_secs(1));
    let growth = connection.sizes.growth.receive;
    for _ in 0..10 {
        connection.read(0, growth - MIB);
    }
    assert_eq!(connection.sizes.growth.receive, growth - MIB);
    assert_eq!(connection.sizes.reservation(), growth);
}

#[test]
fn a_blocked_sender_is_granted_steps_while_content_is_not_read() {
    let mut connection = Connection::receiving();
    connection.read(MIB, NO_LIMIT);
    let receive = connection.sizes.receive();
    connection.sample.blocked_reports += 1;
    // Four round trips without a byte: this is no lost packet.
    for _ in 0..15 {
        connection.read(0, NO_LIMIT);
        assert_eq!(connection.sizes.receive(), receive);
    }
    connection.read(0, NO_LIMIT);
    assert_eq!(connection.sizes.receive(), receive + RESERVE_STEP);
    connection.read(0, NO_LIMIT);
    assert_eq!(connection.sizes.receive(), receive + RESERVE_STEP);
    for _ in 0..2000 {
        connection.sample.blocked_reports += 1;
        connection.read(0, NO_LIMIT);
    }
    assert_eq!(connection.sizes.receive(), receive + RESERVE_LIMIT);
    assert_eq!(connection.sizes.reservation(), connection.sizes.growth.receive);
}

#[test]
fn a_sender_that_is_blocked_learns_at_once_of_content_that_is_read() {
    let mut connection = Connection::receiving();
    connection.sample.blocked_reports += 1;
    let receive = connection.sizes.receive();
    connection.read(100, NO_LIMIT);
    assert_eq!(connection.sizes.receive(), receive + 1);
}

#[test]
fn samples_of_ten_seconds_are_kept_if_round_trips_are_longer() {
    let mut connection = Connection::receiving();
    connection.sample.round_trip = Duration::from_secs(3600);
    connection.read_for(MIB, Duration::from_secs(60));
    let kept = connection.sizes.history.len();
    assert!((400..=402).contains(&kept), "{kept} samples");
}
