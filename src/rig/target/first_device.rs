use std::io::ErrorKind;

use tokio::time::timeout;

use crate::device::{
    Connector, Credential, Done, Link, LocalEnd, PeerAddress, Settings, Source, TcpConnector, prepare, provision,
};
use crate::domain::{FailureClass, RegistrationId};
use crate::rig::target::TargetError;
use crate::rig::target::error::named;
use crate::scenario::{Scenario, Stage};

/// Takes the first device of the fleet as far as the stages of `scenario` take its `class`, so that a wrong address, CA or
/// key costs one attempt instead of a storm. What it did is said in words, as it belongs into the record.
///
/// # Errors
/// What is wrong, told apart by the step that failed.
pub(in crate::rig) async fn try_first_device(
    settings: &Settings,
    scenario: &Scenario,
    class: usize,
    id: &RegistrationId,
    connector: &TcpConnector,
) -> Result<String, TargetError> {
    let settings = &as_far_as_the_stages(settings, scenario, class);
    reach(settings, connector).await?;
    let prepared = prepare(settings, 0, 1, id).map_err(|failure| TargetError::FirstDevice { failure })?;
    let did = match &settings.hub {
        None => "; it did not visit the hub, as no stage of its class does",
        Some(hub) if hub.telemetry.is_none() => "; it connected with its hub and sent nothing there, as its stages do",
        Some(_) => "",
    };
    let did = format!("{id} was provisioned once before the run, to try the target{did}");
    let Done { result, obtained, .. } =
        provision(settings, connector, &LocalEnd::new(settings, 0), &prepared, false).await;
    match (result, obtained) {
        (Ok(_), _) => Ok(did),
        // It answers, and it is the run's business how it answers to many.
        (Err(failure), _) if failure.class == FailureClass::Throttled => {
            Ok(format!("{id} tried the target before the run and was asked to come later: {failure}"))
        }
        // It has its certificate, and nothing but the hub was left.
        (Err(failure), Some(Credential { hub, .. })) if failure.class == FailureClass::Configuration => {
            Err(TargetError::HubNotConfirmed { hub })
        }
        (Err(failure), _) => Err(TargetError::FirstDevice { failure }),
    }
}

/// The hub is visited, and telemetry sent there, only if any stage does so with devices of that class.
fn as_far_as_the_stages(settings: &Settings, scenario: &Scenario, class: usize) -> Settings {
    let mut settings = settings.clone();
    let any =
        |does: fn(&Stage) -> bool| scenario.stages.iter().any(|stage| stage.classes.contains(&class) && does(stage));
    if !any(|stage| stage.hub_connect) {
        settings.hub = None;
    }
    if !any(Stage::sends_telemetry)
        && let Some(hub) = &mut settings.hub
    {
        hub.telemetry = None;
    }
    settings
}

/// TCP and TLS alone.
async fn reach(settings: &Settings, connector: &TcpConnector) -> Result<(), TargetError> {
    let dps = &settings.dps;
    let target = PeerAddress { host: &dps.host, port: dps.port, address: dps.address };
    let address = named(&dps.host, dps.port, dps.address);
    let transport = match timeout(settings.timeouts.connect, connector.open(&target, Source::SYSTEM)).await {
        Ok(Ok(transport)) => transport,
        Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => return Err(TargetError::Refused { address }),
        Ok(Err(error)) => return Err(TargetError::Unreachable { address, reason: error.to_string() }),
        Err(_) => return Err(TargetError::Unreachable { address, reason: "no answer in time".to_owned() }),
    };
    let handshake = connector.secure(Link::Direct(transport), &target, settings.tls.anonymous());
    match timeout(settings.timeouts.handshake, handshake).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(TargetError::Handshake { address, reason: error.to_string() }),
        Err(_) => Err(TargetError::Handshake { address, reason: "no answer in time".to_owned() }),
    }
}
