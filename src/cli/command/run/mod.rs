//! `fleetstorm run`: load, resolve, check limits, start the target, prepare, measure, drain, write, print, exit.

mod hold;
mod observers;

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::cli::args::ScenarioArgs;
use crate::cli::command::compare::{Documents, JudgingArgs, judge, read_runs};
use crate::cli::command::finish::{RunEnding, finish, in_short, overview};
use crate::cli::command::plan::Idle;
use crate::cli::expected::{Expected, Remembered, remember};
use crate::cli::metrics::{MetricsAddress, OtlpArgs};
use crate::cli::settings::{Resolved, resolve};
use crate::cli::start_at::StartAt;
use crate::cli::{CommandError, Exit, Explained, Terminal, secrets};
use crate::domain::Shard;
use crate::engine::Plan;
use crate::measure::RunRecord;
use crate::report::console::wrapped;
use crate::report::rows::RowFormat;
use crate::report::{HTML_REPORT, ReadError, ResultsFolder, Side};
use crate::rig::live::About;
use crate::rig::machine::{OpenFiles, Scarcity, machine};
use crate::rig::{Observers, Run, TargetOptions, os_text};
use hold::{close, hold};
use observers::{Wanted, display};

/// Arguments of `fleetstorm run`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct RunArgs {
    /// What to run.
    #[command(flatten)]
    pub scenario: ScenarioArgs,
    /// Whom to put under load: HOST or HOST:PORT of a DPS endpoint, or the FILE.json that an emulator wrote [default: what the
    /// scenario says, else embedded: an emulator of its own]
    #[arg(long, value_name = "TARGET", help_heading = "Target")]
    pub target: Option<String>,
    /// Id scope of the DPS instance, such as 0ne00000001
    #[arg(long, value_name = "SCOPE", help_heading = "Target")]
    pub id_scope: Option<String>,
    /// File with the enrollment group's key in base64 (or set FLEETSTORM_GROUP_KEY)
    #[arg(long, value_name = "FILE", help_heading = "Target")]
    pub group_key_file: Option<PathBuf>,
    /// PEM roots that the TLS certificates of DPS and hub must lead to
    #[arg(long, value_name = "FILE", help_heading = "Target")]
    pub ca_file: Option<PathBuf>,
    /// PEM of the authority that must have issued the devices' certificates
    #[arg(long, value_name = "FILE", help_heading = "Target")]
    pub issuing_root_file: Option<PathBuf>,
    /// Where hubs are, whatever name DPS assigns
    #[arg(long, value_name = "HOST:PORT", help_heading = "Target")]
    pub hub_address: Option<String>,
    /// Addresses of this machine that devices connect from, in turn: one has some 28,000 ports [default: 127.0.0.0/8 towards
    /// a target on loopback, else what the system chooses]
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',', help_heading = "Target")]
    pub source_address: Vec<IpAddr>,
    /// Repeat the id scope to confirm load on a target that is not on this machine
    #[arg(long, value_name = "SCOPE", help_heading = "Target")]
    pub confirm_id_scope: Option<String>,
    /// Confirm load on a hub that is not on this machine, by the name that DPS assigns or the host of --hub-address (may be
    /// repeated)
    #[arg(long, value_name = "HOST", value_delimiter = ',', help_heading = "Target")]
    pub confirm_hub: Vec<String>,
    /// Ask for more than the quotas of a target that is not on this machine, on purpose
    #[arg(long, help_heading = "Target")]
    pub above_quota: bool,
    /// Settings of the embedded emulator, as for `fleetstorm emulator --config`
    #[arg(long, value_name = "FILE", help_heading = "Target")]
    pub emulator_config: Option<PathBuf>,
    /// Folder for the results, made if need be (otherwise a new one under results/, named by time and scenario)
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Run so often, with one seed after the other, into the folders 1, 2, … of the results: tells how much runs differ
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub repeat: u32,
    /// Run only a part of the fleet, number I of N, while other machines run the others with the same scenario and seed
    #[arg(long, value_name = "I/N", help_heading = "Several machines")]
    pub shard: Option<Shard>,
    /// Prepare, then wait until that moment to begin: 2026-03-01T09:30:00Z, 09:30 or 09:30:15 (UTC), or +30s
    #[arg(long, value_name = "TIME", conflicts_with = "repeat", help_heading = "Several machines")]
    pub start_at: Option<StartAt>,
    /// Compare with the results in a folder (a run, or a folder of runs), and end with code 6 when something got worse;
    /// writes comparison.html and comparison.json into the results, too
    #[arg(long, value_name = "DIR", help_heading = "Comparison")]
    pub baseline: Option<PathBuf>,
    /// When a difference counts.
    #[command(flatten)]
    pub judging: JudgingArgs,
    /// Write devices.csv too, with one row per attempt
    #[arg(long)]
    pub devices: bool,
    /// What --devices writes: devices.csv or devices.parquet
    #[arg(long, value_name = "FORMAT", requires = "devices")]
    pub devices_format: Option<RowFormat>,
    /// Tell how the run goes to Prometheus and others, at a port of this machine's loopback or an address
    #[arg(long, value_name = "[ADDRESS:]PORT", help_heading = "Metrics")]
    pub metrics: Option<MetricsAddress>,
    /// After the end, wait until the metrics were read once more, for at most this long (0s unless given)
    #[arg(long, value_name = "DURATION", requires = "metrics", value_parser = humantime::parse_duration)]
    #[arg(help_heading = "Metrics")]
    pub metrics_linger: Option<Duration>,
    /// Whom to push to.
    #[command(flatten)]
    pub otlp: OtlpArgs,
}

