//! `fleetstorm emulator`: settings, files, endpoints, and the time until it is told to end.

mod describe;
mod error;
mod files;
mod parent;
mod settings;

use std::io;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use crate::cli::signals::StopSignals;
use crate::cli::{CommandError, Exit, Terminal};
use crate::domain::QuotaProfile;
use crate::emulator::{Address, Config, Emulator, Port};
use crate::rig::machine::OpenFiles;
use crate::rig::target::Connection;
use error::EmulatorError;
use files::Files;

/// Arguments of `fleetstorm emulator`.
#[derive(Debug, Default, clap::Args)]
#[command(after_long_help = LONG_HELP)]
pub struct EmulatorArgs {
    /// File of settings (TOML); every key has a default, unknown keys are refused
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Port of MQTT over TLS, for DPS and hub; 0 takes a free one [default: 8883]
    #[arg(long, value_name = "PORT")]
    pub mqtt_port: Option<u16>,
    /// Port of HTTPS and MQTT over WebSocket, for DPS and hub; 0 takes a free one, off none [default:
    /// 8443, or a free one with --mqtt-port 0]
    #[arg(long, value_name = "PORT|off")]
    pub https_port: Option<Port>,
    /// Port of the control plane (HTTP); 0 takes a free one, off none [default: 8444, or a free one with --mqtt-port 0]
    #[arg(long, value_name = "PORT|off")]
    pub management_port: Option<Port>,
    /// Address of the control plane [default: localhost, which is 127.0.0.1 and ::1]
    #[arg(long, value_name = "ADDRESS")]
    pub management_listen: Option<Address>,
    /// Address to listen on [default: localhost, which is 127.0.0.1 and ::1]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<Address>,
    /// Permit an address that other machines can reach
    #[arg(long)]
    pub allow_remote: bool,
    /// Host name of DPS as devices use it; goes into the server certificate [default: localhost]
    #[arg(long, value_name = "HOST")]
    pub dps_host: Option<String>,
    /// Host name of the hub that devices are assigned to; goes into the server certificate [default: localhost]
    #[arg(long, value_name = "HOST")]
    pub hub_host: Option<String>,
    /// Id scope of the emulated DPS [default: 0ne00000001]
    #[arg(long, value_name = "SCOPE")]
    pub id_scope: Option<String>,
    /// File with the enrollment group's primary key in base64 [default: FLEETSTORM_GROUP_KEY, else random]
    #[arg(long, value_name = "FILE")]
    pub group_key_file: Option<PathBuf>,
    /// Enroll a group for devices with a bootstrap certificate of this authority (PEM, its first certificate)
    #[arg(long, value_name = "FILE")]
    pub x509_ca: Option<PathBuf>,
    /// Quotas of the service, over which it answers 429: as DPS and ADR have them, and a hub of one unit
    #[arg(long, value_name = "NAME", value_parser = profile())]
    pub profile: Option<QuotaProfile>,
    /// Keep the state in this folder, so that a later start with it goes on: enrollments, authorities with their keys,
    /// registrations, devices [default: nothing is kept]
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Folder for the group key and the CA files [default: that of --state, else a fresh one, removed at the end]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Write the description of the endpoints (JSON) to a file, for `fleetstorm run --target FILE`
    #[arg(long, value_name = "FILE")]
    pub connection_file: Option<PathBuf>,
    /// Fleet seconds in one real second, 1 to 1000000: how much faster validities, waits, quotas and fault times pass
    /// [default: 1]
    #[arg(long, value_name = "FACTOR")]
    pub time_scale: Option<f64>,
    /// End when stdin is closed, so that the emulator never outlives its parent; a line `begin NANOSECONDS` on it is the
    /// moment (since 1970) from which on the time scale counts, the times of the faults run and quotas are whole; each
    /// such line begins them anew
    #[arg(long)]
    pub parent_pipe: bool,
}

const LONG_HELP: &str = "\
Examples:
  fleetstorm emulator
      MQTT on localhost:8883, HTTPS and WebSocket on 8443, control plane on 8444, with new keys; says how to connect
  fleetstorm emulator --mqtt-port 0 --connection-file dps.json
      on free ports; `fleetstorm run SCENARIO --target dps.json` finds it
  FLEETSTORM_GROUP_KEY=$(cat group.key) fleetstorm emulator --json
      with your own group key; one line of JSON on stdout when it is ready
  fleetstorm emulator --profile hub-s1
      with the quotas of a DPS instance and of a hub of one S1 unit
  fleetstorm emulator --state fleet-state
      goes on tomorrow where it ended today: the fleet's certificates stay good and can be renewed
  fleetstorm emulator --hub-host contoso.azure-devices.net --listen 0.0.0.0 --allow-remote
      under a true host name, for devices on other machines

