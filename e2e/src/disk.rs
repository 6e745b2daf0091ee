//! Small disks: a tmpfs that is mounted where only one program and its children see it, and that is gone
//! with the last of them. Knows nothing of what the programs do.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Mounts a tmpfs of size `$1` at `$2`, and runs the rest.
const MOUNT: &str = "mount -t tmpfs -o size=\"$1\" tmpfs \"$2\" && shift 2 && exec \"$@\"";

/// A small disk that lasts for several programs. Dropped, it is gone once they are.
#[derive(Debug)]
pub struct SmallDisk {
    /// Sees the disk, and waits to be told to end.
    holder: Child,
    folder: PathBuf,
}

/// The beginning of a command line whose rest is a program that sees a disk of `size`, as mount(8) takes
/// it, at `folder`.
#[must_use]
pub fn with_a_disk(size: &str, folder: &Path) -> Command {
    let mut command = namespace();
    command.args(["--", "sh", "-c", MOUNT, "sh", size]).arg(folder);
    command
}

/// Whether a small disk can be had; says so where it cannot. In continuous integration it must.
///
/// # Panics
/// Where it must and cannot.
#[must_use]
pub fn small_disks() -> bool {
    let folder = tempfile::tempdir().unwrap();
    let tried = with_a_disk("64k", folder.path()).arg("true").stdin(Stdio::null()).output();
    let works = tried.is_ok_and(|tried| tried.status.success());
    assert!(works || std::env::var_os("CI").is_none(), "no tmpfs can be mounted");
    if !works {
        eprintln!("SKIPPED: mounting a tmpfs takes root or user namespaces");
    }
    works
}

/// Whether this process may do everything.
#[must_use]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

impl SmallDisk {
    /// Mounts one of `size`, as mount(8) takes it, over a folder. Ask [`small_disks`] first.
    ///
    /// # Panics
    /// Where it cannot be had.
    #[must_use]
    pub fn over(folder: &Path, size: &str) -> Self {
        // It lives for as long as its standard input is open.
        let mut command = with_a_disk(size, folder);
        command.args(["sh", "-c", "echo mounted && exec cat"]);
        let mut holder =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a mount");
        let mut said = String::new();
        let output = holder.stdout.as_mut().expect("it is piped");
        BufReader::new(output).read_line(&mut said).expect("the mount's word");
        assert_eq!(said, "mounted\n", "no tmpfs could be mounted");
        Self { holder, folder: folder.to_owned() }
    }

    /// Where the disk's content is seen from everywhere.
    ///
    /// # Panics
    /// Where the folder has no absolute path.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        let seen = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        seen.join(self.folder.strip_prefix("/").expect("an absolute path"))
    }

    /// The same command, run where the disk is seen.
    ///
    /// # Panics
    /// Where the command says no current folder.
    #[must_use]
    pub fn enter(&self, command: &Command) -> Command {
        let mut entered = Command::new("nsenter");
        entered.arg("--target").arg(self.holder.id().to_string()).arg("--mount");
        if !is_root() {
            entered.args(["--user", "--preserve-credentials"]);
        }
        // The current folder is looked up anew, for the disk is mounted over it.
        let folder = command.get_current_dir().expect("a current folder");
        entered.args(["--", "sh", "-c", "cd \"$0\" && exec \"$@\""]).arg(folder);
        entered.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => entered.env(name, value),
                None => entered.env_remove(name),
            };
        }
        entered
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Fails only for one that has ended already.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// `unshare`, so that what is mounted is gone with the last process that sees it.
fn namespace() -> Command {
    let mut command = Command::new("unshare");
    command.args(if is_root() { &["--mount"][..] } else { &["--mount", "--map-root-user"] });
    command
}
