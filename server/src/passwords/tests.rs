//! Sign-in as a whole: right and wrong passwords, delays, files that change.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;
use tokio::task::JoinSet;

use super::*;

const SOURCE: &str = "192.0.2.1";

/// A password file in a folder of its own.
struct Disk {
    _folder: TempDir,
    path: PathBuf,
}

impl Disk {
    fn with(content: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let disk = Self { path: folder.path().join("passwords"), _folder: folder };
        disk.write(content);
        disk
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
    line_at(name, password, Cost::CHEAP)
}

fn line_at(name: &str, password: &str, cost: Cost) -> String {
    let hash = StoredHash::create(&secret(password), cost, [7; SALT]).unwrap();
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
async fn a_client_signs_in_under_the_name_the_file_spells() {
    let passwords = Disk::with(&line("Ron", "hunter2")).open();
    assert_eq!(sign_in(&passwords, "rON", "hunter2").await.unwrap().as_str(), "Ron");
    for (account, password) in
        [("Ron", "hunter3"), ("Ron", ""), ("Ron", "Hunter2"), ("Ben", "hunter2")]
    {
        let error = sign_in(&passwords, account, password).await.unwrap_err();
        assert!(matches!(error, SignInError::Failed), "{account} {password}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_name_and_a_wrong_password_are_the_same() {
    let file = line_at("Ron", "hunter2", Cost::CHEAP) + &line_at("Ben", "hunter2", Cost::OTHER);
    let passwords = Disk::with(&file).open();
    let (mut answers, mut verdicts, mut delays) = (Vec::new(), Vec::new(), Vec::new());
    for account in ["Ron", "Ben", "Nobody"] {
        for _ in 0..3 {
            let before = Instant::now();
            let error = sign_in(&passwords, account, "wrong").await.unwrap_err();
            answers.push(format!("{error} {error:?}"));
            delays.push(before.elapsed().as_millis());
            verdicts.push(passwords.judge(&name(account), &secret("wrong")).await.unwrap().1);
        }
    }
    answers.dedup();
    assert_eq!(answers, ["sign-in failed: unknown name or wrong password Failed"]);
    assert_eq!(verdicts, [Verdict { matches: false, hashes: 2 }; 9]);
    let [ron, ben, nobody] = [0, 3, 6].map(|from| &delays[from..from + 3]);
    assert!(ron == ben && ben == nobody, "{delays:?}");
}

#[tokio::test(start_paused = true)]
async fn each_failure_doubles_the_delay_until_it_is_forgotten() {
    let passwords = Disk::with(&line("Ron", "hunter2")).open();
    let mut delays = Vec::new();
    for _ in 0..6 {
        let before = Instant::now();
        sign_in(&passwords, "Ron", "wrong").await.unwrap_err();
        delays.push(before.elapsed().as_millis());
    }
    // tokio's timer has steps of a millisecond.
    for (delay, wanted) in delays.iter().zip([0, 250, 500, 1000, 2000, 2000]) {
        assert!((wanted..wanted + 3).contains(delay), "{delays:?}");
    }

    let before = Instant::now();
    sign_in(&passwords, "Ron", "hunter2").await.unwrap();
    assert!(before.elapsed() >= Duration::from_secs(2), "the right password waits too");

    for _ in 0..3 {
        sign_in(&passwords, "Ron", "wrong").await.unwrap_err();
    }
    tokio::time::advance(Duration::from_secs(60)).await;
    let before = Instant::now();
    sign_in(&passwords, "Ron", "hunter2").await.unwrap();
    assert!(before.elapsed() < Duration::from_millis(250));
}

#[tokio::test(start_paused = true)]
async fn many_attempts_at_once_are_slowed_down_like_one_after_the_other() {
    let passwords = Arc::new(Disk::with(&line("Ron", "hunter2")).open());
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
async fn many_right_passwords_at_once_are_not_slowed_down() {
    let passwords = Arc::new(Disk::with(&line("Ron", "hunter2")).open());
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
async fn the_sixty_first_failure_of_a_source_is_refused_unseen() {
    let passwords = Disk::with(&line("Ron", "hunter2")).open();
    for attempt in 0..60 {
        let error = sign_in(&passwords, &format!("name{attempt}"), "wrong").await.unwrap_err();
        assert!(matches!(error, SignInError::Failed), "{attempt}");
    }
    let error = sign_in(&passwords, "Ron", "hunter2").await.unwrap_err();
    assert!(matches!(error, SignInError::TooMany { what: ThrottleReason::Failures, .. }));
    assert!(error.to_string().ends_with("try again later"));

    let other = "2001:db8::1".parse().unwrap();
    passwords.sign_in(&name("Ron"), &secret("hunter2"), other).await.unwrap();
    tokio::time::advance(Duration::from_secs(60)).await;
    sign_in(&passwords, "Ron", "hunter2").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_full_hashing_queue_says_later_and_is_nobodys_failure() {
    let mut passwords = Disk::with(&line("Ron", "hunter2")).open();
    let bench = std::mem::replace(&mut passwords.workbench, HashingPool::new(0, 0));
    for _ in 0..3 {
        let error = sign_in(&passwords, "Ron", "hunter2").await.unwrap_err();
        assert!(matches!(error, SignInError::TooMany { what: ThrottleReason::Waiting, .. }));
    }
    passwords.workbench = bench;
    let before = Instant::now();
    sign_in(&passwords, "Ron", "hunter2").await.unwrap();
    assert!(before.elapsed() < Duration::from_millis(250));
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_while_hashing_has_failed() {
    let mut passwords = Disk::with(&line("Ron", "hunter2")).open();
    // Nobody ever gets a permit here: the attempt waits until its caller goes.
    let bench = std::mem::replace(&mut passwords.workbench, HashingPool::new(0, 1));
    let patience = Duration::from_millis(1);
    tokio::time::timeout(patience, sign_in(&passwords, "Ron", "hunter2")).await.unwrap_err();
    passwords.workbench = bench;
    let before = Instant::now();
    sign_in(&passwords, "Ron", "hunter2").await.unwrap();
    assert!(before.elapsed() >= Duration::from_millis(250));
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_during_the_delay_changes_nothing() {
    let passwords = Disk::with(&line("Ron", "hunter2")).open();
    sign_in(&passwords, "Ron", "wrong").await.unwrap_err();
    let patience = Duration::from_millis(1);
    tokio::time::timeout(patience, sign_in(&passwords, "Ron", "wrong")).await.unwrap_err();
    let before = Instant::now();
    sign_in(&passwords, "Ron", "hunter2").await.unwrap();
    let delay = before.elapsed().as_millis();
    assert!((250..253).contains(&delay), "{delay}");
}

#[tokio::test(start_paused = true)]
async fn a_changed_file_is_live_within_two_seconds() {
    let disk = Disk::with(&line("Ron", "hunter2"));
    let passwords = Arc::new(disk.open());
    let mut tasks = JoinSet::new();
    let watched = Arc::clone(&passwords);
    tasks.spawn(async move { watched.watch().await });

    disk.write(&(line("Ron", "changed") + &line("Ben", "new")));
    tokio::time::sleep(Duration::from_secs(2)).await;
    sign_in(&passwords, "Ron", "changed").await.unwrap();
    sign_in(&passwords, "Ben", "new").await.unwrap();
    sign_in(&passwords, "Ron", "hunter2").await.unwrap_err();

    disk.write("# nobody any more\n");
    tokio::time::sleep(Duration::from_secs(2)).await;
    sign_in(&passwords, "Ben", "new").await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_broken_file_leaves_the_accounts_as_they_were_and_is_logged_once() {
    let disk = Disk::with(&line("Ron", "hunter2"));
    let passwords = disk.open();
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _capture = tracing::subscriber::set_default(subscriber);
    let some_looks = Duration::from_secs(5);

    disk.write(&format!("{}Ron:s3cret\n", line("Ben", "new")));
    tokio::time::timeout(some_looks, passwords.watch()).await.unwrap_err();
    sign_in(&passwords, "Ron", "hunter2").await.unwrap();
    sign_in(&passwords, "Ben", "new").await.unwrap_err();
    let text = log.take();
    assert_eq!(text.matches("WARN").count(), 1, "{text}");
    assert!(text.contains("passwords, line 2: ") && !text.contains("s3cret"), "{text}");

    disk.write(&line("Ben", "new"));
    fs::set_permissions(&disk.path, Permissions::from_mode(0o644)).unwrap();
    tokio::time::timeout(some_looks, passwords.watch()).await.unwrap_err();
    sign_in(&passwords, "Ron", "hunter2").await.unwrap();
    let text = log.take();
    assert!(text.matches("WARN").count() == 1 && text.contains("chmod 600"), "{text}");

    fs::remove_file(&disk.path).unwrap();
    tokio::time::timeout(some_looks, passwords.watch()).await.unwrap_err();
    sign_in(&passwords, "Ron", "hunter2").await.unwrap();
    assert_eq!(log.take().matches("WARN").count(), 1);

    disk.write(&line("Ben", "new"));
    tokio::time::timeout(some_looks, passwords.watch()).await.unwrap_err();
    sign_in(&passwords, "Ben", "new").await.unwrap();
    let text = log.take();
    assert!(text.contains("INFO") && !text.contains("WARN"), "{text}");
}

#[test]
fn a_file_that_is_wrong_does_not_open() {
    let disk = Disk::with("Ron\n");
    let text = Passwords::open(&disk.path).unwrap_err().to_string();
    assert!(text.contains("passwords, line 1: "), "{text}");
}

/// Where a test's log goes.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *lock(&self.0))).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        lock(&self.0).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
