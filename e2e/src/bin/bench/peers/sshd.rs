//! An SSH server for the benchmark: its own keys and port, and the configuration of its clients.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::child_process::{ChildProcess, wait_until};
use crate::fixtures::{WorkFolder, free_port, wait_for_port};
use crate::proc;

/// Debian's path of it, which is not in a user's PATH.
pub(crate) const PROGRAM: &str = "/usr/sbin/sshd";

#[derive(Debug)]
pub(crate) struct Sshd {
    process: ChildProcess,
    /// The clients' configuration: port, key, no prompts.
    pub(crate) client_config: PathBuf,
}

impl Sshd {
    /// Listens at an address, with a free port.
    pub(crate) fn start(work_folder: &WorkFolder, address: Ipv4Addr) -> Self {
        let folder = work_folder.path("ssh");
        fs::create_dir(&folder).unwrap();
        for key in ["host", "user"] {
            create_key(&folder.join(key));
        }
        fs::copy(folder.join("user.pub"), folder.join("authorized_keys")).unwrap();
        let port = free_port();
        let path = folder.display();
        let config = format!(
            "ListenAddress {address}:{port}\nHostKey {path}/host\n\
             AuthorizedKeysFile {path}/authorized_keys\nStrictModes no\nPidFile none\nUsePAM no\n\
             PasswordAuthentication no\nPermitRootLogin yes\nSubsystem sftp internal-sftp\n"
        );
        fs::write(folder.join("sshd_config"), config).unwrap();
        let client_config = folder.join("ssh_config");
        let config = format!(
            "Host *\n  Port {port}\n  IdentityFile {path}/user\n  IdentitiesOnly yes\n  BatchMode yes\n  \
             StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n  LogLevel ERROR\n"
        );
        fs::write(&client_config, config).unwrap();
        if rustix::process::geteuid().is_root() {
            // Its privilege separation folder, which the system service would create.
            fs::create_dir_all("/run/sshd").unwrap();
        }
        let mut command = Command::new(PROGRAM);
        command.args(["-D", "-e", "-f"]).arg(folder.join("sshd_config"));
        let process = ChildProcess::start(command.stdin(Stdio::null()).stderr(Stdio::null()));
        wait_for_port((address, port).into(), "sshd answers");
        Self { process, client_config }
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits until all sessions have ended, so that their costs are accounted to the server.
    pub(crate) fn wait_for_sessions(&self) {
        wait_until("sshd's sessions end", || proc::descendants(self.id()).is_empty());
    }
}

fn create_key(path: &Path) {
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path);
    assert!(command.status().expect("ssh-keygen is installed").success());
}
