//! Argon2 hashes and the pool that computes them.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::mpsc;
use std::task::Poll;

use tokio::task::JoinSet;

use super::*;

impl HashCost {
    /// A cost low enough for tests.
    pub(crate) const CHEAP: Self = Self { memory_kib: 8, passes: 1, lanes: 1 };

    /// Another low cost.
    pub(crate) const OTHER: Self = Self { memory_kib: 16, passes: 2, lanes: 2 };
}

const SALT_TEXT: &str = "c2FsdHNhbHRzYWx0c2E";
const OUTPUT_TEXT: &str = "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI";

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

fn stored(password: &str, cost: HashCost) -> StoredHash {
    StoredHash::parse(&StoredHash::create(&secret(password), cost, [7; SALT_BYTES]).unwrap())
        .unwrap()
}

fn with_params(params: &str) -> String {
    format!("$argon2id$v=19${params}${SALT_TEXT}${OUTPUT_TEXT}")
}

fn problem(text: &str) -> HashProblem {
    StoredHash::parse(text).unwrap_err()
}

#[test]
fn a_new_hash_is_argon2id_with_19_mib_and_two_passes() {
    let text = StoredHash::create(&secret("hunter2"), HashCost::DEFAULT, [7; SALT_BYTES]).unwrap();
    assert!(text.starts_with("$argon2id$v=19$m=19456,t=2,p=1$BwcHBwcHBwcHBwcHBwcHBw$"), "{text}");
    let hash = StoredHash::parse(&text).unwrap();
    assert_eq!(hash.cost, HashCost::DEFAULT);
    assert!(verify(&secret("hunter2"), Some(&hash), &[hash.cost]).unwrap().matches);
    assert!(!verify(&secret("hunter3"), Some(&hash), &[hash.cost]).unwrap().matches);
}

#[test]
fn a_hash_of_the_reference_program_is_accepted() {
    // echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1 (its own tests, m in KiB)
    let text = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$\
                CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
    let hash = StoredHash::parse(text).unwrap();
    assert!(verify(&secret("password"), Some(&hash), &[hash.cost]).unwrap().matches);
}

#[test]
fn only_argon2id_version_19_is_accepted() {
    let good = with_params("m=8,t=1,p=1");
    StoredHash::parse(&good).unwrap();
    for other in ["argon2i", "argon2d", "argon2", "argon2idx", "scrypt"] {
        assert_eq!(problem(&good.replace("argon2id", other)), HashProblem::Algorithm);
    }
    for other in ["", "x", "hunter2", "$2b$12$abcdefghijklmnopqrstuv", "$6$salt$hash"] {
        assert_eq!(problem(other), HashProblem::Algorithm);
    }
    assert_eq!(problem(&good.replace("v=19", "v=16")), HashProblem::Version);
    assert_eq!(problem(&good.replace("$v=19", "")), HashProblem::Version);
}

#[test]
fn a_hash_may_cost_256_mib_ten_passes_and_four_lanes_at_most() {
    StoredHash::parse(&with_params("m=262144,t=10,p=4")).unwrap();
    let most = u32::MAX;
    for params in
        ["m=262145,t=1,p=1", "m=8,t=11,p=1", "m=40,t=1,p=5", &format!("m={most},t={most},p={most}")]
    {
        assert_eq!(problem(&with_params(params)), HashProblem::TooCostly, "{params}");
    }
}

#[test]
fn parameters_that_argon2_does_not_accept_are_rejected() {
    for params in ["m=7,t=1,p=1", "m=0,t=1,p=1", "m=8,t=0,p=1", "m=8,t=1,p=0", "m=31,t=1,p=4"] {
        assert_eq!(problem(&with_params(params)), HashProblem::InvalidParams, "{params}");
    }
}

#[test]
fn a_hash_has_exactly_its_five_fields_and_three_parameters() {
    let good = with_params("m=8,t=1,p=1");
    for bad in [
        good.replace("m=8,t=1,p=1", "m=8,t=1"),
        good.replace("m=8,t=1,p=1", "t=1,m=8,p=1"),
        good.replace("m=8,t=1,p=1", "m=8,t=1,p=1,m=16"),
        good.replace("m=8,t=1,p=1", "m=8,t=1,p=1,data=AAAA"),
        good.replace("m=8,t=1,p=1", "m=8,t=1,p=1,keyid=AAAA"),
        good.replace("m=8,t=1,p=1", "m=08,t=1,p=1"),
        good.replace("m=8,t=1,p=1", "m=99999999999,t=1,p=1"),
        good.replace("m=8,t=1,p=1", "m=8,t=1,p=1,x=1"),
        good.replace("m=8,t=1,p=1$", ""),
        good.replace(SALT_TEXT, "c2FsdA"),
        good.replace(SALT_TEXT, "****************"),
        good.replace(SALT_TEXT, ""),
        good.replace(OUTPUT_TEXT, "MTIz"),
        good.replace(OUTPUT_TEXT, ""),
        good.replace(&format!("${OUTPUT_TEXT}"), ""),
        format!("{good}$more"),
        format!("{good} "),
        format!("{good}="),
    ] {
        assert_eq!(problem(&bad), HashProblem::Malformed, "{bad}");
    }
}

