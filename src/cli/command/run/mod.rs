//! `fleetstorm run`: load, resolve, check limits, start the target, prepare, measure, drain, write, print, exit.

mod aside;
mod conduct;
mod interrupts;
mod keep;
mod opened;
mod rows;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::cli::args::ScenarioArgs;
use crate::cli::command::finish::finish;
use crate::cli::metrics::MetricsAddress;
use crate::cli::open_files::OpenFiles;
use crate::cli::settings::{Resolved, resolve};
use crate::cli::{CommandError, Exit, Explained, Terminal};
use crate::engine::Plan;
use crate::report::ResultsFolder;
use crate::report::console::wrapped;

/// Arguments of `fleetstorm run`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct RunArgs {
    /// What to run.
    #[command(flatten)]
    pub scenario: ScenarioArgs,
    /// Whom to put under load: embedded, HOST or HOST:PORT of a DPS endpoint, or the FILE.json that an emulator wrote
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
    /// Settings of the embedded emulator, as for `fleetstorm emulator --config`
    #[arg(long, value_name = "FILE", help_heading = "Target")]
    pub emulator_config: Option<PathBuf>,
    /// Folder for the results, made if need be (otherwise a new one under results/, named by time and scenario)
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Write devices.csv too, with one row per attempt
    #[arg(long)]
    pub devices: bool,
    /// Tell how the run goes to Prometheus and others, at a port of this machine's loopback or an address
    #[arg(long, value_name = "[ADDRESS:]PORT", help_heading = "Metrics")]
    pub metrics: Option<MetricsAddress>,
    /// After the end, wait until the metrics were read once more, for at most this long (0s unless given)
    #[arg(long, value_name = "DURATION", requires = "metrics", value_parser = humantime::parse_duration)]
    #[arg(help_heading = "Metrics")]
    pub metrics_linger: Option<Duration>,
}

const EXAMPLES: &str = "\
Examples:
  fleetstorm run scenarios/provisioning-storm.toml
      against the embedded emulator, which is started and stopped with the run
  fleetstorm run scenarios/provisioning-storm.toml --set fleet.devices=20000 --seed 7
      more devices, the same ones on every run
  fleetstorm run scenarios/provisioning-storm.toml --set quotas.profile=dps-default \\
        --set fleet.behaviour=well-behaved --set time_scale='1m = 1s'
      the same under the quotas of a DPS instance, by devices that come again when refused; a minute passes in a second
  fleetstorm run scenarios/smoke.toml --set 'thresholds=[\"provision.failed == 0\"]'
      ends with code 5 when it is not met
  fleetstorm run scenarios/smoke.toml --emulator-config slow.toml
      against an emulator with the latencies, faults and quotas of a file
  fleetstorm run scenarios/provisioning-storm.toml --metrics 9464
      can be watched at http://127.0.0.1:9464/metrics; dashboards/ has what Prometheus and Grafana need
  fleetstorm run scenarios/smoke.toml --target dps.json
      against `fleetstorm emulator --connection-file dps.json`
  fleetstorm run scenarios/smoke.toml --target my-dps.azure-devices-provisioning.net \\
        --id-scope 0ne00000001 --confirm-id-scope 0ne00000001 \\
        --group-key-file group.key --ca-file /etc/ssl/certs/ca-certificates.crt
      against the service: it counts towards its quota and its bill, begin with few devices

Ctrl-C stops the run and keeps what was measured; a second one does not wait for devices in flight.";

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
        emulator_config,
        out,
        devices,
        metrics,
        metrics_linger,
    } = args;
    let path = |file: Option<PathBuf>| file.map(|file| file.display().to_string());
    let flags = vec![
        ("target.address", target),
        ("target.id_scope", id_scope),
        ("target.group_key_file", path(group_key_file)),
        ("target.ca_file", path(ca_file)),
        ("target.issuing_root_file", path(issuing_root_file)),
    ];
    let Resolved { scenario, seed } = resolve(scenario, flags)?;
    let folder = match out {
        Some(out) => ResultsFolder::open(out)?,
        None => ResultsFolder::fresh(Path::new("results"), SystemTime::now(), &scenario.name)?,
    };
    let folder = Arc::new(folder);
    let plan = Plan::new(&scenario, seed);
    let aside = aside::Aside::new((devices, metrics), &folder, &scenario, terminal)?;
    let open_files = OpenFiles::raise(plan.needs.open_files)?;
    if let Some(shortage) = open_files.shortage() {
        terminal.note(wrapped("note: ", &shortage));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(RuntimeError)?;
    let wishes = opened::Wishes { hub_address, source_address, confirm_id_scope, emulator_config };
    match runtime.block_on(conduct::conduct(&scenario, plan, open_files, wishes, aside, &folder, terminal))? {
        conduct::Conducted::Measured { record, endpoint } => {
            let exit = finish(&record, &folder, terminal);
            if let Some(endpoint) = endpoint {
                runtime.block_on(aside::close(endpoint, metrics_linger.unwrap_or_default(), terminal))?;
            }
            exit
        }
        conduct::Conducted::Interrupted => {
            terminal.note("stopped before anything was measured");
            Ok(Exit::Interrupted)
        }
    }
}

/// The system refuses what every program needs.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("cannot start the runtime: {0}")]
#[diagnostic(help("is the limit on open files (`ulimit -n`) above 32?"))]
struct RuntimeError(#[source] std::io::Error);

impl Explained for RuntimeError {}
