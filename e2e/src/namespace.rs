//! A network namespace without a name: it exists as long as a descriptor, a process or a socket of it does, so a
//! killed test leaves none behind. Knows nothing of what is built in it.

mod availability;
mod owner;
mod unsafe_calls;

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::panic::resume_unwind;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

pub use availability::MissingFeature;
pub(crate) use availability::{check_availability, is_available};
pub use owner::mark_as_owned;
pub(crate) use owner::{kill_abandoned_processes, kill_processes_in};
pub(crate) use unsafe_calls::create_tun;
use unsafe_calls::unshare_network;

use crate::deadline::TIMEOUT;
use crate::process::run;

/// A network namespace. Clones refer to the same one.
#[derive(Debug, Clone)]
pub struct Namespace {
    descriptor: Arc<OwnedFd>,
    inode: u64,
}

impl Namespace {
    /// A namespace with nothing but its loopback interface, which is up.
    /// # Errors
    /// If the kernel refuses it, for which root is needed.
    pub(crate) fn create() -> io::Result<Self> {
        let created = std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    unshare_network()?;
                    File::open("/proc/thread-self/ns/net")
                })
                .join()
        });
        let file = created.unwrap_or_else(|panic| resume_unwind(panic))?;
        let inode = file.metadata()?.ino();
        let namespace = Self { descriptor: Arc::new(file.into()), inode };
        namespace.ip("link set lo up");
        Ok(namespace)
    }

    /// What identifies it among all namespaces that exist.
    pub(crate) fn inode(&self) -> u64 {
        self.inode
    }

    /// A path to it, for programs that take one, valid while this value exists.
    pub(crate) fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.descriptor.as_raw_fd())
    }

    /// Runs `job` on a thread in the namespace. Sockets that it opens stay in the namespace.
    ///
    /// # Panics
    /// If `job` does.
    pub fn run<T: Send>(&self, job: impl FnOnce() -> T + Send) -> T {
        let result = std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    let kind = Some(LinkNameSpaceType::Network);
                    move_into_link_name_space(self.descriptor.as_fd(), kind)
                        .expect("root may enter a namespace");
                    job()
                })
                .join()
        });
        result.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// A command that runs `program` in the namespace, as the same process. The owner of the namespace kills it when it
    /// is dropped.
    #[must_use]
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.path())).args(["--", "env"]);
        command.arg(owner::variable()).arg(program);
        command
    }

    /// The same command, run in the namespace.
    #[must_use]
    pub fn command_inside(&self, command: &Command) -> Command {
        let mut inside = self.command(command.get_program());
        inside.args(command.get_args());
        if let Some(folder) = command.get_current_dir() {
            inside.current_dir(folder);
        }
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        inside
    }

    /// Runs lines of ip(8).
    ///
    /// # Panics
    /// If one of them fails.
    pub(crate) fn ip(&self, lines: &str) {
        let output = run(self.command("ip").args(["-batch", "-"]), lines.as_bytes());
        assert!(output.status.success(), "ip: {}\n{lines}", output.stderr);
    }

    /// Waits until all interfaces pass packets. Afterwards, none is lost because the kernel has not noticed yet that
    /// both ends of a pair are up.
    ///
    /// # Panics
    /// If one is still down after [`TIMEOUT`].
    pub(crate) fn wait_for_interfaces(&self) {
        let table = self.run(|| fs::read_to_string("/proc/thread-self/net/dev"));
        let table = table.expect("the counters of interfaces");
        let names = table.lines().filter_map(|row| row.split_once(':')).map(|(name, _)| name);
        // One request for each interface, because the kernel updates its state for such a request.
        let lines: String = names.map(|name| format!("link show dev {}\n", name.trim())).collect();
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let output = run(self.command("ip").args(["-o", "-batch", "-"]), lines.as_bytes());
            let stdout = &output.expect(0).stdout;
            if !stdout.contains("state DOWN") && !stdout.contains("state LOWERLAYERDOWN") {
                return;
            }
            assert!(Instant::now() < deadline, "interfaces that are down: {stdout}");
        }
    }

    /// Whether a program in it listens, or has a UDP socket.
    ///
    /// # Panics
    /// If the kernel's tables cannot be read.
    #[must_use]
    pub fn has_listener(&self) -> bool {
        self.run(|| {
            // A listening TCP socket, or a UDP socket without a peer (include/net/tcp_states.h).
            [("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07")].iter().any(
                |(table, state)| {
                    let table = fs::read_to_string(format!("/proc/thread-self/net/{table}"));
                    let table = table.expect("the sockets of a namespace");
                    table.lines().skip(1).any(|row| row.split_whitespace().nth(3) == Some(state))
                },
            )
        })
    }

    /// Loads rules of nft(8) in one step.
    pub(crate) fn nft(&self, rules: &str) -> Result<(), String> {
        let output = run(self.command("nft").args(["-f", "-"]), rules.as_bytes());
        if output.status.success() { Ok(()) } else { Err(output.stderr) }
    }

    /// Writes kernel parameters below `/proc/sys/net`.
    ///
    /// # Panics
    /// If the kernel does not have one of them, or refuses its value.
    pub fn set_parameters(&self, parameters: &[(&str, &str)]) {
        self.run(|| {
            for (name, value) in parameters {
                let written = fs::write(format!("/proc/sys/net/{name}"), value);
                written.unwrap_or_else(|error| panic!("{name}: {error}"));
            }
        });
    }
}
