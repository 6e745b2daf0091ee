//! Sign-in with correct and wrong passwords, delays, and changed files.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;
use tokio::task::JoinSet;

use super::*;
use crate::captured_log::CapturedLog;

const SOURCE: &str = "192.0.2.1";

/// A password file in a temporary folder.
struct TestPasswordFile {
    _folder: TempDir,
    path: PathBuf,
}

impl TestPasswordFile {
    fn new(content: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = Self { path: folder.path().join("passwords"), _folder: folder };
        file.write(content);
        file
    }

    fn write(&self, content: &str) {
        fs::write(&self.path, content).unwrap();
        fs::set_permissions(&self.path, Permissions::from_mode(0o600)).unwrap();
    }

    fn open(&self) -> Passwords {
        Passwords::open(&self.path).unwrap()
    }
}

fn line(name: &str, password: &str) -> String {
    line_at(name, password, HashCost::CHEAP)
}

fn line_at(name: &str, password: &str, cost: HashCost) -> String {
    let hash = StoredHash::create(&secret(password), cost, [7; SALT_BYTES]).unwrap();
    format!("{name}:{hash}\n")
}

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

fn name(text: &str) -> ClientName {
    ClientName::parse(text).unwrap()
}

async fn sign_in(
    passwords: &Passwords,
    account: &str,
    password: &str,
) -> Result<ClientName, SignInError> {
    passwords.sign_in(&name(account), &secret(password), SOURCE.parse().unwrap()).await
}

