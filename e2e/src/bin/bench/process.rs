//! The programs under test: started, watched and stopped.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A folder in memory, a file to move, a Quiver server and an SSH server.
pub(crate) struct Bench {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) size: u64,
    pub(crate) server: SocketAddr,
    pub(crate) ssh_port: u16,
    quiver_server: Running,
    sshd: Running,
}

/// A process that ends with its handle.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Bench {
    pub(crate) fn start(parent: &Path, size: u64) -> Self {
        let folder = tempfile::Builder::new().prefix("quiver-bench-").tempdir_in(parent).unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("files")).unwrap();
        fs::create_dir(at("got")).unwrap();
        noise(&at("files/big"), size);
        let (quiver_server, server) = start_server(folder.path());
        let (sshd, ssh_port) = start_sshd(folder.path());
        Self { folder, size, server, ssh_port, quiver_server, sshd }
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Processor seconds the servers have used so far.
    pub(crate) fn servers_processor(&self) -> f64 {
        tree_processor(self.quiver_server.0.id()) + tree_processor(self.sshd.0.id())
    }

    /// The most memory the server ever had, in MiB.
    pub(crate) fn server_memory(&self) -> f64 {
        peak_memory(self.quiver_server.0.id()).expect("the server runs")
    }
}

/// The program `name` of this build.
pub(crate) fn built(name: &str) -> PathBuf {
    let path = std::env::current_exe().unwrap().with_file_name(name);
    assert!(path.exists(), "{} is missing: scripts/bench builds it", path.display());
    path
}

/// The peak of a process's resident memory, in MiB; `None` once it has ended.
pub(crate) fn peak_memory(pid: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<f64>().ok().map(|kib| kib / 1024.0)
}

/// Processor seconds of this process's children that have ended.
pub(crate) fn children_processor() -> f64 {
    ticks("self", 13..15)
}

/// Processor seconds of a process and of its children that have ended.
fn tree_processor(pid: u32) -> f64 {
    ticks(&pid.to_string(), 11..15)
}

/// A sum of `/proc/PID/stat`'s times (proc(5): utime, stime, cutime, cstime are 11 to 14 behind the
/// program's name), in seconds.
fn ticks(pid: &str, fields: std::ops::Range<usize>) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let all: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = all[fields].iter().map(|field| field.parse::<u64>().unwrap()).sum();
    ticks as f64 / rustix::param::clock_ticks_per_second() as f64
}

fn noise(path: &Path, size: u64) {
    let mut file = fs::File::create(path).unwrap();
    let mut reader = blake3::Hasher::new().update(b"quiver bench").finalize_xof();
    let mut block = vec![0; 1024 * 1024];
    let mut left = size;
    while left > 0 {
        let part = left.min(block.len() as u64) as usize;
        reader.fill(&mut block[..part]);
        file.write_all(&block[..part]).unwrap();
        left -= part as u64;
    }
}

fn start_server(folder: &Path) -> (Running, SocketAddr) {
    let mut child = Command::new(built("quiver-server"))
        .args(["--listen", "127.0.0.1:0", "--files", "files", "--certs", "certs"])
        .args(["--max-clients", "8"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let address = loop {
        let line = log.next().expect("the server starts").unwrap();
        if let Some((_, address)) = line.split_once("listening on ") {
            break address.trim().parse().unwrap();
        }
    };
    // The log goes on being read, so that the server never waits for its reader.
    std::thread::spawn(move || log.for_each(drop));
    (Running(child), address)
}

/// An SSH server of our own: its own keys and port, on loopback.
fn start_sshd(folder: &Path) -> (Running, u16) {
    let ssh = folder.join("ssh");
    fs::create_dir(&ssh).unwrap();
    for key in ["host", "user"] {
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(ssh.join(key))
            .status()
            .expect("ssh-keygen is installed");
        assert!(made.success());
    }
    fs::copy(ssh.join("user.pub"), ssh.join("authorized_keys")).unwrap();
    // sshd takes no port of the system's choice: one that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = format!(
        "ListenAddress 127.0.0.1:{port}\nHostKey {0}/host\nAuthorizedKeysFile {0}/authorized_keys\n\
         StrictModes no\nPidFile none\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\n\
         Subsystem sftp internal-sftp\n",
        ssh.display()
    );
    fs::write(ssh.join("config"), config).unwrap();
    if rustix::process::geteuid().is_root() {
        // Its privilege separation folder, which the service's own start would make.
        fs::create_dir_all("/run/sshd").unwrap();
    }
    let child = Command::new("/usr/sbin/sshd")
        .args(["-D", "-e", "-f"])
        .arg(ssh.join("config"))
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("sshd is installed (Debian: openssh-server)");
    let running = Running(child);
    let deadline = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < deadline, "sshd does not answer");
        std::thread::yield_now();
    }
    (running, port)
}
