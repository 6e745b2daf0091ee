//! Congestion control: which controller a connection has, and what it reports. The correction that
//! every controller needs is in `close_aware`.

mod close_aware;
mod model;
mod model_controller;

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use quinn::Connection;
use quinn::congestion::{Controller, ControllerFactory, CubicConfig};
use thiserror::Error;

use self::close_aware::{CloseAwareController, inner_controller};
pub(crate) use self::close_aware::{acknowledged_bytes, remove_limit};
use self::model_controller::{ModelReport, build_model, model_report};

/// Which congestion controller the connections of an endpoint have. Each side chooses for what it
/// sends itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum CongestionControl {
    /// [`Self::Cubic`] on loopback and inside a relay stream, where packets are lost only if a queue is
    /// full and CUBIC costs less, and [`Self::Model`] on every other path.
    #[default]
    Auto,
    /// From a model of the path, made of its delivery rate and its lowest round-trip time: losses
    /// that have other causes than a full queue hardly slow it down.
    Model,
    /// CUBIC (RFC 9438), which takes each lost packet for a full queue.
    Cubic,
}

/// The text names no congestion control.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not auto, model or cubic")]
pub struct UnknownCongestionControl;

/// What the congestion controller of a connection knows at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CongestionReport {
    /// Its algorithm.
    pub algorithm: CongestionAlgorithm,
    /// The congestion window: bytes that may be in flight.
    pub window: u64,
    /// The rate at which the path has delivered data lately, in bytes a second; `None` if nothing was
    /// measured yet, or the controller does not measure it (CUBIC).
    pub delivery_rate: Option<u64>,
    /// The lowest round-trip time of the path: that of the controller's model, or else the lowest of
    /// the connection.
    pub lowest_round_trip: Duration,
    /// What the controller is doing; `None` if it has no phases (CUBIC).
    pub phase: Option<&'static str>,
}

/// Creates the controllers of an endpoint's connections, and can remove all their limits at once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Controllers {
    choice: CongestionControl,
    are_all_closing: Arc<AtomicBool>,
}

/// What a congestion controller goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CongestionAlgorithm {
    /// A model of the path.
    Model,
    /// Losses, with CUBIC (RFC 9438).
    Cubic,
}

/// Bytes that one side of a connection sent, and the other has acknowledged.
#[derive(Debug, Default)]
pub(crate) struct AcknowledgedBytes {
    all: AtomicU64,
    /// Those acknowledged while the connection had nothing more to send.
    app_limited: AtomicU64,
}

/// Creates the controllers of one connection: the first one, and one for each path to which it
/// moves later.
#[derive(Debug)]
struct PathControllers {
    algorithm: CongestionAlgorithm,
    acknowledged: Arc<AcknowledgedBytes>,
    are_all_closing: Arc<AtomicBool>,
}

impl CongestionControl {
    /// All choices.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Model, Self::Cubic];

    /// The name, as people type it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Model => "model",
            Self::Cubic => "cubic",
        }
    }

    fn algorithm(self, can_lose_packets: bool) -> CongestionAlgorithm {
        match self {
            Self::Cubic => CongestionAlgorithm::Cubic,
            Self::Auto if !can_lose_packets => CongestionAlgorithm::Cubic,
            Self::Auto | Self::Model => CongestionAlgorithm::Model,
        }
    }
}

impl FromStr for CongestionControl {
    type Err = UnknownCongestionControl;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|choice| choice.name() == name).ok_or(UnknownCongestionControl)
    }
}

impl CongestionReport {
    /// The report of a connection now.
    ///
    /// # Panics
    /// If the connection is not one of an [`Endpoint`](crate::Endpoint).
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "connections of other endpoints do not reach this crate"
    )]
    pub fn of(connection: &Connection) -> Self {
        let path = connection.stats().path;
        let (algorithm, inner) = inner_controller(connection)
            .expect("an endpoint of this crate creates no other controllers");
        // Not that of the connection, which has no limit while it is closed.
        let window = inner.window();
        let ModelReport { delivery_rate, lowest_round_trip, phase } =
            model_report(inner).unwrap_or_default();
        Self {
            algorithm,
            window,
            delivery_rate,
            lowest_round_trip: lowest_round_trip.unwrap_or(path.min_rtt),
            phase,
        }
    }
}

impl Controllers {
    pub(crate) fn new(choice: CongestionControl) -> Self {
        Self { choice, are_all_closing: Arc::default() }
    }

    /// The factory for one connection, over a path that can lose packets without a full queue, or cannot.
    pub(crate) fn for_path(
        &self,
        can_lose_packets: bool,
    ) -> Arc<dyn ControllerFactory + Send + Sync> {
        Arc::new(PathControllers {
            algorithm: self.choice.algorithm(can_lose_packets),
            acknowledged: Arc::default(),
            are_all_closing: self.are_all_closing.clone(),
        })
    }

    /// Removes the congestion limit of every connection. To be called before they are closed.
    pub(crate) fn remove_all_limits(&self) {
        self.are_all_closing.store(true, Ordering::Relaxed);
    }
}

impl ControllerFactory for PathControllers {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        let inner = match self.algorithm {
            CongestionAlgorithm::Model => build_model(now, current_mtu),
            CongestionAlgorithm::Cubic => Arc::<CubicConfig>::default().build(now, current_mtu),
        };
        let (acknowledged, closing) = (self.acknowledged.clone(), self.are_all_closing.clone());
        Box::new(CloseAwareController::new(self.algorithm, inner, acknowledged, closing))
    }
}

impl CongestionAlgorithm {
    /// Both algorithms.
    pub const ALL: [Self; 2] = [Self::Model, Self::Cubic];

    /// Text for people.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Model => "a model of the path",
            Self::Cubic => "CUBIC",
        }
    }

    /// Code for programs, as in [`CongestionControl::name`].
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Cubic => "cubic",
        }
    }
}

impl AcknowledgedBytes {
    fn add(&self, bytes: u64, is_app_limited: bool) {
        self.all.fetch_add(bytes, Ordering::Relaxed);
        if is_app_limited {
            self.app_limited.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    /// All bytes since the start of the connection, and those acknowledged while the connection had
    /// nothing more to send.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.all.load(Ordering::Relaxed), self.app_limited.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_auto_depends_on_the_path() {
        let algorithms = |choice: CongestionControl| [false, true].map(|it| choice.algorithm(it));
        assert_eq!(
            algorithms(CongestionControl::Auto),
            [CongestionAlgorithm::Cubic, CongestionAlgorithm::Model]
        );
        assert_eq!(algorithms(CongestionControl::Model), [CongestionAlgorithm::Model; 2]);
        assert_eq!(algorithms(CongestionControl::Cubic), [CongestionAlgorithm::Cubic; 2]);
    }

    #[test]
    fn each_choice_has_one_name() {
        for choice in CongestionControl::ALL {
            assert_eq!(choice.name().parse(), Ok(choice));
        }
        assert_eq!("CUBIC".parse::<CongestionControl>(), Err(UnknownCongestionControl));
    }
}