impl clap::ValueEnum for RowFormat {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Csv, Self::Parquet]
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(self.name().into())
    }
}

const EXAMPLES: &str = "\
Examples:
  fleetstorm run scenarios/provisioning-storm.toml
      against the embedded emulator, which is started and stopped with the run
  fleetstorm run scenarios/provisioning-storm.toml --set fleet.devices=2000 --seed 7
      fewer devices, the same ones on every run
  fleetstorm run scenarios/provisioning-storm.toml --set quotas.profile=dps-default \\
        --set fleet.behaviour=well-behaved --set time_scale='1m = 1s'
      the same under the quotas of a DPS instance, by devices that come again when refused; a minute passes in a second
  fleetstorm run scenarios/smoke.toml --set 'thresholds=[\"provision.failed == 0\"]'
      ends with code 5 when it is not met
  fleetstorm run scenarios/smoke.toml --repeat 5 --baseline before
      five runs, held against those in the folder before; ends with code 6 when a phase got slower
  fleetstorm run scenarios/smoke.toml --repeat 5 --json --quiet | jq .totals.succeeded
      one document per line: run.json of each run, with --baseline followed by the comparison
  fleetstorm run scenarios/smoke.toml --emulator-config slow.toml
      against an emulator with the latencies, faults and quotas of a file
  fleetstorm run scenarios/provisioning-storm.toml --metrics 9464
      can be watched at http://127.0.0.1:9464/metrics; dashboards/ has what Prometheus and Grafana need
  OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20… \\
  fleetstorm run scenarios/provisioning-storm.toml --otlp https://collector.example:4318
      pushes the same to an OpenTelemetry collector; nothing secret is typed behind the command
  fleetstorm run scenarios/smoke.toml --target dps.json
      against `fleetstorm emulator --connection-file dps.json`
  fleetstorm run scenarios/smoke.toml --target my-dps.azure-devices-provisioning.net \\
        --id-scope 0ne00000001 --confirm-id-scope 0ne00000001 --confirm-hub my-hub.azure-devices.net \\
        --group-key-file group.key --ca-file /etc/ssl/certs/ca-certificates.crt
      against the service: it counts towards its quota and its bill, begin with few devices

  fleetstorm run scenarios/provisioning-storm.toml --seed 7 --shard 1/4 --start-at 09:30 \\
        --target dps.json --confirm-id-scope 0ne00000001 --above-quota --out shard-1
      the first quarter of the fleet; with 2/4, 3/4 and 4/4 on three other machines the whole of it, from 09:30 (UTC) on;
      then `fleetstorm merge shard-1 shard-2 shard-3 shard-4 --out whole`

A target that is not on this machine is not asked for more than its quotas: `[quotas]` of the scenario, else the defaults of \
DPS. The run is refused before anything is sent, with the figures; --above-quota insists.

Ctrl-C stops the run and keeps what was measured; a second one does not wait for devices in flight.
Devices that fail are data: the run ends with code 0 unless a threshold is not met (5), a device got a wrong certificate \
(5), the generator was the bottleneck (7), something got worse than the baseline (6), or it was stopped (130). Nothing was \
measured with 2 (command line), 3 (scenario) and 4 (target). All codes: fleetstorm --help.";