#[test]
fn a_matching_a_wrong_and_a_missing_hash_take_the_same_work() {
    let costs = [HashCost::CHEAP, HashCost::OTHER];
    let (cheap, other) = (stored("hunter2", HashCost::CHEAP), stored("hunter2", HashCost::OTHER));
    let mut hash_counts = Vec::new();
    for hash in [None, Some(&cheap), Some(&other)] {
        for password in ["hunter2", "hunter3", ""] {
            let comparison = verify(&secret(password), hash, &costs).unwrap();
            assert_eq!(comparison.matches, hash.is_some() && password == "hunter2");
            hash_counts.push(comparison.hashes);
        }
    }
    assert_eq!(hash_counts, [costs.len(); 9]);
}

#[test]
fn a_hash_whose_cost_is_not_computed_does_not_match() {
    let comparison =
        verify(&secret("hunter2"), Some(&stored("hunter2", HashCost::OTHER)), &[HashCost::CHEAP])
            .unwrap();
    assert!(!comparison.matches);
}

#[test]
fn the_debug_output_of_a_hash_does_not_contain_it() {
    let shown = format!("{:?}", StoredHash::parse(&with_params("m=8,t=1,p=1")).unwrap());
    assert!(!shown.contains("115, 97, 108, 116") && !shown.contains(SALT_TEXT), "{shown}");
}

/// Polls a future once. `None` where it is pending.
async fn poll_once<F: Future>(future: &mut Pin<Box<F>>) -> Option<F::Output> {
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

#[tokio::test]
async fn work_waits_in_a_bounded_queue() {
    let pool = HashingPool::new(1, 1);
    let (finish, held) = mpsc::channel::<()>();
    let mut first = Box::pin(pool.run(move || held.recv().unwrap()));
    assert!(poll_once(&mut first).await.is_none());
    let mut second = Box::pin(pool.run(|| 2));
    assert!(poll_once(&mut second).await.is_none());
    assert!(matches!(pool.run(|| 3).await, Err(HashingError::Full)));

    finish.send(()).unwrap();
    first.await.unwrap();
    assert_eq!(second.await.unwrap(), 2);
    assert_eq!(pool.run(|| 3).await.unwrap(), 3);
}

#[tokio::test]
async fn a_caller_dropped_during_hashing_frees_its_permits_when_the_hash_is_done() {
    let pool = HashingPool::new(1, 1);
    let (finish, held) = mpsc::channel::<()>();
    let mut dropped = Box::pin(pool.run(move || held.recv().unwrap()));
    assert!(poll_once(&mut dropped).await.is_none());
    drop(dropped);
    assert_eq!(
        (pool.running_permits.available_permits(), pool.queue_permits.available_permits()),
        (0, 1)
    );

    let mut next = Box::pin(pool.run(|| 2));
    assert!(poll_once(&mut next).await.is_none());
    finish.send(()).unwrap();
    assert_eq!(next.await.unwrap(), 2);
}

#[tokio::test]
async fn a_caller_dropped_while_it_waits_frees_its_place_in_the_queue() {
    let pool = HashingPool::new(1, 1);
    let (finish, held) = mpsc::channel::<()>();
    let mut first = Box::pin(pool.run(move || held.recv().unwrap()));
    assert!(poll_once(&mut first).await.is_none());
    let mut waiting = Box::pin(pool.run(|| 2));
    assert!(poll_once(&mut waiting).await.is_none());
    drop(waiting);
    let mut next = Box::pin(pool.run(|| 3));
    assert!(poll_once(&mut next).await.is_none(), "it waits in the queue");
    finish.send(()).unwrap();
    assert_eq!(next.await.unwrap(), 3);
    first.await.unwrap();
}

#[tokio::test]
async fn work_that_panics_frees_its_permit() {
    let pool = Arc::new(HashingPool::new(1, 0));
    let other = pool.clone();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { other.run::<()>(|| panic!("on purpose")).await });
    assert!(tasks.join_next().await.unwrap().unwrap_err().is_panic());
    assert_eq!(pool.run(|| 1).await.unwrap(), 1);
}
