//! A work folder in memory, the files that are transferred, and the Quiver server.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::child_process::{self, ChildProcess, wait_until};

/// The folder with all files of the run.
#[derive(Debug)]
pub(crate) struct WorkFolder {
    folder: tempfile::TempDir,
}

/// The served folder, below the work folder.
pub(crate) const FILES: &str = "files";
/// The destinations of gets and of puts, below the work folder.
pub(crate) const DOWNLOADS: &str = "got";
pub(crate) const UPLOADS: &str = "files/uploads";

impl WorkFolder {
    pub(crate) fn new(parent: &Path) -> Self {
        let work_folder = Self { folder: child_process::temporary_folder(parent) };
        for name in [UPLOADS, DOWNLOADS] {
            fs::create_dir_all(work_folder.path(name)).unwrap();
        }
        work_folder
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Creates a file of random bytes in the served folder, unless it exists with this size.
    pub(crate) fn create_file(&self, name: &str, size: u64) {
        let path = self.path(FILES).join(name);
        if fs::metadata(&path).is_ok_and(|metadata| metadata.len() == size) {
            return;
        }
        let mut file = fs::File::create(path).unwrap();
        let mut noise = blake3::Hasher::new().update(name.as_bytes()).finalize_xof();
        let mut block = vec![0; 1024 * 1024];
        let mut left = size;
        while left > 0 {
            let length = left.min(block.len() as u64) as usize;
            noise.fill(&mut block[..length]);
            file.write_all(&block[..length]).unwrap();
            left -= length as u64;
        }
    }

    /// Creates a folder of `count` files of random bytes, a hundred in each of its folders.
    pub(crate) fn create_tree(&self, name: &str, count: u64, size: usize) {
        let root = self.path(FILES).join(name);
        let mut noise = blake3::Hasher::new().update(name.as_bytes()).finalize_xof();
        let mut content = vec![0; size];
        for index in 0..count {
            let folder = root.join(format!("{:04}", index / 100));
            if index % 100 == 0 {
                fs::create_dir_all(&folder).unwrap();
            }
            noise.fill(&mut content);
            fs::write(folder.join(format!("{index:06}")), &content).unwrap();
        }
    }

    /// Removes all files that clients have received or stored, and those that killed clients would resume.
    pub(crate) fn remove_transferred(&self) {
        for name in [UPLOADS, DOWNLOADS] {
            remove(&self.path(name));
            fs::create_dir_all(self.path(name)).unwrap();
        }
    }

    /// Removes a file or folder from the served folder, to free memory.
    pub(crate) fn remove(&self, name: &str) {
        remove(&self.path(FILES).join(name));
    }
}

/// Removes a file or a folder if it exists.
pub(crate) fn remove(path: &Path) {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            panic!("cannot remove {}: {error}", path.display())
        }
        _ => {}
    }
}

/// The path of a program of this build.
pub(crate) fn program_path(name: &str) -> PathBuf {
    let path = std::env::current_exe().unwrap().with_file_name(name);
    assert!(path.exists(), "{} is missing: scripts/bench builds it", path.display());
    path
}

/// A Quiver server of this build.
#[derive(Debug)]
pub(crate) struct QuiverServer {
    process: ChildProcess,
    pub(crate) address: SocketAddr,
}

impl QuiverServer {
    /// Serves a folder at an address, with a port of the system's choice.
    pub(crate) fn start(
        work_folder: &WorkFolder,
        address: Ipv4Addr,
        files: &Path,
        uploads: bool,
    ) -> Self {
        let mut command = Command::new(program_path("quiver-server"));
        command
            .args(["--certs", "certs", "--max-clients", "8", "--listen"])
            .arg(SocketAddr::from((address, 0)).to_string())
            .arg("--files")
            .arg(files)
            .current_dir(work_folder.path(""))
            .stdin(Stdio::null())
            .stderr(Stdio::piped());
        if uploads {
            command.arg("--allow-upload");
        }
        let mut process = ChildProcess::start(&mut command);
        let mut log = BufReader::new(process.child().stderr.take().unwrap()).lines();
        let address = loop {
            let line = log.next().expect("the server has started").unwrap();
            if let Some((_, address)) = line.split_once("listening on ") {
                break address.trim().parse().unwrap();
            }
        };
        // The log is read until its end, so that the server never waits for its reader.
        std::thread::spawn(move || log.for_each(drop));
        Self { process, address }
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// The peak of its memory, in MiB.
    pub(crate) fn peak_memory(&self) -> f64 {
        crate::proc::peak_memory(self.id()).expect("the server is running")
    }
}

/// A currently free port, for a server that cannot let the system choose one.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Waits until a server accepts connections.
pub(crate) fn wait_for_port(address: SocketAddr, what: &str) {
    wait_until(what, || TcpStream::connect(address).is_ok());
}
