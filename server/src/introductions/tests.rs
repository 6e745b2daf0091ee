//! Who may use an introduction, for how long, and what is left when it has ended.

use tokio::sync::Semaphore;

use super::*;

const BEN: u64 = 1;
const RON: u64 = 2;
const PETE: u64 = 3;

/// Introductions with the permits of one requester, and a time that the test moves.
struct Fixture {
    introductions: Introductions,
    permits: Arc<Semaphore>,
    now: Instant,
}

impl Fixture {
    fn new() -> Self {
        let (introductions, permits) = (Introductions::default(), Arc::new(Semaphore::new(32)));
        Self { introductions, permits, now: Instant::now() }
    }

    /// Ben asks Ron.
    fn start(&self, number: u8) -> (IntroductionId, PendingIntroduction) {
        let permit = Arc::new(self.permits.clone().try_acquire_owned().unwrap());
        let (id, [ben, ron]) = (id(number), [BEN, RON].map(ConnectionId::of));
        (id, self.introductions.start(id, ben, ron, true, permit))
    }

    /// Ben asks Ron, who accepts.
    fn open(&self, number: u8) -> IntroductionId {
        let (id, pending) = self.start(number);
        self.answer(id, RON, true).unwrap();
        pending.complete();
        id
    }

    fn answer(
        &self,
        id: IntroductionId,
        connection: u64,
        is_accepted: bool,
    ) -> Result<(), UnknownIntroduction> {
        self.introductions.answer(id, ConnectionId::of(connection), is_accepted, self.now)
    }

    fn agree(
        &self,
        id: IntroductionId,
        connection: u64,
    ) -> Result<PendingAgreement, UnknownIntroduction> {
        self.introductions.agree(id, ConnectionId::of(connection), self.now)
    }

    fn join(&self, id: IntroductionId, connection: u64) -> Result<JoinedRelay, JoinError> {
        self.introductions.join_relay(id, ConnectionId::of(connection), self.now)
    }

    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    /// Nothing is left.
    fn assert_empty(&self) {
        assert_eq!(self.introductions.count(self.now), 0);
        assert_eq!(self.permits.available_permits(), 32);
        assert!(self.introductions.0.lock().has_no_orders());
    }
}

fn id(number: u8) -> IntroductionId {
    IntroductionId([number; 16])
}

fn is_resolved(agreement: &PendingAgreement) -> bool {
    agreement.both_agreed.is_cancelled()
}

#[tokio::test]
async fn only_the_asked_connection_answers_and_only_once() {
    let fixture = Fixture::new();
    let (id, mut pending) = fixture.start(1);
    for connection in [BEN, PETE] {
        assert_eq!(fixture.answer(id, connection, true), Err(UnknownIntroduction));
    }
    assert_eq!(fixture.answer(self::id(2), RON, true), Err(UnknownIntroduction));
    assert_eq!(fixture.answer(id, RON, true), Ok(()));
    assert_eq!(fixture.answer(id, RON, true), Err(UnknownIntroduction));
    assert_eq!(pending.answered(Duration::ZERO).await, IntroductionAnswer::Accepted);
    drop(pending);
    fixture.assert_empty();
}

#[tokio::test]
async fn a_declined_introduction_has_ended() {
    let fixture = Fixture::new();
    let (id, mut pending) = fixture.start(1);
    fixture.answer(id, RON, false).unwrap();
    assert_eq!(pending.answered(Duration::ZERO).await, IntroductionAnswer::Declined);
    assert!(fixture.agree(id, RON).is_err());
    drop(pending);
    fixture.assert_empty();
}

