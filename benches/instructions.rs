//! How many instructions the work of the hot path takes: they are the same on a busy machine and on an idle one, so that a
//! cost which creeps in is seen although no time is measured.
//!
//! `cargo bench --bench instructions` counts them (valgrind's callgrind; each work is done by a process of its own, some times and some more times,
//! so that what comes before and after is left out) and holds them against `instructions.csv`. More than the tolerance above
//! is a failure; more than that below is an improvement that should be kept: `FLEETSTORM_BLESS=1` writes the file anew.
//! Other compilers make other code, and other versions of valgrind are other processors: with other tools than the file's, what
//! differs is told and not judged. Without
//! `--bench` everything is done once, as a test of itself.
#![allow(clippy::unwrap_used, reason = "a bench ends with its first failure")]
#![allow(clippy::expect_used, reason = "a bench ends with its first failure")]

mod workload {
    pub(crate) mod attempts;
    pub(crate) mod packets;
}

use std::hint::black_box;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::{Duration, SystemTime};

use bytes::BytesMut;
use fleetstorm::engine::{Plan, Recorder};
use fleetstorm::measure::Outcome;
use fleetstorm::protocol::mqtt::{DPS_PACKET_LIMIT, decode};
use fleetstorm::rig::{Observers, Run, Target};
use fleetstorm::scenario::Scenario;
use serde::{Deserialize, Serialize};

/// Something that is done a number of times.
struct Work {
    name: &'static str,
    /// How often the first process does it, and how much more often the second.
    times: [u32; 2],
    /// Share by which the number of instructions may differ from the file's.
    tolerance: f64,
    does: fn(u32),
}

const WORK: [Work; 4] = [
    Work { name: "encode the packets of a registration", times: [100, 1_000], tolerance: 0.05, does: encode },
    Work { name: "decode the packets of a registration", times: [100, 1_000], tolerance: 0.05, does: decoded },
    Work { name: "record an attempt", times: [100, 1_000], tolerance: 0.05, does: record },
    Work { name: "register a device, both sides, without TLS", times: [20, 100], tolerance: 0.05, does: register },
];

fn encode(times: u32) {
    let (device, service) = workload::packets::conversation();
    for _ in 0..times {
        black_box(workload::packets::bytes(black_box(&device)));
        black_box(workload::packets::bytes(black_box(&service)));
    }
}

fn decoded(times: u32) {
    let (device, service) = workload::packets::conversation();
    let wires = [workload::packets::bytes(&device), workload::packets::bytes(&service)];
    for _ in 0..times {
        for wire in &wires {
            let mut buffer = BytesMut::from(&wire[..]);
            while let Some(packet) = decode(&mut buffer, DPS_PACKET_LIMIT).unwrap() {
                black_box(packet);
            }
        }
    }
}

fn record(times: u32) {
    let attempts: Vec<_> = (0..100).map(|index| workload::attempts::attempt(index, Outcome::Success)).collect();
    let mut recorder = Recorder::new();
    for attempt in attempts.iter().cycle().take(times as usize) {
        workload::attempts::record(&mut recorder, black_box(attempt));
    }
    black_box(recorder);
}

/// Key, CSR, registration and certificate, by the engine and the emulator in virtual time.
fn register(times: u32) {
    let text = format!(
        "schema = 1\nname = 'count'\nfleet = {{ devices = {times}, keys = 'seeded' }}\n\
         [[stage]]\nname = 'provision'\nkind = 'provision'\nhub_connect = false\n\
         arrival = {{ process = 'constant', rate = '1/s' }}\n"
    );
    let scenario = Scenario::parse("count.toml", &text, &[]).unwrap();
    let (seed, start) = (7, SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let record = runtime.block_on(async {
        let mut target = Target::in_process(&scenario, seed, Some(start)).unwrap();
        let run = Run::new(scenario.clone(), Plan::new(&scenario, seed));
        run.start(&mut target, &mut Observers::default()).await.unwrap()
    });
    assert_eq!(record.totals().succeeded, u64::from(times));
}

/// A line of the file.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Figure {
    work: String,
    instructions: f64,
    /// Versions of what made the program and of what counted.
    tools: String,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [name, times] = &arguments[..]
        && let Some(work) = WORK.iter().find(|work| work.name == *name)
    {
        (work.does)(times.parse().unwrap());
        return ExitCode::SUCCESS;
    }
    if !arguments.iter().any(|argument| argument == "--bench") {
        WORK.iter().for_each(|work| (work.does)(1));
        return ExitCode::SUCCESS;
    }
    let tools =
        ["rustc", "valgrind"].map(|tool| output(Command::new(tool).arg("--version")).trim().to_owned()).join(", ");
    let figures: Vec<Figure> = WORK
        .iter()
        .map(|work| {
            let [few, more] = work.times;
            let counted = (instructions(work.name, few + more) - instructions(work.name, few)) as f64;
            let instructions = (counted / f64::from(more)).round();
            Figure { work: work.name.to_owned(), instructions, tools: tools.clone() }
        })
        .collect();
    let before = kept();
    let mut exit = ExitCode::SUCCESS;
    for (work, figure) in WORK.iter().zip(&figures) {
        let told = match before.iter().find(|before| before.work == figure.work) {
            None => "new".to_owned(),
            Some(before) => {
                let change = figure.instructions / before.instructions - 1.0;
                let judged = match () {
                    () if before.tools != figure.tools => format!("not judged: that was {}", before.tools),
                    () if change > work.tolerance => {
                        exit = ExitCode::FAILURE;
                        format!("more than the {:.0} % that are let pass", work.tolerance * 100.0)
                    }
                    () if change < -work.tolerance => "better: keep it with FLEETSTORM_BLESS=1".to_owned(),
                    () => "as before".to_owned(),
                };
                format!("{:+.2} %, {judged}", change * 100.0)
            }
        };
        println!("{:<40} {:>12}  {told}", figure.work, figure.instructions);
    }
    if std::env::var_os("FLEETSTORM_BLESS").is_some() {
        let mut file = csv::Writer::from_path(path()).unwrap();
        figures.iter().for_each(|figure| file.serialize(figure).unwrap());
        file.flush().unwrap();
        return ExitCode::SUCCESS;
    }
    exit
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("benches/instructions.csv")
}

fn kept() -> Vec<Figure> {
    let Ok(mut file) = csv::Reader::from_path(path()) else { return Vec::new() };
    file.deserialize().collect::<Result<_, _>>().unwrap()
}

/// What a process of this program takes that does the work so often.
fn instructions(work: &str, times: u32) -> i64 {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(std::env::current_exe().unwrap());
    let told = output(command.arg(work).arg(times.to_string()));
    let collected = told.lines().find_map(|line| line.split_once("Collected : ")).map(|(_, number)| number.trim());
    collected.unwrap_or_else(|| panic!("callgrind tells no number:\n{told}")).parse().unwrap()
}

/// All that a program prints.
fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?} (apt-get install valgrind): {error}"));
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8_lossy(&printed).into_owned();
    assert!(output.status.success(), "{command:?}:\n{printed}");
    printed
}
