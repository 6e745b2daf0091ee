//! The server's metrics: numbers, without names, paths or addresses. They are always counted, at almost no cost, and
//! shown by a [`page`] if configured. Knows no other part of the server.

pub mod host;
mod network;
pub mod page;
mod relay;

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use quiver_protocol::{Refusal, RefusalCode};
use quiver_transfer::TransferBottleneck;

pub use self::network::NetworkMetrics;
pub use self::relay::{DropReason, IntroductionOutcome, RelayMetrics};

/// The name of the remote side where it limited a transfer.
pub const CLIENT: &str = "client";

/// The direction in which the content of a transfer moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransferDirection {
    /// To a client.
    Get,
    /// From a client.
    Put,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CommandOutcome {
    /// It succeeded.
    Done,
    /// It was refused; the client received the reason.
    Refused,
    /// The server failed; its log has the reason.
    Failed,
    /// The client or its connection ended it.
    Interrupted,
}

/// Why a sign-in failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignInFailure {
    /// Unknown name or wrong password.
    WrongCredentials,
    /// Too many attempts.
    TooManyAttempts,
}

/// The counters of one server.
#[derive(Debug)]
pub struct Metrics {
    connections: Counter,
    guests: Gauge,
    members: Gauge,
    busy_refusals: Counter,
    sign_in_failures: Family<SignInLabels, Counter>,
    commands: Family<CommandLabels, Counter>,
    content_sent: Counter,
    content_received: Counter,
    content_verified: Family<DirectionLabels, Counter>,
    running_transfers: Family<DirectionLabels, Gauge>,
    transfers: Family<OutcomeLabels, Counter>,
    transfer_seconds: Family<DirectionLabels, Histogram>,
    bottlenecks: Family<BottleneckLabels, Counter>,
    failures: Counter,
    /// Introductions and relays.
    pub relay: RelayMetrics,
    /// Packets and congestion control.
    pub network: NetworkMetrics,
}

/// A connection in the count of open ones. Dropping it removes it from the count.
#[derive(Debug)]
pub struct OpenConnection(Gauge);

