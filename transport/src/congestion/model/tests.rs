//! Tests of the model: its parts alone, any sequence of events, and traces of simulated paths.

mod application;
mod bursts;
mod changes;
mod delay;
mod delivery_rate;
mod events;
mod fall;
mod pace;
mod path;
mod poor_paths;
mod random;
mod sharing;
mod silence;
mod simulation;
mod startup;
mod steady;

use std::time::Duration;

/// Bytes of a full packet.
const PACKET: u64 = 1452;

/// As for connections: 32 packets of the least size that every path of QUIC carries.
const INITIAL_WINDOW: u64 = 32 * 1200;

/// Mbit/s in bytes per second.
fn mbit(rate: f64) -> f64 {
    rate * 1e6 / 8.0
}

fn ms(duration: u64) -> Duration {
    Duration::from_millis(duration)
}

fn secs(duration: u64) -> Duration {
    Duration::from_secs(duration)
}
