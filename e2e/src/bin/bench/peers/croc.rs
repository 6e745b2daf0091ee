//! `croc send`, and croc's own relay on loopback. For croc 10, whose code word is in the environment.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::child_process::ChildProcess;
use crate::fixtures::{WorkFolder, free_port, wait_for_port};

/// The environment variable with the code word that both sides know, and the code word.
pub(crate) const CODE: (&str, &str) = ("CROC_SECRET", "1234-bench-loopback-relay");

/// croc's relay uses several ports.
const PORTS: usize = 5;

/// How long the sender may take to enter its room at the relay, once it has printed the code: a receiver that is
/// earlier would fail.
const ROOM_DELAY: Duration = Duration::from_secs(1);

/// A relay and a sender.
#[derive(Debug)]
pub(crate) struct CrocSender {
    process: ChildProcess,
    pub(crate) relay: String,
}

impl CrocSender {
    /// Starts the relay, and offers a file or a folder. Returns when the sender waits for a receiver.
    pub(crate) fn start(work_folder: &WorkFolder, content: &Path) -> Self {
        let ports: Vec<u16> = (0..PORTS).map(|_| free_port()).collect();
        let relay = format!("127.0.0.1:{}", ports[0]);
        let ports = ports.iter().map(u16::to_string).collect::<Vec<_>>().join(",");
        // The shell stays the parent of both, also once the sender has exited.
        let script = "croc relay --host 127.0.0.1 --ports \"$1\" >/dev/null 2>&1 &
            while ! (exec 3<>\"/dev/tcp/127.0.0.1/${1%%,*}\") 2>/dev/null; do :; done
            croc --relay \"$2\" --yes --ignore-stdin send --no-local \"$3\"
            wait";
        let mut command = Command::new("bash");
        command
            .args(["-c", script, "bash", &ports, &relay])
            .arg(content)
            .env(CODE.0, CODE.1)
            .env("HOME", work_folder.path(""))
            .current_dir(work_folder.path(""))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut process = ChildProcess::start(&mut command);
        let port = relay.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap();
        wait_for_port((std::net::Ipv4Addr::LOCALHOST, port).into(), "croc's relay answers");
        let mut output = BufReader::new(process.child().stderr.take().unwrap()).lines();
        loop {
            let line = output.next().expect("croc offers the content").unwrap();
            if line.contains("Code is") {
                break;
            }
        }
        std::thread::spawn(move || output.for_each(drop));
        std::thread::park_timeout(ROOM_DELAY);
        Self { process, relay }
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }
}
