use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use crate::cli::command::run::sharded;
use crate::cli::secrets;
use crate::cli::{CommandError, Exit, Explained};
use crate::device::{Confirmed, ScaledClock, Settings, SourceAddresses, TcpConnector, WallClock};
use crate::domain::{Origin, Setting, Transport};
use crate::engine::Plan;
use crate::report::units;
use crate::rig::os_text;
use crate::rig::target::Connection;
use crate::rig::target::Embedded;
use crate::rig::target::EmulatorConfig;
use crate::rig::target::{AboveQuota, above_quota as above_quota_of, bootstrap_files};
use crate::rig::target::{Access, Door, GivenKey, TargetError, is_loopback, try_first_device};
use crate::scenario::{Scenario, TargetAddress};

/// What the command line says of the target beyond the scenario.
#[derive(Debug, Clone)]
pub(super) struct Wishes {
    pub(super) hub_address: Option<String>,
    pub(super) source_address: Vec<IpAddr>,
    pub(super) confirm_id_scope: Option<String>,
    /// Hubs that may be elsewhere.
    pub(super) confirm_hub: Vec<String>,
    pub(super) emulator_config: Option<PathBuf>,
    /// Asks for more than the target's quotas on purpose.
    pub(super) above_quota: bool,
    /// When the measured part is to begin.
    pub(super) start_at: Option<SystemTime>,
}

impl Wishes {
    /// Those that were given, for the record.
    pub(super) fn settings(&self) -> Vec<Setting> {
        let Self { hub_address, source_address, confirm_id_scope, confirm_hub, .. } = self;
        let Self { emulator_config, above_quota, start_at, .. } = self;
        let hubs = (!confirm_hub.is_empty()).then(|| confirm_hub.join(","));
        let addresses: Vec<String> = source_address.iter().map(IpAddr::to_string).collect();
        let sources = (!addresses.is_empty()).then(|| addresses.join(","));
        let config = emulator_config.as_ref().map(|file| os_text::told(file.as_os_str()));
        let given = [
            ("hub_address", hub_address),
            ("source_address", &sources),
            ("confirm_id_scope", confirm_id_scope),
            ("confirm_hub", &hubs),
            ("emulator_config", &config),
            ("above_quota", &above_quota.then(|| "true".to_owned())),
            ("start_at", &start_at.map(units::rfc3339)),
        ];
        given
            .into_iter()
            .filter_map(|(key, value)| Some((key, value.clone()?)))
            .map(|(key, value)| Setting { key: format!("run.{key}"), value, origin: Origin::CommandLine })
            .collect()
    }
}

/// A target that answers, ready to be put under load.
#[derive(Debug)]
pub(super) struct Opened {
    /// For the record.
    pub(super) description: String,
    /// What the devices of each class share.
    pub(super) devices: Vec<Settings>,
    /// Their way to the target, and to nobody who was not confirmed.
    pub(super) connector: Arc<TcpConnector>,
    /// The fleet's wall clock, which is to run faster once the measured part begins.
    pub(super) clock: Arc<ScaledClock>,
    /// What `--emulator-config` says, for the record.
    pub(super) emulator_settings: Vec<Setting>,
    /// The emulator that we started.
    pub(super) embedded: Option<Embedded>,
    /// What the reader of the results must know.
    pub(super) notes: Vec<String>,
}

/// Something is asked of a target that only the embedded emulator does.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
enum NotEmbedded {
    #[error("--emulator-config changes the embedded emulator, but the target is another one")]
    #[diagnostic(help("leave it away, or give it to `fleetstorm emulator --config FILE`"))]
    Config,
    #[error("`time_scale` compresses time, but the target is not the embedded emulator, whose clock follows the run's")]
    #[diagnostic(help("run it with --target embedded, or with --set time_scale=\"1s = 1s\""))]
    TimeScale,
}

impl Explained for NotEmbedded {
    fn exit(&self) -> Exit {
        Exit::Usage
    }
}

