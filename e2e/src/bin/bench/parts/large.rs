//! One large file, from the server and to it: rate, processor and memory.

use crate::cast::Cast;
use crate::cli::{self, Amount};
use crate::figure::figure;
use crate::moves::{self, Moved};
use crate::peers::{Direction, Job, Peer};
use crate::report::{Bound, Section, Table};

const GIB: f64 = (1_u64 << 30) as f64;

pub(crate) fn measure(cast: &Cast, amount: Amount, direction: Direction) -> Section {
    let verb = verb(direction);
    let mut section = Section::new(format!("{verb} of {}", cli::size(amount.size)));
    if direction == Direction::Put && !cast.abilities.put {
        section.notes.push("put: not in this build.".to_owned());
        goals(&mut section, direction, Err("put is not in this build".to_owned()));
        return section;
    }
    cast.stage.file("large", amount.size);
    let job = Job::file(direction, "large", amount.size);
    let moved = moves::in_turns(cast, &job, amount.rounds);
    section.tables.push(table(&moved, amount.size));
    section.notes.push(format!(
        "Medians of {} rounds, all in turns; 10^6 bytes a second, from the start of the client's process to \
         its end. Memory: the most in any round, an end's processes added up.",
        amount.rounds
    ));
    section.notes.push(
        "Quiver and sendme compare the content with a hash before they call it arrived; the others trust their \
         encryption. sendme hashes what it sends before the clock starts, and is the same both ways."
            .to_owned(),
    );
    goals(&mut section, direction, Ok(&moved));
    section
}

fn verb(direction: Direction) -> &'static str {
    match direction {
        Direction::Get => "get",
        Direction::Put => "put",
    }
}

fn table(moved: &[Moved], size: u64) -> Table {
    let mut table = Table::new(&[
        "",
        "MB/s",
        "CPU-s/GiB, both ends",
        "client MiB",
        "server MiB",
        "quiver over it",
    ]);
    let quiver = moves::of(moved, Peer::Quiver);
    for one in moved {
        let ratio =
            quiver.filter(|_| one.peer != Peer::Quiver).map(|quiver| one.seconds / quiver.seconds);
        table.row([
            one.peer.name().to_owned(),
            figure(size as f64 / 1e6 / one.seconds),
            figure(one.processor * GIB / size as f64),
            figure(one.client_memory),
            figure(one.server_memory),
            ratio.map_or_else(String::new, figure),
        ]);
    }
    table
}

fn goals(section: &mut Section, direction: Direction, moved: Result<&[Moved], String>) {
    let of = |peer: Peer| match &moved {
        Err(reason) => Err(reason.clone()),
        Ok(moved) => {
            moves::of(moved, peer).ok_or_else(|| format!("{} did not take part", peer.name()))
        }
    };
    let over = |peer, ratio: fn(&Moved, &Moved) -> f64| Ok(ratio(of(Peer::Quiver)?, of(peer)?));
    let verb = verb(direction);
    let rates = [(Peer::Curl, 1.0), (Peer::ScpFast, 2.0), (Peer::Qcp, 2.0), (Peer::Sendme, 5.0)];
    for (peer, least) in rates {
        let reached = over(peer, |quiver, peer| peer.seconds / quiver.seconds);
        section.goal(
            format!("{verb}: rate over {}", peer.name()),
            Bound::AtLeast(least),
            "",
            reached,
        );
    }
    let reached = over(Peer::ScpFast, |quiver, peer| quiver.processor / peer.processor);
    let what = format!("{verb}: processor time, both ends, over {}", Peer::ScpFast.name());
    section.goal(what, Bound::AtMost(0.6), "", reached);
}
