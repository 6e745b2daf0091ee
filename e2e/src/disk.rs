//! Small disks: a tmpfs in the mount namespace of one program and its children, unmounted when the last of
//! them exits. Knows nothing of what the programs do.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Mounts a tmpfs of size `$1` at `$2`, and runs the remaining arguments.
const MOUNT: &str = "mount -t tmpfs -o size=\"$1\" tmpfs \"$2\" && shift 2 && exec \"$@\"";

/// A small disk for several programs. After a drop it is unmounted once they have exited.
#[derive(Debug)]
pub struct SmallDisk {
    /// A process in the disk's mount namespace, which keeps it mounted.
    keeper: Child,
    folder: PathBuf,
}

/// A command to which a program's command line is appended: the program sees a disk of `size`, as mount(8)
/// takes it, at `folder`.
#[must_use]
pub fn command_with_disk(size: &str, folder: &Path) -> Command {
    let mut command = namespace();
    command.args(["--", "sh", "-c", MOUNT, "sh", size]).arg(folder);
    command
}

/// Whether small disks can be mounted; prints a note if not.
///
/// # Panics
/// If they cannot be mounted in continuous integration.
#[must_use]
pub fn small_disks_available() -> bool {
    let folder = tempfile::tempdir().unwrap();
    let output = command_with_disk("64k", folder.path()).arg("true").stdin(Stdio::null()).output();
    let works = output.is_ok_and(|output| output.status.success());
    assert!(works || std::env::var_os("CI").is_none(), "no tmpfs can be mounted");
    if !works {
        eprintln!("SKIPPED: mounting a tmpfs takes root or user namespaces");
    }
    works
}

/// Whether this process runs as root.
#[must_use]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

impl SmallDisk {
    /// Mounts one of `size`, as mount(8) takes it, over a folder. Check [`small_disks_available`] first.
    ///
    /// # Panics
    /// If it cannot be mounted.
    #[must_use]
    pub fn mount(folder: &Path, size: &str) -> Self {
        // It runs as long as its standard input is open.
        let mut command = command_with_disk(size, folder);
        command.args(["sh", "-c", "echo mounted && exec cat"]);
        let mut keeper =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a mount");
        let mut line = String::new();
        let output = keeper.stdout.as_mut().expect("it is piped");
        BufReader::new(output).read_line(&mut line).expect("the line that says it is mounted");
        assert_eq!(line, "mounted\n", "no tmpfs could be mounted");
        Self { keeper, folder: folder.to_owned() }
    }

    /// A path to the disk that is valid outside its mount namespace.
    ///
    /// # Panics
    /// If the folder has no absolute path.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.keeper.id()));
        root.join(self.folder.strip_prefix("/").expect("an absolute path"))
    }

    /// The same command, run in the disk's mount namespace.
    ///
    /// # Panics
    /// If the command has no current folder.
    #[must_use]
    pub fn command_inside(&self, command: &Command) -> Command {
        let mut entered = Command::new("nsenter");
        entered.arg("--target").arg(self.keeper.id().to_string()).arg("--mount");
        if !is_root() {
            entered.args(["--user", "--preserve-credentials"]);
        }
        // The current folder is looked up again, because the disk is mounted over it.
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
        // Fails only if the process has exited already.
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

/// `unshare` with a mount namespace, so that a mount disappears with the last process in it.
fn namespace() -> Command {
    let mut command = Command::new("unshare");
    command.args(if is_root() { &["--mount"][..] } else { &["--mount", "--map-root-user"] });
    command
}