/// Starts the embedded emulator, or makes sure that the target given answers and may be put under load.
pub(super) async fn open(scenario: &Scenario, plan: &Plan, wishes: Wishes) -> Result<Opened, CommandError> {
    let Wishes { hub_address, source_address, confirm_id_scope, confirm_hub, .. } = wishes;
    let Wishes { emulator_config, above_quota, .. } = wishes;
    let target = &scenario.target;
    if target.address != TargetAddress::Embedded {
        if emulator_config.is_some() {
            return Err(NotEmbedded::Config.into());
        }
        if !scenario.time_scale.is_real() {
            return Err(NotEmbedded::TimeScale.into());
        }
        bootstrap_files::check(scenario, plan.shard, SystemTime::now())?;
    }
    let Hubs { address: hub_address, mut confirmed, mut is_remote } = hubs(hub_address, &confirm_hub).await?;
    let given = secrets::group_key()?;
    let mut emulator_settings = Vec::new();
    let (description, mut access, embedded) = match &target.address {
        TargetAddress::Embedded => {
            let config = EmulatorConfig::new(scenario, emulator_config.as_deref(), plan.seed)?;
            config.has_authorities()?;
            bootstrap_files::check(scenario, plan.shard, SystemTime::now())?;
            let file = config.write()?;
            let embedded = Embedded::start(file.path(), &scenario.fleet).await?;
            emulator_settings = config.of_file().to_vec();
            // The key of the environment is for the service, not for an emulator that made its own a moment ago.
            let access = Access::of_connection(embedded.connection(), scenario, &GivenKey::none())?;
            ("embedded emulator".to_owned(), access, Some(embedded))
        }
        TargetAddress::ConnectionFile(file) => {
            let connection = Connection::read(file).map_err(TargetError::from)?;
            let access = Access::of_connection(&connection, scenario, &given)?;
            let doors = std::iter::once(connection.mqtt).chain(connection.https);
            for address in doors.map(|door| door.ip()).filter(|address| !address.is_loopback()) {
                confirm(&address.to_string(), &access, confirm_id_scope.as_deref())?;
                confirmed.add_address(address);
                is_remote = true;
            }
            (format!("emulator at {}", connection.mqtt), access, None)
        }
        TargetAddress::Host { host, port } => {
            let access = Access::of_host(host, *port, scenario, &given)?;
            let Door { port, .. } = access.door(scenario.fleet.classes[0].transport)?;
            if !is_loopback(host, port).await? {
                confirm(host, &access, confirm_id_scope.as_deref())?;
                confirmed.add_host(host);
                is_remote = true;
            }
            (format!("{host}:{port}"), access, None)
        }
    };
    access.hub_address = hub_address;
    let mut notes = sharded::notes(scenario, plan.shard, embedded.is_some());
    if is_remote {
        // Before anything is sent there.
        let reasons = above_quota_of(scenario, plan.seed)?;
        if !above_quota && !reasons.is_empty() {
            return Err(AboveQuota { target: description, reasons }.into());
        }
        notes.extend(reasons.iter().map(|reason| format!("--above-quota: {reason}")));
    }
    access.source = source_addresses(&access, source_address).await?;
    let clock = Arc::new(ScaledClock::new(scenario.time_scale));
    let wall_clock: Arc<dyn WallClock> = clock.clone();
    let devices = access.device_settings(scenario, plan.seed, &wall_clock)?;
    let connector = Arc::new(TcpConnector::to(confirmed));
    let first = plan.first_device();
    let class = scenario.fleet.mix.class_of(first);
    if embedded.is_none()
        && let (Some(id), Some(settings)) = (plan.registration_id(first), devices.get(class))
    {
        notes.push(try_first_device(settings, scenario, class, &id, &connector).await?);
    }
    Ok(Opened { description, devices, connector, clock, emulator_settings, embedded, notes })
}

/// Those that were asked for, which must be this machine's. Towards loopback every device may have one of its own, so that
/// ports are no limit.
async fn source_addresses(access: &Access, given: Vec<IpAddr>) -> Result<SourceAddresses, CommandError> {
    for address in &given {
        if let Err(source) = TcpListener::bind((*address, 0)) {
            return Err(NotOurs { address: *address, source }.into());
        }
    }
    if !given.is_empty() {
        return Ok(SourceAddresses::Given(given.into()));
    }
    let loopback = match access.mqtt.address {
        Some(address) => address.ip().is_loopback(),
        None => is_loopback(&access.dps_host, access.mqtt.port).await?,
    };
    Ok(if loopback { SourceAddresses::Loopback } else { SourceAddresses::System })
}

/// Nothing can be sent from there.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("--source-address {address} cannot be used: {source}")]
#[diagnostic(help("name addresses of this machine, as `ip address` lists them"))]
struct NotOurs {
    address: IpAddr,
    source: std::io::Error,
}

impl Explained for NotOurs {
    fn exit(&self) -> Exit {
        Exit::Usage
    }
}

/// Where hubs are, as far as the command line says.
struct Hubs {
    /// The address of all of them, whatever name DPS assigns.
    address: Option<SocketAddr>,
    /// Those that may be elsewhere.
    confirmed: Confirmed,
    /// Whether one is.
    is_remote: bool,
}

/// Whoever is elsewhere must have been confirmed. Of hubs that DPS will assign that is seen when it does.
async fn hubs(address: Option<String>, confirm: &[String]) -> Result<Hubs, TargetError> {
    let mut hubs = Hubs { address: None, confirmed: Confirmed::default(), is_remote: false };
    for name in confirm {
        hubs.confirmed.add_host(name);
        // One that is not known here may be known later.
        hubs.is_remote |= !is_loopback(name, Transport::Mqtt.port()).await.unwrap_or(false);
    }
    if let Some(address) = address {
        let resolved = resolve_one(&address).await?;
        if !resolved.ip().is_loopback() {
            let host = address.rsplit_once(':').map_or(address.as_str(), |(host, _)| host);
            if !hubs.confirmed.has_host(host) {
                return Err(TargetError::HubNotConfirmed { hub: host.to_owned() });
            }
            hubs.confirmed.add_address(resolved.ip());
            hubs.is_remote = true;
        }
        hubs.address = Some(resolved);
    }
    Ok(hubs)
}

/// Load on somebody else's machine must be meant.
fn confirm(host: &str, access: &Access, confirmed: Option<&str>) -> Result<(), TargetError> {
    let id_scope = access.id_scope.as_str();
    if confirmed == Some(id_scope) {
        return Ok(());
    }
    Err(TargetError::NotConfirmed { host: host.to_owned(), id_scope: id_scope.to_owned() })
}

async fn resolve_one(address: &str) -> Result<SocketAddr, TargetError> {
    let unresolvable = |source| TargetError::Unresolvable { host: address.to_owned(), source };
    let mut addresses = tokio::net::lookup_host(address).await.map_err(unresolvable)?;
    addresses.next().ok_or_else(|| unresolvable(std::io::Error::other("it has no address")))
}
