//! The two clients: each has a member's connection to the server and, over a carrier, the relayed
//! connection. The sender dials the receiver and sends it content.

use std::net::SocketAddr;
use std::time::Duration;

use quinn::{Connection, Endpoint};
use quiver_transport::{Channel, CommandStream, Role};
use tokio::task::JoinSet;

use crate::carrier::{Carrier, NO_TIMEOUT, RelaySettings, carry_in_datagrams, carry_in_stream};
use crate::commands::{self, get, put, request, round_trips};
use crate::relay_socket::CarrierSocket;
use crate::report::{Load, Report};
use crate::{Failure, settings};

/// Pauses between small requests to the server, and to the peer.
const REQUEST_PAUSE: Duration = Duration::from_millis(2);
const MESSAGE_PAUSE: Duration = Duration::from_millis(5);

/// How a client measures.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measurement {
    pub(crate) server: SocketAddr,
    pub(crate) relay: RelaySettings,
    pub(crate) load: Load,
    pub(crate) duration: Duration,
}

/// A client's connections.
struct Client {
    member: Channel,
    peer: Endpoint,
    /// Keeps the socket of the outer connections.
    _outer: Endpoint,
    /// The carrier.
    _tasks: JoinSet<Result<(), Failure>>,
}

impl Client {
    async fn connect(measurement: &Measurement) -> Result<Self, Failure> {
        let Measurement { server, relay, .. } = *measurement;
        let outer = settings::client()?;
        let member = settings::dial(&outer, server, settings::MEMBER).await?;
        let member = Channel::with_fixed_windows(member, Role::Client);
        let socket = CarrierSocket::new(relay.inner_payload);
        let mut tasks = JoinSet::new();
        match relay.carrier {
            Carrier::Direct => {}
            Carrier::Datagrams => {
                let connection = settings::dial(&outer, server, settings::DATAGRAMS).await?;
                let socket = socket.clone();
                tasks.spawn(async move { carry_in_datagrams(&connection, &socket).await });
            }
            Carrier::Stream { .. } => {
                let stream = request(&member, b"relay").await?;
                let (connection, socket) = (member.clone(), socket.clone());
                tasks.spawn(async move {
                    carry_in_stream(&connection, stream, &socket, relay.is_bounded).await
                });
            }
        }
        let peer = settings::peer(socket, &relay)?;
        Ok(Self { member, peer, _outer: outer, _tasks: tasks })
    }
}

/// Sends content to the receiver, or to the server without a relay.
pub(crate) async fn send(measurement: &Measurement) -> Result<Report, Failure> {
    let Measurement { relay, load, duration, .. } = *measurement;
    let client = Client::connect(measurement).await?;
    let channel = match relay.carrier {
        Carrier::Direct => client.member.clone(),
        _ => Channel::with_fixed_windows(
            settings::dial_peer(&client.peer, &relay).await?,
            Role::Peer,
        ),
    };
    let mut report = Report::default();
    if load == Load::Requests {
        let sent = tokio::join!(
            put(&channel, duration),
            round_trips(&client.member, REQUEST_PAUSE, duration),
            round_trips(&channel, MESSAGE_PAUSE, duration),
        );
        (report.rate, report.sender_requests, report.messages) = (Some(sent.0?), sent.1?, sent.2?);
    } else {
        report.rate = Some(put(&channel, duration).await?);
    }
    let path = channel.stats().path;
    report.note = format!(
        "mtu {} lost {} of {} rtt {} ms",
        path.current_mtu,
        path.lost_packets,
        path.sent_packets,
        path.rtt.as_millis()
    );
    channel.close(0_u32.into(), b"");
    client.peer.wait_idle().await;
    Ok(report)
}

/// Receives content from the sender until the sender closes the relayed connection. Calls `ready`
/// once the sender may start.
pub(crate) async fn receive(
    measurement: &Measurement,
    ready: impl FnOnce(),
) -> Result<Report, Failure> {
    let Measurement { load, duration, .. } = *measurement;
    let client = Client::connect(measurement).await?;
    // The server has processed the request for a relay before.
    round_trips(&client.member, Duration::ZERO, Duration::from_millis(1)).await?;
    ready();
    let connection = client.peer.accept().await.ok_or("the endpoint is closed")?.await?;
    let mut report = Report::default();
    let measure = async {
        match load {
            Load::Content => {}
            Load::Requests => {
                report.receiver_requests =
                    round_trips(&client.member, REQUEST_PAUSE, duration).await?;
            }
            Load::Get => report.get = Some(get(&client.member, duration).await?),
        }
        Ok::<_, Failure>(())
    };
    let (_, measured) = tokio::join!(serve_peer(connection), measure);
    measured?;
    client.peer.wait_idle().await;
    Ok(report)
}

/// Serves the peer's commands until it closes the connection.
async fn serve_peer(connection: Connection) {
    let channel = Channel::with_fixed_windows(connection, Role::Peer);
    let mut streams = JoinSet::new();
    while let Ok(stream) = channel.accept().await {
        streams.spawn(serve_stream(stream));
        while streams.try_join_next().is_some() {}
    }
}

async fn serve_stream(mut stream: CommandStream) -> Result<(), Failure> {
    let request = stream.reader.read_frame(64, NO_TIMEOUT).await?;
    commands::serve(stream, &request.payload).await
}
