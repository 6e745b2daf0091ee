//! An SSH server of our own: its own keys and port, on loopback, and how its clients find it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::proc;
use crate::running::{Running, wait_until};
use crate::stage::{Stage, free_port, wait_for_port};

/// Where Debian puts it; no user's PATH has it.
pub(crate) const PROGRAM: &str = "/usr/sbin/sshd";

#[derive(Debug)]
pub(crate) struct Sshd {
    process: Running,
    /// The clients' configuration: port, key, and no questions.
    pub(crate) client_config: PathBuf,
}

impl Sshd {
    pub(crate) fn start(stage: &Stage) -> Self {
        let folder = stage.at("ssh");
        fs::create_dir(&folder).unwrap();
        for key in ["host", "user"] {
            make_key(&folder.join(key));
        }
        fs::copy(folder.join("user.pub"), folder.join("authorized_keys")).unwrap();
        let port = free_port();
        let place = folder.display();
        let config = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {place}/host\n\
             AuthorizedKeysFile {place}/authorized_keys\nStrictModes no\nPidFile none\nUsePAM no\n\
             PasswordAuthentication no\nPermitRootLogin yes\nSubsystem sftp internal-sftp\n"
        );
        fs::write(folder.join("sshd_config"), config).unwrap();
        let client_config = folder.join("ssh_config");
        let config = format!(
            "Host *\n  Port {port}\n  IdentityFile {place}/user\n  IdentitiesOnly yes\n  BatchMode yes\n  \
             StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n  LogLevel ERROR\n"
        );
        fs::write(&client_config, config).unwrap();
        if rustix::process::geteuid().is_root() {
            // Its privilege separation folder, which the service's own start would make.
            fs::create_dir_all("/run/sshd").unwrap();
        }
        let mut command = Command::new(PROGRAM);
        command.args(["-D", "-e", "-f"]).arg(folder.join("sshd_config"));
        let process = Running::start(command.stdin(Stdio::null()).stderr(Stdio::null()));
        wait_for_port(port, "sshd answers");
        Self { process, client_config }
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits until no session is left, so that what each cost is in the server's own account.
    pub(crate) fn wait_for_sessions(&self) {
        wait_until("sshd's sessions end", || proc::descendants(self.id()).is_empty());
    }
}

fn make_key(path: &Path) {
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path);
    assert!(command.status().expect("ssh-keygen is installed").success());
}
