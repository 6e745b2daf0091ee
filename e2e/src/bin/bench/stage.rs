//! The stage: a folder in memory, the files that are moved, and the servers they are moved from.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::running::{self, Running, wait_until};

/// Where everything happens.
#[derive(Debug)]
pub(crate) struct Stage {
    folder: tempfile::TempDir,
}

/// The folder of the stage that is served.
pub(crate) const FILES: &str = "files";
/// Where a get lands, and a put.
pub(crate) const GOT: &str = "got";
pub(crate) const UPLOADED: &str = "files/uploads";

impl Stage {
    pub(crate) fn new(parent: &Path) -> Self {
        let stage = Self { folder: running::folder(parent) };
        for name in [UPLOADED, GOT] {
            fs::create_dir_all(stage.at(name)).unwrap();
        }
        stage
    }

    /// A place in the folder.
    pub(crate) fn at(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file of noise to move, made where it is not there yet.
    pub(crate) fn file(&self, name: &str, size: u64) {
        let path = self.at(FILES).join(name);
        if fs::metadata(&path).is_ok_and(|metadata| metadata.len() == size) {
            return;
        }
        let mut file = fs::File::create(path).unwrap();
        let mut noise = blake3::Hasher::new().update(name.as_bytes()).finalize_xof();
        let mut block = vec![0; 1024 * 1024];
        let mut left = size;
        while left > 0 {
            let part = left.min(block.len() as u64) as usize;
            noise.fill(&mut block[..part]);
            file.write_all(&block[..part]).unwrap();
            left -= part as u64;
        }
    }

    /// A folder of `count` files of noise, a hundred in each of its folders.
    pub(crate) fn tree(&self, name: &str, count: u64, size: usize) {
        let root = self.at(FILES).join(name);
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

    /// Takes something away again, so that the folder holds no more than it must.
    pub(crate) fn remove(&self, name: &str) {
        remove(&self.at(FILES).join(name));
    }
}

/// Removes a file or a folder; one that is not there is fine.
pub(crate) fn remove(path: &Path) {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            panic!("cannot remove {}: {error}", path.display())
        }
        _ => {}
    }
}

/// The program `name` of this build.
pub(crate) fn built(name: &str) -> PathBuf {
    let path = std::env::current_exe().unwrap().with_file_name(name);
    assert!(path.exists(), "{} is missing: scripts/bench builds it", path.display());
    path
}

/// A Quiver server of this build.
#[derive(Debug)]
pub(crate) struct QuiverServer {
    process: Running,
    pub(crate) address: SocketAddr,
}

impl QuiverServer {
    /// Serves a folder at an address, with a port of the system's choice.
    pub(crate) fn start(stage: &Stage, address: Ipv4Addr, files: &Path, uploads: bool) -> Self {
        let mut command = Command::new(built("quiver-server"));
        command
            .args(["--certs", "certs", "--max-clients", "8", "--listen"])
            .arg(SocketAddr::from((address, 0)).to_string())
            .arg("--files")
            .arg(files)
            .current_dir(stage.at(""))
            .stdin(Stdio::null())
            .stderr(Stdio::piped());
        if uploads {
            command.arg("--allow-upload");
        }
        let mut process = Running::start(&mut command);
        let mut log = BufReader::new(process.child().stderr.take().unwrap()).lines();
        let address = loop {
            let line = log.next().expect("the server starts").unwrap();
            if let Some((_, address)) = line.split_once("listening on ") {
                break address.trim().parse().unwrap();
            }
        };
        // The log goes on being read, so that the server never waits for its reader.
        std::thread::spawn(move || log.for_each(drop));
        Self { process, address }
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// The most memory it ever had, in MiB.
    pub(crate) fn peak_memory(&self) -> f64 {
        crate::proc::peak_memory(self.id()).expect("the server runs")
    }
}

/// A port for a server that takes none of the system's choice: one that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Waits until somebody answers at a port.
pub(crate) fn wait_for_port(port: u16, what: &str) {
    wait_until(what, || TcpStream::connect(("127.0.0.1", port)).is_ok());
}