All keys are new at every start, unless --state keeps them: nothing that it issues is worth anything \
elsewhere.
With --json one line is printed when all is ready; it names the files that hold keys and certificates.

Ends with code 0 by a signal or by its parent, 2 when settings cannot be, 4 when it cannot listen, 1 otherwise.";

/// One of the names of profiles.
fn profile() -> impl TypedValueParser<Value = QuotaProfile> {
    PossibleValuesParser::new(QuotaProfile::ALL.map(QuotaProfile::name))
        .map(|name| QuotaProfile::from_name(&name).unwrap_or_default())
}

/// Runs the command.
///
/// # Errors
/// Settings that cannot be, files that cannot be written, a port in use.
pub fn run(args: EmulatorArgs, terminal: &Terminal) -> Result<Exit, CommandError> {
    let mut config = settings::resolve(&args)?;
    limit_connections(&mut config, terminal)?;
    let runtime = runtime().map_err(EmulatorError::Runtime)?;
    runtime.block_on(async {
        // Before anything takes time: from here on a signal ends it cleanly.
        let stop = stop()?;
        let orders =
            args.parent_pipe.then(|| parent::listen(stop.clone())).transpose().map_err(EmulatorError::Runtime)?;
        let emulator = Emulator::bind(config.clone()).await.map_err(EmulatorError::from)?;
        let files = Files::write(args.dir.or_else(|| config.state.clone()), &emulator)?;
        let connection = describe::connection(&config, &emulator, &files);
        if let Some(file) = args.connection_file {
            files::write_connection(&file, &connection)?;
        }
        announce(&connection, terminal)?;
        let service = emulator.service().clone();
        let led = async {
            match orders {
                Some(orders) => parent::follow(orders, &service, terminal).await,
                None => std::future::pending().await,
            }
        };
        // Orders first: they are few, and `begin` must not wait for devices.
        let counters = tokio::select! {
            biased;
            never = led => match never {},
            counters = emulator.run(stop) => counters,
        };
        terminal.note(format_args!("emulator: {counters}"));
        match service.state_failure() {
            None => Ok(Exit::Done),
            Some(reason) => Err(EmulatorError::NotStored(reason).into()),
        }
    })
}

/// A token that is cancelled by the first signal that asks for the end.
fn stop() -> Result<CancellationToken, CommandError> {
    let (stop, mut signals) = (CancellationToken::new(), StopSignals::listen()?);
    let cancelled = stop.clone();
    tokio::spawn(async move {
        signals.next().await;
        cancelled.cancel();
    });
    Ok(stop)
}

fn announce(connection: &Connection, terminal: &Terminal) -> Result<(), CommandError> {
    if terminal.json {
        let mut line = serde_json::to_string(connection).map_err(|e| EmulatorError::Runtime(e.into()))?;
        line.push('\n');
        terminal.print(&line)?;
    } else {
        terminal.print(&describe::text(connection))?;
    }
    Ok(())
}

/// Every connection is an open file: raise the limit, and serve no more at once than it allows.
fn limit_connections(config: &mut Config, terminal: &Terminal) -> Result<(), CommandError> {
    let asked = config.listen.max_connections;
    let wanted = u64::try_from(asked).unwrap_or(u64::MAX).saturating_add(OWN_FILES);
    let limit = OpenFiles::raise(wanted)?.limit;
    let possible = connections_within(limit);
    if possible < asked && asked != Config::default().listen.max_connections {
        terminal.note(format_args!(
            "emulator: {possible} connections at once instead of {asked}, as {limit} open files are permitted \
             (raise the hard limit with `ulimit -Hn {wanted}`)"
        ));
    }
    config.listen.max_connections = asked.min(possible);
    Ok(())
}

/// Open files that are no connections of devices: those of the process itself, and those of the control plane.
const OWN_FILES: u64 = 128;

/// Connections of devices that a limit on open files allows.
fn connections_within(limit: u64) -> usize {
    usize::try_from(limit.saturating_sub(OWN_FILES).max(1)).unwrap_or(usize::MAX)
}

/// On one core a second thread would only get in the way.
fn runtime() -> io::Result<Runtime> {
    match std::thread::available_parallelism().map_or(1, usize::from) {
        1 => Builder::new_current_thread().enable_all().build(),
        cores => Builder::new_multi_thread().worker_threads(cores).enable_all().build(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearly_all_open_files_may_be_connections() {
        assert_eq!([0, 128, 20_000].map(connections_within), [1, 1, 19_872]);
    }
}