#[tokio::test(start_paused = true)]
async fn a_client_gets_its_name_as_the_file_spells_it() {
    let passwords = TestPasswordFile::new(&line("Ron", "hunter2")).open();
    assert_eq!(sign_in(&passwords, "rON", "hunter2").await.unwrap().as_str(), "Ron");
    for (account, password) in
        [("Ron", "hunter3"), ("Ron", ""), ("Ron", "Hunter2"), ("Ben", "hunter2")]
    {
        let error = sign_in(&passwords, account, password).await.unwrap_err();
        assert!(matches!(error, SignInError::Failed), "{account} {password}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_name_and_a_wrong_password_cannot_be_told_apart() {
    let file =
        line_at("Ron", "hunter2", HashCost::CHEAP) + &line_at("Ben", "hunter2", HashCost::OTHER);
    let passwords = TestPasswordFile::new(&file).open();
    let (mut messages, mut comparisons, mut delays) = (Vec::new(), Vec::new(), Vec::new());
    for account in ["Ron", "Ben", "Unknown"] {
        for _ in 0..3 {
            let before = Instant::now();
            let error = sign_in(&passwords, account, "wrong").await.unwrap_err();
            messages.push(format!("{error} {error:?}"));
            delays.push(before.elapsed().as_millis());
            comparisons
                .push(passwords.verify_password(&name(account), &secret("wrong")).await.unwrap().1);
        }
    }
    messages.dedup();
    assert_eq!(messages, ["sign-in failed: unknown name or wrong password Failed"]);
    assert_eq!(comparisons, [HashComparison { matches: false, hashes: 2 }; 9]);
    let [ron, ben, unknown] = [0, 3, 6].map(|from| &delays[from..from + 3]);
    assert!(ron == ben && ben == unknown, "{delays:?}");
}

#[tokio::test(start_paused = true)]
async fn each_failure_doubles_the_delay_for_a_minute() {
    let passwords = TestPasswordFile::new(&line("Ron", "hunter2")).open();
    let mut delays = Vec::new();
    for _ in 0..6 {
        let before = Instant::now();
        sign_in(&passwords, "Ron", "wrong").await.unwrap_err();
        delays.push(before.elapsed().as_millis());
    }
    // Tokio's timer has a resolution of a millisecond.
    for (delay, expected) in delays.iter().zip([0, 250, 500, 1000, 2000, 2000]) {
        assert!((expected..expected + 3).contains(delay), "{delays:?}");
    }

    let before = Instant::now();
    sign_in(&passwords, "Ron", "hunter2").await.unwrap();
    assert!(before.elapsed() >= Duration::from_secs(2), "a correct password is delayed too");

    for _ in 0..3 {
        sign_in(&passwords, "Ron", "wrong").await.unwrap_err();
    }
    tokio::time::advance(Duration::from_secs(60)).await;
    let before = Instant::now();
    sign_in(&passwords, "Ron", "hunter2").await.unwrap();
    assert!(before.elapsed() < Duration::from_millis(250));
}

#[tokio::test(start_paused = true)]
async fn concurrent_failed_attempts_are_delayed_like_sequential_ones() {
    let passwords = Arc::new(TestPasswordFile::new(&line("Ron", "hunter2")).open());
    let before = Instant::now();
    let mut attempts = JoinSet::new();
    for _ in 0..5 {
        let passwords = Arc::clone(&passwords);
        attempts.spawn(async move { sign_in(&passwords, "Ron", "wrong").await });
    }
    attempts.join_all().await;
    assert!(before.elapsed() >= Duration::from_millis(250 + 500 + 1000 + 2000));
}

#[tokio::test(start_paused = true)]
async fn concurrent_correct_passwords_are_not_delayed() {
    let passwords = Arc::new(TestPasswordFile::new(&line("Ron", "hunter2")).open());
    let before = Instant::now();
    let mut attempts = JoinSet::new();
    for _ in 0..20 {
        let passwords = Arc::clone(&passwords);
        attempts.spawn(async move { sign_in(&passwords, "Ron", "hunter2").await.unwrap() });
    }
    attempts.join_all().await;
    assert!(before.elapsed() < Duration::from_millis(250));
}

#[tokio::test(start_paused = true)]
async fn a_source_with_sixty_failures_is_refused_without_a_password_check() {
    let passwords = TestPasswordFile::new(&line("Ron", "hunter2")).open();
    for attempt in 0..60 {
        let error = sign_in(&passwords, &format!("name{attempt}"), "wrong").await.unwrap_err();
        assert!(matches!(error, SignInError::Failed), "{attempt}");
    }
    let error = sign_in(&passwords, "Ron", "hunter2").await.unwrap_err();
    assert!(matches!(error, SignInError::TooMany { reason: ThrottleReason::Failures, .. }));
    assert!(error.to_string().ends_with("try again later"));

    let other = "2001:db8::1".parse().unwrap();
    passwords.sign_in(&name("Ron"), &secret("hunter2"), other).await.unwrap();
    tokio::time::advance(Duration::from_secs(60)).await;
    sign_in(&passwords, "Ron", "hunter2").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_attempt_refused_by_a_full_hashing_queue_is_not_a_failure() {
    let mut passwords = TestPasswordFile::new(&line("Ron", "hunter2")).open();
    let pool = std::mem::replace(&mut passwords.hashing_pool, HashingPool::new(0, 0));
    for _ in 0..3 {
        let error = sign_in(&passwords, "Ron", "hunter2").await.unwrap_err();
        assert!(matches!(error, SignInError::TooMany { reason: ThrottleReason::QueueFull, .. }));
    }
    passwords.hashing_pool = pool;
    let before = Instant::now();
    sign_in(&passwords, "Ron", "hunter2").await.unwrap();
    assert!(before.elapsed() < Duration::from_millis(250));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_dropped_during_hashing_is_a_failure() {
    let mut passwords = TestPasswordFile::new(&line("Ron", "hunter2")).open();
    // A pool without permits: the attempt waits until it is dropped.
    let pool = std::mem::replace(&mut passwords.hashing_pool, HashingPool::new(0, 1));
    let timeout = Duration::from_millis(1);
    tokio::time::timeout(timeout, sign_in(&passwords, "Ron", "hunter2")).await.unwrap_err();
    passwords.hashing_pool = pool;
    let before = Instant::now();
    sign_in(&passwords, "Ron", "hunter2").await.unwrap();
    assert!(before.elapsed() >= Duration::from_millis(250));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_dropped_during_the_delay_is_not_counted() {
    let passwords = TestPasswordFile::new(&line("Ron", "hunter2")).open();
    sign_in(&passwords, "Ron", "wrong").await.unwrap_err();
    let timeout = Duration::from_millis(1);
    tokio::time::timeout(timeout, sign_in(&passwords, "Ron", "wrong")).await.unwrap_err();
    let before = Instant::now();
    sign_in(&passwords, "Ron", "hunter2").await.unwrap();
    let delay = before.elapsed().as_millis();
    assert!((250..253).contains(&delay), "{delay}");
}

#[tokio::test(start_paused = true)]
async fn a_changed_file_takes_effect_within_two_seconds() {
    let file = TestPasswordFile::new(&line("Ron", "hunter2"));
    let passwords = Arc::new(file.open());
    let mut tasks = JoinSet::new();
    let watched = Arc::clone(&passwords);
    tasks.spawn(async move { watched.watch().await });

    file.write(&(line("Ron", "changed") + &line("Ben", "new")));
    tokio::time::sleep(Duration::from_secs(2)).await;
    sign_in(&passwords, "Ron", "changed").await.unwrap();
    sign_in(&passwords, "Ben", "new").await.unwrap();
    sign_in(&passwords, "Ron", "hunter2").await.unwrap_err();

    file.write("# no accounts\n");
    tokio::time::sleep(Duration::from_secs(2)).await;
    sign_in(&passwords, "Ben", "new").await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn an_invalid_file_leaves_the_accounts_as_they_were_and_is_logged_once() {
    let file = TestPasswordFile::new(&line("Ron", "hunter2"));
    let passwords = file.open();
    let log = CapturedLog::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _capture = tracing::subscriber::set_default(subscriber);
    let several_checks = Duration::from_secs(5);

    file.write(&format!("{}Ron:s3cret\n", line("Ben", "new")));
    tokio::time::timeout(several_checks, passwords.watch()).await.unwrap_err();
    sign_in(&passwords, "Ron", "hunter2").await.unwrap();
    sign_in(&passwords, "Ben", "new").await.unwrap_err();
    let text = log.take();
    assert_eq!(text.matches("WARN").count(), 1, "{text}");
    assert!(text.contains("passwords, line 2: ") && !text.contains("s3cret"), "{text}");

    file.write(&line("Ben", "new"));
    fs::set_permissions(&file.path, Permissions::from_mode(0o644)).unwrap();
    tokio::time::timeout(several_checks, passwords.watch()).await.unwrap_err();
    sign_in(&passwords, "Ron", "hunter2").await.unwrap();
    let text = log.take();
    assert!(text.matches("WARN").count() == 1 && text.contains("chmod 600"), "{text}");

    fs::remove_file(&file.path).unwrap();
    tokio::time::timeout(several_checks, passwords.watch()).await.unwrap_err();
    sign_in(&passwords, "Ron", "hunter2").await.unwrap();
    assert_eq!(log.take().matches("WARN").count(), 1);

    file.write(&line("Ben", "new"));
    tokio::time::timeout(several_checks, passwords.watch()).await.unwrap_err();
    sign_in(&passwords, "Ben", "new").await.unwrap();
    let text = log.take();
    assert!(text.contains("INFO") && !text.contains("WARN"), "{text}");
}

#[test]
fn an_invalid_file_cannot_be_opened() {
    let file = TestPasswordFile::new("Ron\n");
    let text = Passwords::open(&file.path).unwrap_err().to_string();
    assert!(text.contains("passwords, line 1: "), "{text}");
}
