use std::sync::Arc;
use std::time::SystemTime;

use crate::device::TcpConnector;
use crate::domain::{Setting, Shard};
use crate::rig::machine::process::ChildProcess;
use crate::rig::target::confirmation::Confirmation;
use crate::rig::target::source_addresses::source_addresses;
use crate::rig::target::{
    Access, Connection, Door, Embedded, EmulatorConfig, GivenKey, NotEmbedded, OpenError, Target, TargetError,
    TargetOptions, Way, bootstrap_files,
};
use crate::scenario::{Scenario, TargetAddress};

/// What is found out of one on the way.
struct Found {
    description: String,
    access: Access,
    embedded: Option<Embedded>,
    emulator_settings: Vec<Setting>,
}

impl Target {
    /// The one that `scenario` names: starts the embedded emulator, which draws from `seed`, or makes sure that the other may be put under
    /// load. Nothing is sent to it yet; its first device is tried when a run begins. The devices that are to attest with certificates are
    /// those of `shard`. Must be called inside a runtime.
    ///
    /// # Errors
    /// It cannot be used, or is not confirmed.
    pub async fn open(
        scenario: &Scenario,
        (seed, shard): (u64, Shard),
        options: &TargetOptions,
    ) -> Result<Self, OpenError> {
        if scenario.target.address != TargetAddress::Embedded {
            if options.emulator_config.is_some() {
                return Err(NotEmbedded::Config.into());
            }
            if !scenario.time_scale.is_real() {
                return Err(NotEmbedded::TimeScale.into());
            }
            bootstrap_files::check(scenario, shard, SystemTime::now())?;
        }
        let (mut confirmation, hub_address) =
            Confirmation::of_hubs(options.hub_address.as_deref(), &options.confirm_hubs).await?;
        let Found { description, mut access, embedded, emulator_settings } = match &scenario.target.address {
            TargetAddress::Embedded => embedded(scenario, (seed, shard), options).await?,
            _ => elsewhere(scenario, options, &mut confirmation).await?,
        };
        access.hub_address = hub_address;
        access.source = source_addresses(&access, &options.source_addresses).await?;
        let process = ChildProcess::default();
        if let Some(embedded) = &embedded {
            process.started(embedded.process());
        }
        let Confirmation { confirmed, is_remote } = confirmation;
        let connector = Arc::new(TcpConnector::to(confirmed));
        Ok(Self {
            description,
            way: Way::Sockets { connector, embedded: embedded.map(Box::new), process },
            access,
            scale: scenario.time_scale,
            settings: [options.settings(), emulator_settings],
            is_remote,
            above_quota: options.above_quota,
            was_tried: false,
        })
    }
}

async fn embedded(
    scenario: &Scenario,
    (seed, shard): (u64, Shard),
    options: &TargetOptions,
) -> Result<Found, OpenError> {
    let config = EmulatorConfig::new(scenario, options.emulator_config.as_deref(), seed)?;
    config.has_authorities()?;
    bootstrap_files::check(scenario, shard, SystemTime::now())?;
    let file = config.write()?;
    let embedded = Embedded::start(options.emulator_binary.as_deref(), file.path(), &scenario.fleet).await?;
    Ok(Found {
        description: "embedded emulator".to_owned(),
        // The key that was given is for the service, not for an emulator that made its own a moment ago.
        access: Access::of_connection(embedded.connection(), scenario, &GivenKey::default())?,
        embedded: Some(embedded),
        emulator_settings: config.of_file().to_vec(),
    })
}

async fn elsewhere(
    scenario: &Scenario,
    options: &TargetOptions,
    confirmation: &mut Confirmation,
) -> Result<Found, OpenError> {
    let (key, id_scope) = (&options.group_key, options.confirm_id_scope.as_deref());
    let (description, access) = match &scenario.target.address {
        TargetAddress::Host { host, port } => {
            let access = Access::of_host(host, *port, scenario, key)?;
            let Door { port, .. } = access.door(scenario.fleet.classes[0].transport)?;
            confirmation.dps_host((host, port), &access, id_scope).await?;
            (format!("{host}:{port}"), access)
        }
        TargetAddress::ConnectionFile(file) => {
            let connection = Connection::read(file).map_err(TargetError::from)?;
            let access = Access::of_connection(&connection, scenario, key)?;
            for door in std::iter::once(connection.mqtt).chain(connection.https) {
                confirmation.dps_address(door.ip(), &access, id_scope)?;
            }
            (format!("emulator at {}", connection.mqtt), access)
        }
        TargetAddress::Embedded => unreachable!("it is started, not looked for"),
    };
    Ok(Found { description, access, embedded: None, emulator_settings: Vec::new() })
}
