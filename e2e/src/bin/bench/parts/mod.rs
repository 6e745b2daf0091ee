//! The parts of the measurement: each measures one thing and reports it with its goals.

pub(crate) mod large;
pub(crate) mod latency;
pub(crate) mod memory;
pub(crate) mod misuse;
pub(crate) mod mtu;
pub(crate) mod resume;
pub(crate) mod sizes;
pub(crate) mod trees;

use crate::cast::Cast;
use crate::cli::{Amount, BenchArgs, Part};
use crate::peers::Direction;
use crate::report::Section;

/// Measures all that is wanted; `say` hears of each part as it begins, `done` of each that is over.
pub(crate) fn measure(
    cli: &BenchArgs,
    cast: &Cast,
    mut say: impl FnMut(Part),
    mut done: impl FnMut(Section),
) {
    let amount = cli.amount();
    for part in Part::ALL.into_iter().filter(|part| cli.wants(*part)) {
        say(part);
        done(one(part, cli, cast, amount));
    }
}

fn one(part: Part, cli: &BenchArgs, cast: &Cast, amount: Amount) -> Section {
    match part {
        Part::Get => large::measure(cast, amount, Direction::Get),
        Part::Put => large::measure(cast, amount, Direction::Put),
        Part::Sizes => sizes::measure(cast, amount),
        Part::Files => trees::few(cast, amount),
        Part::Many => trees::many(cast, amount),
        Part::Latency => latency::measure(cast, amount),
        Part::Misuse => misuse::measure(cast, amount),
        Part::Resume => resume::measure(amount, cli.seed),
        Part::Mtu => mtu::measure(cast, amount, cli.own_network),
        Part::Memory => memory::gets(cast, amount),
        Part::FirstByte => memory::first_byte(cast),
        Part::Disk => memory::disk(cli.disk.as_deref()),
    }
}
