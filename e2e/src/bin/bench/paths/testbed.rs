//! The testbed of emulated paths: one path whose settings change between measurements, with the servers at one end.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use quiver_e2e::path_emulator::{Direction, LinkSettings, PathEmulator, PathSettings};
use serde_json::Value;

use crate::cli::PathProgram;
use crate::fixtures::{FILES, QuiverServer, WorkFolder};
use crate::peers::TransferKind;
use crate::peers::sshd::Sshd;

/// How long packets of an earlier measurement may stay on the path.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
/// Interval of the checks whether any are left.
const DRAIN_INTERVAL: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub(crate) struct PathTestbed {
    pub(crate) quiver: QuiverServer,
    pub(crate) sshd: Option<Sshd>,
    pub(crate) programs: Vec<PathProgram>,
    pub(crate) versions: Vec<String>,
    wanted: Vec<PathProgram>,
    /// The programs that are not measured although they are wanted, each with the reason.
    pub(crate) skipped: Vec<String>,
    /// Where each measurement is written to.
    records: Option<Mutex<File>>,
    /// After the servers, so that they are stopped before their host is removed.
    pub(crate) path: PathEmulator,
    pub(crate) work_folder: WorkFolder,
}

impl PathTestbed {
    /// Starts the servers that the programs need; all programs if none are `wanted`. Appends the measurements to
    /// `records`.
    ///
    /// # Errors
    /// Why no path can be emulated here.
    pub(crate) fn start(
        work_folder: WorkFolder,
        wanted: &[PathProgram],
        records: Option<&Path>,
    ) -> Result<Self, String> {
        PathEmulator::available().map_err(|missing| missing.to_string())?;
        let path = PathEmulator::new(PathSettings::symmetric(LinkSettings::default()));
        let (mut programs, mut versions, mut skipped) = (Vec::new(), Vec::new(), Vec::new());
        for program in PathProgram::ALL {
            if !is_wanted(wanted, program) {
                continue;
            }
            match check(program, &path) {
                Ok(found) => {
                    programs.push(program);
                    versions.extend(found.into_iter().filter(|version| !version.is_empty()));
                }
                Err(missing) => skipped.push(format!("{}: {missing}", program.name())),
            }
        }
        versions.sort();
        versions.dedup();
        let address = path.server_address();
        let needs_sshd =
            programs.iter().any(|program| program.peer().is_some_and(|peer| peer.needs_sshd()));
        let (quiver, sshd) = path.server().run(|| {
            let files = work_folder.path(FILES);
            let quiver = QuiverServer::start(&work_folder, address, &files, true);
            (quiver, needs_sshd.then(|| Sshd::start(&work_folder, address)))
        });
        let records = records.map(|file| {
            let opened = File::options().create(true).append(true).open(file);
            Mutex::new(opened.unwrap_or_else(|error| panic!("{}: {error}", file.display())))
        });
        Ok(Self {
            quiver,
            sshd,
            programs,
            versions,
            wanted: wanted.to_vec(),
            skipped,
            records,
            path,
            work_folder,
        })
    }

    /// Whether a program is to be measured, also if it is missing.
    pub(crate) fn wants(&self, program: PathProgram) -> bool {
        is_wanted(&self.wanted, program)
    }

    pub(crate) fn has(&self, program: PathProgram) -> bool {
        self.programs.contains(&program)
    }

    /// Gives the path other settings, the same in both directions.
    pub(crate) fn set_path(&self, link: LinkSettings) {
        for direction in Direction::BOTH {
            self.path.set(direction, link);
        }
    }

    /// Waits until no packet is on the path and none is sent for two round trips, so that no measurement has packets of
    /// the one before. The wait ends after a while in any case.
    pub(crate) fn drain(&self) {
        let settings = self.path.settings();
        let quiet = 2 * (settings.to_server.delay + settings.to_client.delay);
        let state = || Direction::BOTH.map(|direction| self.path.counters(direction));
        let deadline = Instant::now() + DRAIN_TIMEOUT;
        let (mut before, mut since) = (state(), Instant::now());
        while Instant::now() < deadline {
            std::thread::park_timeout(DRAIN_INTERVAL);
            let now = state();
            if now.map(|counters| counters.packets_in) != before.map(|counters| counters.packets_in)
            {
                (before, since) = (now, Instant::now());
            }
            let is_empty = now.iter().all(|counters| counters.in_transit() == 0);
            if is_empty && since.elapsed() >= quiet {
                return;
            }
        }
    }

    /// Writes a measurement as a line of JSON, if a file was given.
    pub(crate) fn record(&self, measurement: &Value) {
        if let Some(records) = &self.records {
            writeln!(records.lock(), "{measurement}")
                .expect("the file for measurements is writable");
        }
    }
}

/// The direction in which content passes.
pub(crate) fn content_direction(kind: TransferKind) -> Direction {
    match kind {
        TransferKind::Get => Direction::ToClient,
        TransferKind::Put => Direction::ToServer,
    }
}

/// The name of a kind of transfer.
pub(crate) fn kind_name(kind: TransferKind) -> &'static str {
    match kind {
        TransferKind::Get => "get",
        TransferKind::Put => "put",
    }
}

fn is_wanted(wanted: &[PathProgram], program: PathProgram) -> bool {
    wanted.is_empty() || wanted.contains(&program)
}

/// Whether a program can be measured: its versions.
fn check(program: PathProgram, path: &PathEmulator) -> Result<Vec<String>, String> {
    if let Some(name) = program.tcp_congestion_control()
        && !path.set_tcp_congestion_control(name)
    {
        return Err(format!("the kernel has no TCP congestion control {name}"));
    }
    program.versions()
}
