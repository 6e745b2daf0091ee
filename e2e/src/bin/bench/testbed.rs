//! The testbed: the installed peers, their servers, and the features of this build of Quiver.

use std::net::Ipv4Addr;
use std::process::Command;

use crate::fixtures::{FILES, QuiverServer, WorkFolder, program_path};
use crate::peers::nginx::Nginx;
use crate::peers::sshd::Sshd;
use crate::peers::{Job, Peer, TransferKind};

#[derive(Debug)]
pub(crate) struct Testbed {
    pub(crate) quiver: QuiverServer,
    pub(crate) sshd: Option<Sshd>,
    pub(crate) nginx: Option<Nginx>,
    pub(crate) features: Features,
    pub(crate) versions: Vec<String>,
    /// The peers that are not measured, each with the reason.
    pub(crate) skipped: Vec<String>,
    peers: Vec<Peer>,
    /// The last field, so that it is dropped after the servers.
    pub(crate) work_folder: WorkFolder,
}

/// Features of this build of Quiver.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Features {
    pub(crate) put: bool,
    pub(crate) trees: bool,
}

impl Features {
    fn detect() -> Self {
        let help = |program: &str, arguments: &[&str]| {
            let output =
                Command::new(program_path(program)).args(arguments).arg("--help").output().unwrap();
            output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
        };
        let mentions =
            |help: &Option<String>, word| help.as_ref().is_some_and(|help| help.contains(word));
        let uploads = mentions(&help("quiver-server", &[]), "--allow-upload");
        Self {
            put: uploads && help("quiver", &["put"]).is_some(),
            trees: mentions(&help("quiver", &["get"]), "-r,"),
        }
    }
}

impl Testbed {
    /// Starts all servers that are needed. `own_network`: this process has a network namespace of its own, without
    /// access to other networks.
    pub(crate) fn start(work_folder: WorkFolder, own_network: bool) -> Self {
        let features = Features::detect();
        let (mut peers, mut versions, mut skipped) = (Vec::new(), Vec::new(), Vec::new());
        for peer in Peer::ALL {
            if peer.contacts_servers() && !own_network {
                // With or without a relay, they announce themselves to public servers.
                skipped.push(format!(
                    "{}: outside a network namespace it contacts its makers' servers; a network \
                     namespace requires root, unshare and ip",
                    peer.name()
                ));
                continue;
            }
            match peer.versions() {
                Ok(found) => {
                    peers.push(peer);
                    versions.extend(found);
                }
                Err(missing) => skipped.push(format!("{}: {missing}", peer.name())),
            }
        }
        versions.dedup();
        let mut known = std::collections::HashSet::new();
        versions.retain(|version| known.insert(version.clone()));
        let sshd = peers
            .iter()
            .any(|peer| peer.needs_sshd())
            .then(|| Sshd::start(&work_folder, Ipv4Addr::LOCALHOST));
        let nginx = peers.contains(&Peer::Curl).then(|| Nginx::start(&work_folder));
        let quiver = QuiverServer::start(
            &work_folder,
            Ipv4Addr::LOCALHOST,
            &work_folder.path(FILES),
            features.put,
        );
        Self { quiver, sshd, nginx, features, versions, skipped, peers, work_folder }
    }

    /// Whether a peer is measured.
    pub(crate) fn has(&self, peer: Peer) -> bool {
        self.peers.contains(&peer)
    }

    /// Those of the peers that are not measured, each with the reason.
    pub(crate) fn skipped_among(&self, peers: &[Peer]) -> Vec<String> {
        let is_among =
            |why: &&String| peers.iter().any(|peer| why.starts_with(&format!("{}: ", peer.name())));
        self.skipped.iter().filter(is_among).cloned().collect()
    }

    /// The peers that can do a job.
    pub(crate) fn peers_for(&self, job: &Job) -> Vec<Peer> {
        let can_do = |peer: &Peer| match peer {
            Peer::Quiver => {
                (job.kind == TransferKind::Get || self.features.put)
                    && (!job.is_tree() || self.features.trees)
            }
            // It is measured between clients only.
            Peer::Croc => false,
            _ => !job.is_tree() || peer.can_transfer_trees(),
        };
        self.peers.iter().copied().filter(can_do).collect()
    }
}
