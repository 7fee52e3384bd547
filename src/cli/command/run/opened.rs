use std::net::SocketAddr;
use std::path::PathBuf;

use crate::cli::connection::Connection;
use crate::cli::embedded::Embedded;
use crate::cli::target::{Access, GivenKey, TargetError, is_loopback, try_first_device};
use crate::cli::{CommandError, Exit, Explained};
use crate::device::Settings;
use crate::domain::{Origin, Setting};
use crate::engine::Plan;
use crate::scenario::{Scenario, TargetAddress};

/// What the command line says of the target beyond the scenario.
#[derive(Debug)]
pub(super) struct Wishes {
    pub(super) hub_address: Option<String>,
    pub(super) confirm_id_scope: Option<String>,
    pub(super) emulator_config: Option<PathBuf>,
}

impl Wishes {
    /// Those that were given, for the record.
    pub(super) fn settings(&self) -> Vec<Setting> {
        let Self { hub_address, confirm_id_scope, emulator_config } = self;
        let config = emulator_config.as_ref().map(|file| file.display().to_string());
        let given =
            [("hub_address", hub_address), ("confirm_id_scope", confirm_id_scope), ("emulator_config", &config)];
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
    /// What all devices share.
    pub(super) settings: Settings,
    /// The emulator that we started.
    pub(super) embedded: Option<Embedded>,
    /// What the reader of the results must know.
    pub(super) notes: Vec<String>,
}

/// `--emulator-config` was given for a target that is not the embedded emulator.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("--emulator-config changes the embedded emulator, but the target is another one")]
#[diagnostic(help("leave it away, or give it to `fleetstorm emulator --config FILE`"))]
struct NotEmbedded;

impl Explained for NotEmbedded {
    fn exit(&self) -> Exit {
        Exit::Usage
    }
}

/// Starts the embedded emulator, or makes sure that the target given answers and may be put under load.
pub(super) async fn open(scenario: &Scenario, plan: &Plan, wishes: Wishes) -> Result<Opened, CommandError> {
    let Wishes { hub_address, confirm_id_scope, emulator_config } = wishes;
    let target = &scenario.target;
    if emulator_config.is_some() && target.address != TargetAddress::Embedded {
        return Err(NotEmbedded.into());
    }
    let given = GivenKey::from_environment();
    let (description, mut access, embedded) = match &target.address {
        TargetAddress::Embedded => {
            let embedded = Embedded::start(emulator_config.as_deref(), &scenario.fleet).await?;
            // The key of the environment is for the service, not for an emulator that made its own a moment ago.
            let access = Access::of_connection(embedded.connection(), scenario, &GivenKey::none())?;
            ("embedded emulator".to_owned(), access, Some(embedded))
        }
        TargetAddress::ConnectionFile(file) => {
            let connection = Connection::read(file).map_err(TargetError::from)?;
            let access = Access::of_connection(&connection, scenario, &given)?;
            confirm(&connection.mqtt.ip().to_string(), connection.mqtt.port(), &access, confirm_id_scope.as_deref())
                .await?;
            (format!("emulator at {}", connection.mqtt), access, None)
        }
        TargetAddress::Host { host, port } => {
            let port = port.unwrap_or_else(|| scenario.fleet.classes[0].transport.port());
            let access = Access::of_host(host, port, scenario, &given)?;
            confirm(host, port, &access, confirm_id_scope.as_deref()).await?;
            (format!("{host}:{port}"), access, None)
        }
    };
    if let Some(address) = hub_address {
        access.hub_address = Some(resolve_one(&address).await?);
    }
    let settings = access.device_settings(scenario, plan.seed)?;
    let mut notes = Vec::new();
    if embedded.is_none()
        && let Some(id) = plan.registration_id(0)
    {
        try_first_device(&settings, &id).await?;
        notes.push(format!("{id} was provisioned once before the run, to try the target"));
    }
    Ok(Opened { description, settings, embedded, notes })
}

/// Load on somebody else's machine must be meant.
async fn confirm(host: &str, port: u16, access: &Access, confirmed: Option<&str>) -> Result<(), TargetError> {
    let id_scope = access.id_scope.as_str();
    if is_loopback(host, port).await? || confirmed == Some(id_scope) {
        return Ok(());
    }
    Err(TargetError::NotConfirmed { host: host.to_owned(), id_scope: id_scope.to_owned() })
}

async fn resolve_one(address: &str) -> Result<SocketAddr, TargetError> {
    let unresolvable = |source| TargetError::Unresolvable { host: address.to_owned(), source };
    let mut addresses = tokio::net::lookup_host(address).await.map_err(unresolvable)?;
    addresses.next().ok_or_else(|| unresolvable(std::io::Error::other("it has no address")))
}
