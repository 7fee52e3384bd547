use std::io::ErrorKind;

use tokio::time::timeout;

use crate::cli::target::TargetError;
use crate::cli::target::error::named;
use crate::device::{Connector, Link, LocalEnd, Settings, Source, Target, TcpConnector, prepare, provision};
use crate::domain::{FailureClass, RegistrationId};

/// Takes the first device of the fleet the whole way, so that a wrong address, CA or key costs one attempt instead of a
/// storm. That it was registered before the run is noted in the record.
///
/// # Errors
/// What is wrong, told apart by the step that failed.
pub async fn try_first_device(settings: &Settings, id: &RegistrationId) -> Result<(), TargetError> {
    let connector = TcpConnector::new();
    reach(settings, &connector).await?;
    let prepared = prepare(settings, 0, 1, id).map_err(|failure| TargetError::FirstDevice { failure })?;
    match provision(settings, &connector, &LocalEnd::new(settings, 0), &prepared, false).await.result {
        Ok(_) => Ok(()),
        // It answers, and it is the run's business how it answers to many.
        Err(failure) if failure.class == FailureClass::Throttled => Ok(()),
        Err(failure) => Err(TargetError::FirstDevice { failure }),
    }
}

/// TCP and TLS alone.
async fn reach(settings: &Settings, connector: &TcpConnector) -> Result<(), TargetError> {
    let dps = &settings.dps;
    let target = Target { host: &dps.host, port: dps.port, address: dps.address };
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
