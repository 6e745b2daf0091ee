//! Who takes part: the peers that are installed, their servers, and what this build of Quiver can do.

use std::net::Ipv4Addr;
use std::process::Command;

use crate::peers::nginx::Nginx;
use crate::peers::sshd::Sshd;
use crate::peers::{Direction, Job, Peer};
use crate::stage::{FILES, QuiverServer, Stage, built};

#[derive(Debug)]
pub(crate) struct Cast {
    pub(crate) quiver: QuiverServer,
    pub(crate) sshd: Option<Sshd>,
    pub(crate) nginx: Option<Nginx>,
    pub(crate) abilities: Abilities,
    pub(crate) versions: Vec<String>,
    /// Who is missing, and why.
    pub(crate) left_out: Vec<String>,
    peers: Vec<Peer>,
    /// Last, so that it is there until the servers have ended.
    pub(crate) stage: Stage,
}

/// What this build of Quiver can do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Abilities {
    pub(crate) put: bool,
    pub(crate) trees: bool,
}

impl Abilities {
    fn of_this_build() -> Self {
        let help = |program: &str, arguments: &[&str]| {
            let output =
                Command::new(built(program)).args(arguments).arg("--help").output().unwrap();
            output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
        };
        let says =
            |help: &Option<String>, word| help.as_ref().is_some_and(|help| help.contains(word));
        let uploads = says(&help("quiver-server", &[]), "--allow-upload");
        Self {
            put: uploads && help("quiver", &["put"]).is_some(),
            trees: says(&help("quiver", &["get"]), "-r,"),
        }
    }
}

impl Cast {
    /// Starts every server that is needed. `own_network`: nothing outside can be reached.
    pub(crate) fn assemble(stage: Stage, own_network: bool) -> Self {
        let abilities = Abilities::of_this_build();
        let (mut peers, mut versions, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
        for peer in Peer::ALL {
            if peer == Peer::Sendme && !own_network {
                // With or without a relay it announces itself to public servers.
                left_out.push(
                    "sendme: it talks to servers of its makers unless it is in a network of its \
                     own, which takes root, unshare and ip"
                        .to_owned(),
                );
                continue;
            }
            match peer.versions() {
                Ok(found) => {
                    peers.push(peer);
                    versions.extend(found);
                }
                Err(missing) => left_out.push(format!("{}: {missing}", peer.name())),
            }
        }
        versions.dedup();
        let mut seen = std::collections::HashSet::new();
        versions.retain(|version| seen.insert(version.clone()));
        let sshd = peers.iter().any(|peer| peer.needs_sshd()).then(|| Sshd::start(&stage));
        let nginx = peers.contains(&Peer::Curl).then(|| Nginx::start(&stage));
        let quiver =
            QuiverServer::start(&stage, Ipv4Addr::LOCALHOST, &stage.at(FILES), abilities.put);
        Self { quiver, sshd, nginx, abilities, versions, left_out, peers, stage }
    }

    /// Who can do a job.
    pub(crate) fn able(&self, job: &Job) -> Vec<Peer> {
        let able = |peer: &Peer| match peer {
            Peer::Quiver => {
                (job.direction == Direction::Get || self.abilities.put)
                    && (!job.is_tree() || self.abilities.trees)
            }
            _ => !job.is_tree() || peer.moves_trees(),
        };
        self.peers.iter().copied().filter(able).collect()
    }
}