/// A running command. If it is dropped before [`finish`](Self::finish), it counts as interrupted.
#[derive(Debug)]
pub struct RunningCommand<'a> {
    metrics: &'a Metrics,
    command: &'static str,
    outcome: CommandOutcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DirectionLabels {
    direction: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    direction: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BottleneckLabels {
    direction: &'static str,
    by: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CommandLabels {
    command: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SignInLabels {
    reason: &'static str,
}

impl Metrics {
    /// Creates the metrics, all at zero.
    #[must_use]
    pub fn new() -> Self {
        // From a millisecond to an hour and more.
        let new_histogram: fn() -> Histogram =
            || Histogram::new(exponential_buckets(0.001, 4.0, 12));
        let metrics = Self {
            connections: Counter::default(),
            guests: Gauge::default(),
            members: Gauge::default(),
            busy_refusals: Counter::default(),
            sign_in_failures: Family::default(),
            commands: Family::default(),
            content_sent: Counter::default(),
            content_received: Counter::default(),
            content_verified: Family::default(),
            running_transfers: Family::default(),
            transfers: Family::default(),
            transfer_seconds: Family::new_with_constructor(new_histogram),
            bottlenecks: Family::default(),
            failures: Counter::default(),
            relay: RelayMetrics::new(),
            network: NetworkMetrics::new(),
        };
        // Series are created at zero, so that Prometheus does not see them as missing.
        for direction in
            [TransferDirection::Get, TransferDirection::Put].map(TransferDirection::label)
        {
            drop(metrics.content_verified.get_or_create(&DirectionLabels { direction }));
            drop(metrics.running_transfers.get_or_create(&DirectionLabels { direction }));
            drop(metrics.transfer_seconds.get_or_create(&DirectionLabels { direction }));
            for outcome in ["verified", "failed"] {
                drop(metrics.transfers.get_or_create(&OutcomeLabels { direction, outcome }));
            }
        }
        for reason in [SignInFailure::WrongCredentials, SignInFailure::TooManyAttempts]
            .map(SignInFailure::label)
        {
            drop(metrics.sign_in_failures.get_or_create(&SignInLabels { reason }));
        }
        metrics
    }

    /// Counts a new connection, and the guest for as long as the result lives.
    #[must_use]
    pub fn count_guest(&self) -> OpenConnection {
        self.connections.inc();
        OpenConnection::of(&self.guests)
    }

    /// Counts a member for as long as the result lives.
    #[must_use]
    pub fn count_member(&self) -> OpenConnection {
        OpenConnection::of(&self.members)
    }

    /// Counts a hello that was refused because all slots are in use, the client has the maximum number of
    /// connections, or the registry is unavailable.
    pub fn count_busy_refusal(&self) {
        self.busy_refusals.inc();
    }

    /// Counts a failed sign-in.
    pub fn count_sign_in_failure(&self, reason: SignInFailure) {
        self.sign_in_failures.get_or_create(&SignInLabels { reason: reason.label() }).inc();
    }

    /// Counts an internal failure, and returns its number, from 1.
    pub fn count_failure(&self) -> u64 {
        self.failures.inc() + 1
    }

    /// Starts counting a command.
    #[must_use]
    pub fn start_command(&self, command: &'static str) -> RunningCommand<'_> {
        RunningCommand { metrics: self, command, outcome: CommandOutcome::Interrupted }
    }

    /// Counts a transfer as running.
    pub fn start_transfer(&self, direction: TransferDirection) {
        self.running_transfers.get_or_create(&direction.into()).inc();
    }

    /// Counts `bytes` of content that QUIC took for sending, or that were received.
    pub fn count_content(&self, direction: TransferDirection, bytes: u64) {
        match direction {
            TransferDirection::Get => self.content_sent.inc_by(bytes),
            TransferDirection::Put => self.content_received.inc_by(bytes),
        };
    }

    /// Counts a verified transfer that moved `bytes` of content.
    pub fn finish_transfer(
        &self,
        direction: TransferDirection,
        bytes: u64,
        duration: Duration,
        bottleneck: Option<TransferBottleneck>,
    ) {
        self.end_transfer(direction, "verified");
        self.content_verified.get_or_create(&direction.into()).inc_by(bytes);
        self.transfer_seconds.get_or_create(&direction.into()).observe(duration.as_secs_f64());
        let by =
            bottleneck.map_or_else(|| "unknown".to_owned(), |bottleneck| bottleneck.code(CLIENT));
        self.bottlenecks
            .get_or_create(&BottleneckLabels { direction: direction.label(), by })
            .inc();
        if let Some(network @ TransferBottleneck::Network(_)) = bottleneck {
            self.network.count_limit(direction, network.network_limit());
        }
    }

    /// Counts a failed transfer.
    pub fn fail_transfer(&self, direction: TransferDirection) {
        self.end_transfer(direction, "failed");
    }

    fn end_transfer(&self, direction: TransferDirection, outcome: &'static str) {
        self.running_transfers.get_or_create(&direction.into()).dec();
        let direction = direction.label();
        self.transfers.get_or_create(&OutcomeLabels { direction, outcome }).inc();
    }

    /// Registers all metrics under their exported names.
    pub fn register(&self, registry: &mut Registry) {
        self.register_clients(registry);
        self.register_commands(registry);
        self.register_transfers(registry);
        self.relay.register(registry);
        self.network.register(registry);
    }

    fn register_clients(&self, registry: &mut Registry) {
        registry.register(
            "connections",
            "Connections since the start of the server",
            self.connections.clone(),
        );
        registry.register(
            "guests",
            "Open connections that have not signed in",
            self.guests.clone(),
        );
        registry.register("members", "Open connections of signed-in clients", self.members.clone());
        registry.register(
            "busy_refusals",
            "Hellos refused because the server was busy",
            self.busy_refusals.clone(),
        );
        registry.register("sign_in_failures", "Failed sign-ins", self.sign_in_failures.clone());
    }

    fn register_commands(&self, registry: &mut Registry) {
        registry.register("commands", "Finished commands", self.commands.clone());
        registry.register("failures", "Internal failures, as in the log", self.failures.clone());
    }

    fn register_transfers(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "content_sent",
            "File content handed to the network",
            Unit::Bytes,
            self.content_sent.clone(),
        );
        registry.register_with_unit(
            "content_received",
            "File content received",
            Unit::Bytes,
            self.content_received.clone(),
        );
        registry.register_with_unit(
            "content_verified",
            "File content moved by transfers that the receiver verified and flushed",
            Unit::Bytes,
            self.content_verified.clone(),
        );
        registry.register("transfers_running", "Running transfers", self.running_transfers.clone());
        registry.register("transfers", "Finished transfers", self.transfers.clone());
        registry.register_with_unit(
            "transfer",
            "Duration of verified transfers",
            Unit::Seconds,
            self.transfer_seconds.clone(),
        );
        registry.register(
            "transfers_limited",
            "Verified transfers by bottleneck",
            self.bottlenecks.clone(),
        );
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl TransferDirection {
    fn label(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Put => "put",
        }
    }
}

impl From<TransferDirection> for DirectionLabels {
    fn from(direction: TransferDirection) -> Self {
        Self { direction: direction.label() }
    }
}

impl SignInFailure {
    fn label(self) -> &'static str {
        match self {
            Self::WrongCredentials => "wrong",
            Self::TooManyAttempts => "too_many",
        }
    }
}

impl CommandOutcome {
    /// The outcome of a command that was refused with `refusal`.
    #[must_use]
    pub fn from_refusal(refusal: &Refusal) -> Self {
        if refusal.code == RefusalCode::Internal { Self::Failed } else { Self::Refused }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Interrupted => "broken_off",
        }
    }
}

impl OpenConnection {
    fn of(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl RunningCommand<'_> {
    /// Sets the command's name once its request is read.
    pub fn set_command(&mut self, command: &'static str) {
        self.command = command;
    }

    /// Sets the outcome of a command that is dropped.
    pub fn set_interrupted_outcome(&mut self, outcome: CommandOutcome) {
        self.outcome = outcome;
    }

    /// Ends the command with `outcome`.
    pub fn finish(mut self, outcome: CommandOutcome) {
        self.outcome = outcome;
    }
}

impl Drop for RunningCommand<'_> {
    fn drop(&mut self) {
        let labels = CommandLabels { command: self.command, outcome: self.outcome.label() };
        self.metrics.commands.get_or_create(&labels).inc();
    }
}
