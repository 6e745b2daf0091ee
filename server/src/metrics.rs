//! What is counted of a server: numbers, and no names, paths or addresses. Always counted, which costs next to
//! nothing; shown by a [`page`] if configured. Knows no part of the server.

pub mod host;
pub mod page;

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use quiver_protocol::{Refusal, RefusalCode};
use quiver_transfer::TransferBottleneck;

/// What the other end is called where it limited a transfer.
pub const CLIENT: &str = "client";

/// Which way content goes.
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
    /// As it should.
    Done,
    /// The client was told why not.
    Refused,
    /// The server failed, and its log knows more.
    Failed,
    /// There was nobody left to tell.
    BrokenOff,
}

/// Why a sign-in failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignIn {
    /// A wrong name or password.
    Wrong,
    /// Too many attempts before it.
    TooMany,
}

/// The counters of one server.
#[derive(Debug)]
pub struct Metrics {
    connections: Counter,
    guests: Gauge,
    members: Gauge,
    busy: Counter,
    sign_ins: Family<ByReason, Counter>,
    commands: Family<ByCommand, Counter>,
    sent: Counter,
    received: Counter,
    verified: Family<ByDirection, Counter>,
    running: Family<ByDirection, Gauge>,
    transfers: Family<ByOutcome, Counter>,
    seconds: Family<ByDirection, Histogram>,
    limits: Family<ByLimit, Counter>,
    failures: Counter,
}

/// A connection that is here; gone when dropped.
#[derive(Debug)]
pub struct OpenConnection(Gauge);