/// Runs the command.
///
/// # Errors
/// Nothing could be measured, or the generator failed. A run that was measured ends with an [`Exit`], however it went.
pub fn run(args: RunArgs, terminal: &Terminal) -> Result<Exit, CommandError> {
    let RunArgs {
        scenario,
        target,
        id_scope,
        group_key_file,
        ca_file,
        issuing_root_file,
        hub_address,
        source_address,
        confirm_id_scope,
        confirm_hub,
        above_quota,
        emulator_config,
        out,
        repeat,
        shard,
        start_at,
        baseline,
        judging,
        devices,
        devices_format,
        metrics,
        metrics_linger,
        otlp,
    } = args;
    // Before an hour of load, not after it.
    let baseline = baseline.map(|folder| Ok::<_, ReadError>((read_runs(&folder)?, folder))).transpose()?;
    let flags = vec![
        ("target.address", target),
        ("target.id_scope", id_scope),
        ("target.group_key_file", as_text("--group-key-file", group_key_file)?),
        ("target.ca_file", as_text("--ca-file", ca_file)?),
        ("target.issuing_root_file", as_text("--issuing-root-file", issuing_root_file)?),
    ];
    let Resolved { scenario, seed } = resolve(scenario, flags)?;
    let shard = shard.unwrap_or(Shard::WHOLE);
    if !shard.is_whole() && scenario.seed.is_none() {
        return Err(NoSeed(shard).into());
    }
    // SAS tokens are made before, and must live through the stage. Until it begins, the fleet's time is real time.
    let start_at =
        start_at.map(|at| at.moment(SystemTime::now(), scenario.fleet.token_life.length() / 2)).transpose()?;
    let folder = match out {
        Some(out) => ResultsFolder::open(out)?,
        None => ResultsFolder::fresh(Path::new("results"), SystemTime::now(), &scenario.name)?,
    };
    let devices = devices.then(|| devices_format.unwrap_or_default());
    let wanted = Wanted { devices, metrics, otlp };
    let options = TargetOptions {
        hub_address,
        source_addresses: source_address,
        confirm_id_scope,
        confirm_hubs: confirm_hub,
        emulator_config,
        emulator_binary: None,
        above_quota,
        group_key: secrets::group_key()?,
    };
    let folder = Arc::new(folder);
    let results = folder.path().to_owned();
    let folder_of = |number| results.join(format!("{number:0>width$}", width = digits(repeat)));
    if repeat > 1 {
        // Before the first run, not after some of them.
        (1..=repeat).try_for_each(|number| ResultsFolder::unoccupied(&folder_of(number)))?;
    }
    let mut worst = RunEnding::Done;
    let mut came_to = Vec::new();
    for number in 1..=repeat {
        let folder = match repeat {
            1 => Arc::clone(&folder),
            _ => Arc::new(ResultsFolder::open(folder_of(number))?),
        };
        let seed = seed.wrapping_add(u64::from(number - 1));
        let plan = Plan::of_shard(&scenario, seed, shard).map_err(Idle)?;
        let run = Run { start_at, command: command_line(std::env::args_os()), ..Run::new(scenario.clone(), plan) };
        let observers = wanted.clone().observers(&folder, &scenario, terminal)?;
        let linger = metrics_linger.filter(|_| number == repeat).unwrap_or_default();
        let (ending, in_short) = once(run, &options, observers, &folder, linger, terminal)?;
        came_to.extend(in_short.map(|in_short| (seed, in_short)));
        worst = worst.max(ending);
        if ending == RunEnding::Interrupted {
            break;
        }
    }
    let (repeats, compares) = (repeat > 1, baseline.is_some() && worst != RunEnding::Interrupted);
    if compares && let Some((before, path)) = baseline {
        worst = compare_with((before, path), &results, &judging, worst, terminal)?;
    }
    // Of a run alone it was the last thing that was printed.
    if (repeats && came_to.len() > 1) || compares {
        let pages = if repeats { results.join("*").join(HTML_REPORT) } else { results.join(HTML_REPORT) };
        let reports = format!("{} in {}", if repeats { "reports" } else { "report" }, pages.display());
        overview(&came_to, &reports, terminal)?;
    }
    Ok(worst.exit())
}

