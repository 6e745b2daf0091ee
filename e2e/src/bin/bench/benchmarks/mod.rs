//! The benchmarks: each measures one thing and reports it with its goals.

pub(crate) mod large;
pub(crate) mod latency;
pub(crate) mod memory;
pub(crate) mod misuse;
pub(crate) mod mtu;
pub(crate) mod peers;
mod relayed_member;
pub(crate) mod resume;
pub(crate) mod sizes;
pub(crate) mod trees;

use crate::cli::{BenchArgs, Benchmark, Workload};
use crate::peers::TransferKind;
use crate::report::Section;
use crate::testbed::Testbed;

/// Runs all selected benchmarks. Calls `on_start` before each, and `on_result` with its section.
pub(crate) fn measure(
    cli: &BenchArgs,
    testbed: &Testbed,
    mut on_start: impl FnMut(Benchmark),
    mut on_result: impl FnMut(Section),
) {
    let workload = cli.workload();
    for benchmark in Benchmark::ALL.into_iter().filter(|benchmark| cli.wants(*benchmark)) {
        on_start(benchmark);
        on_result(run(benchmark, cli, testbed, workload));
    }
}

fn run(benchmark: Benchmark, cli: &BenchArgs, testbed: &Testbed, workload: Workload) -> Section {
    match benchmark {
        Benchmark::Get => large::measure(testbed, workload, TransferKind::Get),
        Benchmark::Put => large::measure(testbed, workload, TransferKind::Put),
        Benchmark::Sizes => sizes::measure(testbed, workload),
        Benchmark::Files => trees::compare_peers(testbed, workload),
        Benchmark::Many => trees::many_files(testbed, workload),
        Benchmark::Latency => latency::measure(testbed, workload),
        Benchmark::Misuse => misuse::measure(testbed, workload),
        Benchmark::Resume => resume::measure(workload, cli.seed),
        Benchmark::Mtu => mtu::measure(testbed, workload, cli.own_network),
        Benchmark::Peers => peers::measure(testbed, workload, cli.own_network),
        Benchmark::Memory => memory::concurrent_gets(testbed, workload),
        Benchmark::FirstByte => memory::first_byte(testbed),
        Benchmark::Disk => memory::disk(cli.disk.as_deref()),
    }
}