#[tokio::test]
async fn the_asked_side_may_decline_what_it_has_accepted() {
    let fixture = Fixture::new();
    let id = fixture.open(1);
    let agreement = fixture.agree(id, BEN).unwrap();
    let mut joined = fixture.join(id, BEN).unwrap();
    for connection in [BEN, PETE] {
        assert_eq!(fixture.answer(id, connection, false), Err(UnknownIntroduction));
    }
    assert_eq!(fixture.introductions.count(fixture.now), 1);
    assert_eq!(fixture.answer(id, RON, false), Ok(()));
    assert_eq!(agreement.resolved().await, Err(IntroductionEnd::Declined));
    assert_eq!(joined.connected().await.unwrap_err(), IntroductionEnd::Declined);
    // It is over for both sides.
    assert_eq!(fixture.answer(id, RON, false), Err(UnknownIntroduction));
    assert_eq!(fixture.agree(id, BEN).unwrap_err(), UnknownIntroduction);
    drop((agreement, joined));
    fixture.assert_empty();
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_is_unknown() {
    let fixture = Fixture::new();
    let (id, mut pending) = fixture.start(1);
    let limit = Duration::from_secs(2);
    assert_eq!(pending.answered(limit).await, IntroductionAnswer::Missing);
    assert_eq!(fixture.answer(id, RON, true), Err(UnknownIntroduction));
    drop(pending);
    fixture.assert_empty();
}

#[tokio::test]
async fn nothing_can_be_used_before_the_answer() {
    let fixture = Fixture::new();
    let (id, pending) = fixture.start(1);
    assert!(fixture.agree(id, BEN).is_err());
    assert_eq!(fixture.join(id, RON).unwrap_err(), JoinError::Unknown(UnknownIntroduction));
    drop(pending);
    fixture.assert_empty();
}

#[tokio::test]
async fn an_introduction_ends_after_30_seconds_without_streams() {
    let mut fixture = Fixture::new();
    let id = fixture.open(1);
    fixture.wait(29);
    assert_eq!(fixture.introductions.count(fixture.now), 1);
    fixture.wait(1);
    assert!(fixture.agree(id, BEN).is_err());
    fixture.assert_empty();
}

#[tokio::test]
async fn a_stream_keeps_an_introduction_open() {
    let mut fixture = Fixture::new();
    let id = fixture.open(1);
    let agreement = fixture.agree(id, BEN).unwrap();
    let joined = fixture.join(id, RON).unwrap();
    fixture.wait(3600);
    drop(agreement);
    assert_eq!(fixture.introductions.count(fixture.now), 1);
    drop(fixture.agree(id, RON).unwrap());
    drop(joined);
    fixture.assert_empty();
    assert!(fixture.join(id, RON).is_err());
}

#[tokio::test]
async fn an_introduction_ends_with_either_connection() {
    for connection in [BEN, RON] {
        let fixture = Fixture::new();
        let id = fixture.open(1);
        let guard = fixture.introductions.end_with(ConnectionId::of(connection));
        drop(fixture.introductions.end_with(ConnectionId::of(PETE)));
        let agreement = fixture.agree(id, BEN).unwrap();
        let mut joined = fixture.join(id, RON).unwrap();
        drop(guard);
        assert_eq!(agreement.resolved().await, Err(UnknownIntroduction.into()));
        assert!(joined.connected().await.is_err());
        drop((agreement, joined));
        fixture.assert_empty();
    }
}

#[tokio::test]
async fn an_introduction_without_relay_has_none() {
    let fixture = Fixture::new();
    let permit = Arc::new(fixture.permits.clone().try_acquire_owned().unwrap());
    let [ben, ron] = [BEN, RON].map(ConnectionId::of);
    let pending = fixture.introductions.start(id(1), ben, ron, false, permit);
    fixture.answer(id(1), RON, true).unwrap();
    assert_eq!(fixture.join(id(1), BEN).unwrap_err(), JoinError::NotRelayed);
    let other_side = |connection| {
        fixture.introductions.other_side(id(1), ConnectionId::of(connection), fixture.now)
    };
    assert_eq!([BEN, RON, PETE].map(other_side), [Ok(ron), Ok(ben), Err(UnknownIntroduction)]);
    drop(pending);
    assert_eq!(other_side(BEN), Err(UnknownIntroduction));
}

#[tokio::test]
async fn foreign_connections_learn_nothing_of_an_introduction() {
    let fixture = Fixture::new();
    let id = fixture.open(1);
    assert_eq!(fixture.agree(id, PETE).unwrap_err(), UnknownIntroduction);
    assert_eq!(fixture.join(id, PETE).unwrap_err(), JoinError::Unknown(UnknownIntroduction));
    assert_eq!(fixture.agree(self::id(9), PETE).unwrap_err(), UnknownIntroduction);
}

#[tokio::test]
async fn addresses_are_told_once_both_sides_have_agreed() {
    let fixture = Fixture::new();
    let id = fixture.open(1);
    // One side's agreements do not make two.
    let first = fixture.agree(id, BEN).unwrap();
    let second = fixture.agree(id, BEN).unwrap();
    assert!(!is_resolved(&first) && !is_resolved(&second));
    // A cancelled agreement does not count.
    drop((first, second));
    let ron = fixture.agree(id, RON).unwrap();
    assert!(!is_resolved(&ron));
    let ben = fixture.agree(id, BEN).unwrap();
    ben.resolved().await.unwrap();
    ron.resolved().await.unwrap();
    assert_eq!([ben.other(), ron.other()], [RON, BEN].map(ConnectionId::of));
    drop((ben, ron));
    // Either may ask again, without the other one.
    fixture.agree(id, RON).unwrap().resolved().await.unwrap();
}

#[tokio::test]
async fn a_relay_has_one_stream_of_each_side_and_can_be_joined_again() {
    let fixture = Fixture::new();
    let id = fixture.open(1);
    for _ in 0..3 {
        let mut ben = fixture.join(id, BEN).unwrap();
        assert_eq!(fixture.join(id, BEN).unwrap_err(), JoinError::AlreadyJoined);
        let mut ron = fixture.join(id, RON).unwrap();
        assert_eq!(fixture.join(id, RON).unwrap_err(), JoinError::AlreadyJoined);
        let _ends = (ben.connected().await.unwrap(), ron.connected().await.unwrap());
    }
}

#[tokio::test]
async fn a_side_that_no_longer_waits_is_not_connected() {
    let fixture = Fixture::new();
    let id = fixture.open(1);
    drop(fixture.join(id, BEN).unwrap());
    let mut ron = fixture.join(id, RON).unwrap();
    let mut ben = fixture.join(id, BEN).unwrap();
    assert!(ben.connected().await.is_ok() && ron.connected().await.is_ok());
}

#[tokio::test]
async fn two_hundred_introductions_leave_nothing() {
    let mut fixture = Fixture::new();
    for round in 0..10 {
        for number in 0..20 {
            let (id, pending) = fixture.start(round * 20 + number);
            match number % 4 {
                0 => drop(pending),
                1 => fixture.answer(id, RON, false).unwrap(),
                2 => {
                    fixture.answer(id, RON, true).unwrap();
                    drop(pending);
                }
                _ => {
                    fixture.answer(id, RON, true).unwrap();
                    pending.complete();
                    drop((fixture.agree(id, BEN).unwrap(), fixture.join(id, RON).unwrap()));
                }
            }
        }
        fixture.wait(30);
        fixture.assert_empty();
    }
}
