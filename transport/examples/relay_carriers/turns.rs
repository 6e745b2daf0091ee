//! Runs all carriers with all loads in turns, and prints a table.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::net::UdpSocket;
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::Failure;
use crate::report::{Load, Report, median, percentiles};
use crate::wan::{self, LinkSettings};

const CARRIERS: [&str; 8] = [
    "direct",
    "datagrams-1200",
    "datagrams-1400",
    "stream-1200-bounded",
    "stream-4096-bounded",
    "stream-16384-bounded",
    "stream-4096-bounded-queue64",
    "stream-4096",
];

/// How long one process may take.
const LIMIT: Duration = Duration::from_secs(60);

/// What is measured.
#[derive(Debug)]
pub(crate) struct Plan {
    link: Option<LinkSettings>,
    turns: usize,
    seconds: f64,
    carriers: Vec<String>,
}

impl Plan {
    /// Parses `[wan] [TURNS [SECONDS [CARRIER...]]]`.
    pub(crate) fn parse(arguments: &[&str]) -> Result<Self, Failure> {
        let (link, arguments) = match arguments {
            ["wan", rest @ ..] => {
                let link = LinkSettings {
                    delay: Duration::from_millis(10),
                    rate: 100e6 / 8.0,
                    queue: 256.0 * 1024.0,
                    lost_per_million: 1000,
                };
                (Some(link), rest)
            }
            all => (None, all),
        };
        let carriers = arguments.get(2..).unwrap_or(&[]).iter().map(ToString::to_string);
        let mut carriers: Vec<String> = carriers.collect();
        if carriers.is_empty() {
            carriers = CARRIERS.map(str::to_owned).to_vec();
        }
        Ok(Self {
            link,
            turns: arguments.first().map_or(Ok(5), |text| text.parse())?,
            seconds: arguments.get(1).map_or(Ok(2.0), |text| text.parse())?,
            carriers,
        })
    }
}

/// Runs all turns.
pub(crate) async fn run(plan: &Plan) -> Result<(), Failure> {
    let mut reports: BTreeMap<(usize, &str), Vec<Report>> = BTreeMap::new();
    for turn in 0..plan.turns {
        for (index, carrier) in plan.carriers.iter().enumerate() {
            for load in Load::ALL {
                let report = measure(plan, carrier, load).await?;
                let rate = report.rate.unwrap_or(f64::NAN);
                print_line(&format!(
                    "turn {turn} {carrier} {}: {rate:.1} MB/s, {}",
                    load.name(),
                    report.note
                ));
                reports.entry((index, load.name())).or_default().push(report);
            }
        }
    }
    print_table(plan, &reports);
    Ok(())
}

fn print_table(plan: &Plan, reports: &BTreeMap<(usize, &str), Vec<Report>>) {
    print_line("");
    print_line("Medians. MB/s; ratio to the first carrier in the same turn; processor time of all");
    print_line("processes; round trips in ms (p50 / p99) beside the relayed content.");
    print_line("");
    print_line(
        "| carrier | alone | ratio | s/GB | sender's request | receiver's request | message to the peer \
         | relayed beside a get | that get |",
    );
    print_line("|---|---|---|---|---|---|---|---|---|");
    let of = |index, load: Load| reports.get(&(index, load.name())).map_or(&[][..], Vec::as_slice);
    let rates =
        |index, load| of(index, load).iter().filter_map(|report| report.rate).collect::<Vec<_>>();
    for (index, carrier) in plan.carriers.iter().enumerate() {
        let alone = rates(index, Load::Content);
        let first = rates(0, Load::Content);
        let ratios = alone.iter().zip(&first).map(|(rate, first)| rate / first).collect();
        let requests = |of_report: fn(&Report) -> &Vec<u128>| {
            let all = of(index, Load::Requests).iter().flat_map(|report| of_report(report).clone());
            percentiles(all.collect())
        };
        let processor_times =
            of(index, Load::Content).iter().map(|report| report.processor_time).collect();
        let gets = of(index, Load::Get).iter().filter_map(|report| report.get).collect();
        print_line(&format!(
            "| {carrier} | {:.1} | {:.2} | {:.1} | {} | {} | {} | {:.1} | {:.1} |",
            median(alone),
            median(ratios),
            median(processor_times),
            requests(|report| &report.sender_requests),
            requests(|report| &report.receiver_requests),
            requests(|report| &report.messages),
            median(rates(index, Load::Get)),
            median(gets),
        ));
    }
}

/// Starts a server and both clients for one measurement.
async fn measure(plan: &Plan, carrier: &str, load: Load) -> Result<Report, Failure> {
    let mut server = Process::start(&["server", carrier])?;
    let address = server.next_line().await?;
    let mut paths = JoinSet::new();
    let mut addresses = [address.clone(), address.clone()];
    if let Some(link) = plan.link {
        for client in &mut addresses {
            let socket = UdpSocket::bind("127.0.0.1:0").await?;
            *client = socket.local_addr()?.to_string();
            paths.spawn(wan::run(socket, address.parse()?, link));
        }
    }
    let seconds = plan.seconds.to_string();
    let [sender_server, receiver_server] = &addresses;
    let mut receiver = None;
    // Without a relay, the receiver is the server.
    if carrier != "direct" {
        let mut process =
            Process::start(&["receive", receiver_server, carrier, load.name(), &seconds])?;
        process.next_line().await?;
        receiver = Some(process);
    }
    let mut sender = Process::start(&["send", sender_server, carrier, load.name(), &seconds])?;
    let mut report: Report = sender.next_line().await?.parse()?;
    let mut processor_time = 0.0;
    if let Some(mut receiver) = receiver {
        report.merge(receiver.next_line().await?.parse()?);
        processor_time += receiver.processor_time()?;
    }
    processor_time += server.processor_time()? + sender.processor_time()?;
    let gigabytes = report.rate.unwrap_or(f64::NAN) * plan.seconds / 1e3;
    report.processor_time = processor_time / gigabytes;
    Ok(report)
}

/// A process of this program, which is killed when it is dropped.
struct Process {
    child: Child,
    output: Lines<BufReader<ChildStdout>>,
}

impl Process {
    fn start(arguments: &[&str]) -> Result<Self, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(arguments)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let output = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
        Ok(Self { child, output })
    }

    /// Processor time so far in seconds, also after the process has ended. Only on Linux.
    fn processor_time(&self) -> Result<f64, Failure> {
        let id = self.child.id().ok_or("the process has ended")?;
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
        // The second field, in parentheses, may contain spaces. Ticks are hundredths of a second.
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let ticks: Vec<f64> = fields.skip(11).take(2).map_while(|it| it.parse().ok()).collect();
        Ok(ticks.iter().sum::<f64>() / 100.0)
    }

    async fn next_line(&mut self) -> Result<String, Failure> {
        let line = timeout(LIMIT, self.output.next_line()).await??;
        line.ok_or_else(|| "a process has ended early".into())
    }
}

#[expect(clippy::print_stdout, reason = "an example reports on standard output")]
pub(crate) fn print_line(line: &str) {
    println!("{line}");
}