/// A command under way. Dropped before it has ended, it was broken off.
#[derive(Debug)]
pub struct RunningCommand<'a> {
    metrics: &'a Metrics,
    command: &'static str,
    outcome: CommandOutcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByDirection {
    direction: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByOutcome {
    direction: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByLimit {
    direction: &'static str,
    by: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByCommand {
    command: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByReason {
    reason: &'static str,
}

impl Metrics {
    /// All at zero.
    #[must_use]
    pub fn new() -> Self {
        // From a millisecond to an hour and more.
        let seconds: fn() -> Histogram = || Histogram::new(exponential_buckets(0.001, 4.0, 12));
        let metrics = Self {
            connections: Counter::default(),
            guests: Gauge::default(),
            members: Gauge::default(),
            busy: Counter::default(),
            sign_ins: Family::default(),
            commands: Family::default(),
            sent: Counter::default(),
            received: Counter::default(),
            verified: Family::default(),
            running: Family::default(),
            transfers: Family::default(),
            seconds: Family::new_with_constructor(seconds),
            limits: Family::default(),
            failures: Counter::default(),
        };
        // What has not happened yet is zero, not unknown.
        for direction in
            [TransferDirection::Get, TransferDirection::Put].map(TransferDirection::label)
        {
            drop(metrics.verified.get_or_create(&ByDirection { direction }));
            drop(metrics.running.get_or_create(&ByDirection { direction }));
            drop(metrics.seconds.get_or_create(&ByDirection { direction }));
            for outcome in ["verified", "failed"] {
                drop(metrics.transfers.get_or_create(&ByOutcome { direction, outcome }));
            }
        }
        for reason in [SignIn::Wrong, SignIn::TooMany].map(SignIn::label) {
            drop(metrics.sign_ins.get_or_create(&ByReason { reason }));
        }
        metrics
    }

    /// A connection is made, by a guest.
    #[must_use]
    pub fn guest(&self) -> OpenConnection {
        self.connections.inc();
        OpenConnection::of(&self.guests)
    }

    /// A guest was welcomed.
    #[must_use]
    pub fn member(&self) -> OpenConnection {
        OpenConnection::of(&self.members)
    }

    /// Somebody found all slots taken, or has as many connections as one may have.
    pub fn busy(&self) {
        self.busy.inc();
    }

    /// A sign-in failed.
    pub fn sign_in_failed(&self, why: SignIn) {
        self.sign_ins.get_or_create(&ByReason { reason: why.label() }).inc();
    }

    /// Something failed inside. The failure's number, from 1.
    pub fn failed(&self) -> u64 {
        self.failures.inc() + 1
    }

    /// A command has begun.
    #[must_use]
    pub fn start_command(&self, command: &'static str) -> RunningCommand<'_> {
        RunningCommand { metrics: self, command, outcome: CommandOutcome::BrokenOff }
    }

    /// A transfer has begun.
    pub fn start_transfer(&self, direction: TransferDirection) {
        self.running.get_or_create(&direction.into()).inc();
    }

    /// So many bytes of content were handed to QUIC, or came.
    pub fn count_content(&self, direction: TransferDirection, bytes: u64) {
        match direction {
            TransferDirection::Get => self.sent.inc_by(bytes),
            TransferDirection::Put => self.received.inc_by(bytes),
        };
    }

    /// A transfer has come to its end, after so many bytes.
    pub fn finish_transfer(
        &self,
        direction: TransferDirection,
        bytes: u64,
        took: Duration,
        limited_by: Option<TransferBottleneck>,
    ) {
        self.transfer_ended(direction, "verified");
        self.verified.get_or_create(&direction.into()).inc_by(bytes);
        self.seconds.get_or_create(&direction.into()).observe(took.as_secs_f64());
        let by = limited_by.map_or_else(|| "unknown".to_owned(), |limit| limit.code(CLIENT));
        self.limits.get_or_create(&ByLimit { direction: direction.label(), by }).inc();
    }

    /// A transfer came to nothing.
    pub fn fail_transfer(&self, direction: TransferDirection) {
        self.transfer_ended(direction, "failed");
    }

    fn transfer_ended(&self, direction: TransferDirection, outcome: &'static str) {
        self.running.get_or_create(&direction.into()).dec();
        let direction = direction.label();
        self.transfers.get_or_create(&ByOutcome { direction, outcome }).inc();
    }

    /// Registers all of them, under the names that people see.
    pub fn register(&self, to: &mut Registry) {
        self.register_people(to);
        self.register_work(to);
        self.register_transfers(to);
    }

    fn register_people(&self, to: &mut Registry) {
        to.register("connections", "Connections that were made", self.connections.clone());
        to.register("guests", "Connections that have not been welcomed (yet)", self.guests.clone());
        to.register("members", "Connections that hold a share of a slot", self.members.clone());
        to.register("busy_refusals", "Hellos that found no slot free", self.busy.clone());
        to.register("sign_in_failures", "Sign-ins that failed", self.sign_ins.clone());
    }

    fn register_work(&self, to: &mut Registry) {
        to.register("commands", "Commands that have ended", self.commands.clone());
        to.register("failures", "Failures of the server, as in its log", self.failures.clone());
    }

    fn register_transfers(&self, to: &mut Registry) {
        to.register_with_unit(
            "content_sent",
            "Content of files that was handed to the network",
            Unit::Bytes,
            self.sent.clone(),
        );
        to.register_with_unit(
            "content_received",
            "Content of files that came",
            Unit::Bytes,
            self.received.clone(),
        );
        to.register_with_unit(
            "content_verified",
            "Content that moved of files that then stood verified and flushed at their receiver",
            Unit::Bytes,
            self.verified.clone(),
        );
        to.register("transfers_running", "Transfers under way", self.running.clone());
        to.register("transfers", "Transfers that have ended", self.transfers.clone());
        to.register_with_unit(
            "transfer",
            "How long verified transfers took",
            Unit::Seconds,
            self.seconds.clone(),
        );
        to.register(
            "transfers_limited",
            "Verified transfers by what limited them",
            self.limits.clone(),
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

impl From<TransferDirection> for ByDirection {
    fn from(direction: TransferDirection) -> Self {
        Self { direction: direction.label() }
    }
}

impl SignIn {
    fn label(self) -> &'static str {
        match self {
            Self::Wrong => "wrong",
            Self::TooMany => "too_many",
        }
    }
}

impl CommandOutcome {
    /// Of a command that was refused with this.
    #[must_use]
    pub fn from_refusal(refusal: &Refusal) -> Self {
        if refusal.code == RefusalCode::Internal { Self::Failed } else { Self::Refused }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::BrokenOff => "broken_off",
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
    /// It is known now which one it is.
    pub fn set_command(&mut self, command: &'static str) {
        self.command = command;
    }

    /// It has ended.
    pub fn finish(mut self, outcome: CommandOutcome) {
        self.outcome = outcome;
    }
}

impl Drop for RunningCommand<'_> {
    fn drop(&mut self) {
        let by = ByCommand { command: self.command, outcome: self.outcome.label() };
        self.metrics.commands.get_or_create(&by).inc();
    }
}
