//! Compares two carriers of a relayed connection between two clients: QUIC datagrams and a stream
//! (docs/decisions/0011-relay-carrier.md). Server, sender and receiver are processes of their own,
//! and the carriers take turns.
//!
//! Usage, in a network namespace whose loopback device carries UDP payloads of 1452 bytes:
//!
//! ```text
//! cargo build --release -p quiver-transport --example relay_carriers
//! unshare --net sh -c 'ip link set lo mtu 1480 up && exec "$@"' sh \
//!     target/release/examples/relay_carriers [wan] [TURNS [SECONDS [CARRIER...]]]
//! ```
//!
//! With `wan`, each client has a path to the server with 20 ms of round trip, 100 Mbit/s, a queue of
//! 256 KiB and 0.1 % loss, so the path between the clients has 40 ms. A `CARRIER` is
//! `NAME-PAYLOAD[-bounded][-queueKIB][-windowKIB]`: `direct`, `datagrams`, `stream` or `spliced` (a
//! stream without a queue in the server); the UDP payload of the relayed connection; whether the
//! send windows of the outer connections follow their congestion windows; the server's queue; and
//! the send window of the relayed connection.

mod carrier;
mod clients;
mod commands;
mod relay_server;
mod relay_socket;
mod report;
mod settings;
mod turns;
mod wan;

use std::net::SocketAddr;
use std::time::Duration;

use crate::clients::Measurement;
use crate::turns::{Plan, print_line};

/// Any error ends the process.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    // As in the product, one thread drives QUIC.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    runtime.block_on(async {
        match arguments[..] {
            ["server", carrier] => {
                let endpoint = settings::server(SocketAddr::from(([127, 0, 0, 1], 0)))?;
                print_line(&endpoint.local_addr()?.to_string());
                relay_server::run(endpoint, carrier.parse()?).await
            }
            ["send", ref measurement @ ..] => {
                print_line(&clients::send(&parse(measurement)?).await?.to_string());
                Ok(())
            }
            ["receive", ref measurement @ ..] => {
                let report = clients::receive(&parse(measurement)?, || print_line("ready")).await?;
                print_line(&report.to_string());
                Ok(())
            }
            _ => turns::run(&Plan::parse(&arguments)?).await,
        }
    })
}

fn parse(arguments: &[&str]) -> Result<Measurement, Failure> {
    let [server, carrier, load, seconds] = arguments else { return Err("four arguments".into()) };
    Ok(Measurement {
        server: server.parse()?,
        relay: carrier.parse()?,
        load: load.parse()?,
        duration: Duration::from_secs_f64(seconds.parse()?),
    })
}
