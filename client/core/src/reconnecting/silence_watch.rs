//! Replaces a connection to a server that is silent, without waiting for its idle timeout. The client dials until there
//! is a new connection or an answer on the present one, and uses the first of them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use quiver_transport::{ConnectionEnd, FrameStats};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::debug;

use super::silence::{PacketCounts, Silence};
use super::{LONGEST_SERVER_PAUSE, ReconnectingSession, RenewedSession, SessionHandle};
use crate::notice::Notice;

/// How often the counts of packets are read during a transfer or a silence.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// The same while nothing happens, so that a computer can sleep.
const IDLE_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// How long a server is silent before the user is told.
const NOTICE_DELAY: Duration = Duration::from_secs(3);

/// How the silence of a connection has ended.
#[derive(Debug)]
enum SilenceEnd {
    /// The server answers on it again.
    Answered,
    /// There is a new connection.
    Renewed(RenewedSession),
    /// The connection was lost, or cannot be replaced.
    Lost,
}

impl ReconnectingSession {
    /// Watches the connection with a server, and each that follows it, until this side closes one. Returns at once if
    /// the session is with another client, whose connections are watched elsewhere.
    pub(crate) async fn watch_silence(self) {
        if self.is_with_peer() {
            return;
        }
        loop {
            self.wait_until_connected().await;
            let handle = self.handle();
            let mut silence = Silence::default();
            let ended: ConnectionEnd = loop {
                tokio::select! {
                    ended = handle.connection.closed() => break ended.into(),
                    () = wait_for_silence(&handle, &mut silence) => {}
                }
                self.0.is_silent.send_replace(true);
                self.replace_silent(&handle, &mut silence).await;
                self.0.is_silent.send_replace(false);
            };
            if ended == ConnectionEnd::ClosedLocally && !handle.is_replaced() {
                return;
            }
        }
    }

    /// Tries to replace a silent connection until it is not silent any more, or has ended.
    async fn replace_silent(&self, handle: &SessionHandle, silence: &mut Silence) {
        let (since, server) = (Instant::now(), self.server_ref().address.host().to_owned());
        let (mut is_reported, is_connecting) = (false, AtomicBool::new(false));
        let end = {
            let replacement = self.dial_replacement(handle, &is_connecting);
            tokio::pin!(replacement);
            loop {
                tokio::select! {
                    biased;
                    _ = handle.connection.closed() => break SilenceEnd::Lost,
                    () = wait_for_answers(handle, silence) => break SilenceEnd::Answered,
                    end = &mut replacement => break end,
                    () = sleep_until(since + NOTICE_DELAY), if !is_reported => {
                        is_reported = true;
                        let (server, is_connecting) =
                            (server.clone(), is_connecting.load(Ordering::Relaxed));
                        let notice = Notice::NoAnswer { server, is_connecting };
                        self.0.reporter.notify(notice).await;
                    }
                }
            }
        };
        debug!(?end, silent_for = ?since.elapsed(), "the end of a silence");
        match end {
            SilenceEnd::Renewed(renewed) => {
                // Before the new session is current, so that operations that fail find it.
                self.set_session(renewed);
                handle.close_replaced();
            }
            SilenceEnd::Answered => {}
            // Transfers report the loss, and reconnect.
            SilenceEnd::Lost => return,
        }
        if is_reported {
            self.0.reporter.notify(Notice::AnswersAgain { server }).await;
        }
    }

    /// Dials until there is another session. `is_connecting` tells whether this does so at a moment.
    async fn dial_replacement(
        &self,
        handle: &SessionHandle,
        is_connecting: &AtomicBool,
    ) -> SilenceEnd {
        handle.wait_until_replaceable().await;
        let mut source = self.0.source.lock().await;
        is_connecting.store(true, Ordering::Relaxed);
        loop {
            match source.reconnect().await {
                Ok(_) if !handle.is_replaceable() => {
                    is_connecting.store(false, Ordering::Relaxed);
                    handle.wait_until_replaceable().await;
                    is_connecting.store(true, Ordering::Relaxed);
                }
                Ok(renewed) => return SilenceEnd::Renewed(renewed),
                Err(failure) if failure.is_transient() => {
                    debug!(%failure, "no replacement for a silent connection");
                    sleep(LONGEST_SERVER_PAUSE).await;
                }
                Err(failure) => {
                    debug!(%failure, "a silent connection cannot be replaced");
                    is_connecting.store(false, Ordering::Relaxed);
                    handle.connection.closed().await;
                    return SilenceEnd::Lost;
                }
            }
        }
    }
}

async fn wait_for_silence(handle: &SessionHandle, silence: &mut Silence) {
    wait_until(handle, silence, true).await;
}

async fn wait_for_answers(handle: &SessionHandle, silence: &mut Silence) {
    wait_until(handle, silence, false).await;
}

/// Reads the counts of packets until the connection is silent, or until it is not.
async fn wait_until(handle: &SessionHandle, silence: &mut Silence, is_silent: bool) {
    loop {
        let is_busy = !is_silent || handle.has_content();
        sleep(if is_busy { POLL_INTERVAL } else { IDLE_POLL_INTERVAL }).await;
        let statistics = handle.connection.stats();
        let counts = PacketCounts {
            received: statistics.udp_rx.datagrams,
            // A probe of the path MTU may be lost on a path that answers.
            sent: ack_eliciting_frames(&statistics.frame_tx)
                .saturating_sub(statistics.path.sent_plpmtud_probes),
            round_trip: statistics.path.rtt,
            has_content: handle.has_content(),
        };
        if silence.update(counts, Instant::now()) == is_silent {
            return;
        }
    }
}

/// The number of sent frames that the server must acknowledge (RFC 9002, 2). Acknowledgements are not among them: after the
/// last one, a server that has nothing to say is rightly silent.
fn ack_eliciting_frames(sent: &FrameStats) -> u64 {
    sent.stream
        + sent.ping
        + sent.reset_stream
        + sent.stop_sending
        + sent.max_data
        + sent.max_stream_data
        + sent.max_streams_bidi
        + sent.new_connection_id
        + sent.retire_connection_id
        + sent.path_challenge
        + sent.path_response
}