/// Holds the results against those in a folder. `worst`: how the runs themselves ended.
fn compare_with(
    (before, path): (Vec<RunRecord>, PathBuf),
    results: &Path,
    judging: &JudgingArgs,
    worst: RunEnding,
    terminal: &Terminal,
) -> Result<RunEnding, CommandError> {
    let names = [path.display().to_string(), results.display().to_string()];
    let mut runs = [before, read_runs(results)?];
    let matched = judging.match_stages(&mut runs);
    let sides = [0, 1].map(|side| Side { name: &names[side], runs: &runs[side] });
    let judged = match matched.and_then(|notes| judge(sides, judging, notes)) {
        Ok(judged) => judged,
        Err(refusal) if worst == RunEnding::Done => return Err(refusal.into()),
        Err(refusal) => {
            // Why the run itself counts for little is also why it is not comparable, and says more.
            terminal.error(&refusal.into());
            return Ok(worst);
        }
    };
    judged.print(terminal, Documents::Lines)?;
    let written = judged
        .write_json(&results.join("comparison.json"))
        .and_then(|()| judged.write_page(&results.join("comparison.html"), terminal));
    // Numbers that are wrong for another reason are no regression.
    Ok(worst.max(judged.ending(written, terminal)))
}

/// A path as a setting of the scenario, which is text.
fn as_text(flag: &'static str, path: Option<PathBuf>) -> Result<Option<String>, NotText> {
    let text = |path: PathBuf| path.into_os_string().into_string();
    path.map(text).transpose().map_err(|path| NotText { flag, path: os_text::told(&path) })
}

/// A name that no setting can have.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("{flag} names {path}, which is not UTF-8: settings are text")]
#[diagnostic(help("give the file another name, or a link to it"))]
struct NotText {
    flag: &'static str,
    path: String,
}

impl Explained for NotText {
    fn exit(&self) -> Exit {
        Exit::Usage
    }
}

const fn digits(number: u32) -> usize {
    number.ilog10() as usize + 1
}

/// One run, from its target to its results: how it ended, and what it came to in short.
fn once(
    mut run: Run,
    options: &TargetOptions,
    mut observers: Observers,
    folder: &ResultsFolder,
    linger: Duration,
    terminal: &Terminal,
) -> Result<(RunEnding, Option<String>), CommandError> {
    let open_files = OpenFiles::raise(run.plan.needs.open_files)?;
    if let Some(shortage) = open_files.shortage() {
        terminal.note(wrapped("note: ", &shortage));
    }
    let on_this_machine = machine(open_files, &Scarcity::default());
    let expected = Expected::of(&run.scenario, &run.plan, &on_this_machine, &Remembered::of_user());
    for warning in expected.warnings() {
        terminal.note(wrapped(if warning.starts_with("WARNING") { "" } else { "note: " }, &warning));
    }
    run.open_files = Some(open_files);
    let scenario = run.scenario.clone();
    observers.onlooker = Some(display(About::of(&run.scenario, open_files.limit), terminal));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(RuntimeError)?;
    let Some(record) = runtime.block_on(hold(run, options, &mut observers))? else {
        terminal.note("stopped before anything was measured");
        return Ok((RunEnding::Interrupted, None));
    };
    remember(&record, &scenario);
    let ending = finish(&record, folder, terminal, Documents::Lines);
    let in_short = in_short(&record, terminal);
    if let Some(endpoint) = observers.endpoint {
        runtime.block_on(close(endpoint, linger, terminal))?;
    }
    Ok((ending, Some(in_short)))
}

/// As typed, without the folder that the binary lies in. An argument need not be text.
fn command_line(args: impl Iterator<Item = OsString>) -> Vec<String> {
    std::iter::once("fleetstorm".to_owned()).chain(args.skip(1).map(|arg| os_text::told(&arg))).collect()
}

/// Shards draw from the same seed, or they are parts of different runs.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("{0} needs the seed of the run, which is the same on every shard")]
#[diagnostic(help("give --seed N on every machine, or `seed` in the scenario"))]
struct NoSeed(Shard);

impl Explained for NoSeed {
    fn exit(&self) -> Exit {
        Exit::Usage
    }
}

/// The system refuses what every program needs.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("cannot start the runtime: {0}")]
#[diagnostic(help("is the limit on open files (`ulimit -n`) above 32?"))]
struct RuntimeError(#[source] std::io::Error);

impl Explained for RuntimeError {}
