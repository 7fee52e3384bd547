use std::sync::Arc;

use rustls_pki_types::CertificateDer;

use crate::domain::{ParseSasTokenError, SasToken};
use crate::emulator::core::Core;
use crate::emulator::registry::Device;
use crate::emulator::session::Refused;
use crate::pki::description::describe;
use crate::protocol::mqtt::{Connect, ConnectReturnCode};
use crate::protocol::topic::HubUserName;

/// Judges CONNECT at the hub. The TLS handshake let anybody in who holds the key of the certificate that was shown; here
/// it is decided what the certificate is worth: signed by an authority that the hub was synced with, for this device,
/// valid now, not revoked.
pub(super) fn authorize(
    core: &Core,
    connect: &Connect,
    name: &HubUserName<'_>,
    peer: &[CertificateDer<'static>],
) -> Result<Arc<Device>, Refused> {
    if connect.client_id != name.device_id {
        return Err(Refused(ConnectReturnCode::BadClientId));
    }
    if name.api_version.is_none_or(str::is_empty) {
        return Err(Refused(ConnectReturnCode::BadUserNamePassword));
    }
    let unauthorized = Refused(ConnectReturnCode::NotAuthorized);
    if !is_hub(core, name.host) {
        return Err(unauthorized);
    }
    let device = core.registry.device(name.device_id).ok_or(unauthorized)?;
    let password = connect.login.as_ref().map_or("", |login| login.password.as_str());
    let proved =
        is_proved(core, &device, password, peer).map_err(|_| Refused(ConnectReturnCode::BadUserNamePassword))?;
    let enabled = device.with(|state| state.enabled);
    if proved && enabled { Ok(device) } else { Err(unauthorized) }
}

/// Whether a client proved to be `device`: by a SAS token, which is the MQTT password or the `Authorization` header and
/// wins when it is not empty, or by the certificates of its TLS connection.
///
/// # Errors
/// The token is none.
pub(crate) fn is_proved(
    core: &Core,
    device: &Device,
    token: &str,
    peer: &[CertificateDer<'static>],
) -> Result<bool, ParseSasTokenError> {
    match (token, peer) {
        ("", []) => Ok(false),
        ("", presented) => Ok(certificates_are_good(core, presented, device)),
        (token, _) => SasToken::parse(token).map(|token| token_is_good(core, &token, device)),
    }
}

/// Whether a name in a user name or token is the hub's. Loopback names are taken too, as devices under test use them.
fn is_hub(core: &Core, host: &str) -> bool {
    [core.config.hub_host.as_str(), "localhost", "127.0.0.1", "::1"].iter().any(|name| name.eq_ignore_ascii_case(host))
}

/// A leaf alone is enough when its authority is known, as the hub has the authority's certificate itself. A device that
/// attested with a certificate and got no other is known by its thumbprint.
fn certificates_are_good(core: &Core, presented: &[CertificateDer<'static>], device: &Device) -> bool {
    if let Some(known) = device.with(|state| state.thumbprint.clone()) {
        let now = core.clock.now();
        return presented
            .first()
            .and_then(|leaf| describe(leaf))
            .is_some_and(|leaf| *leaf.sha256_thumbprint == *known && leaf.not_before <= now && now <= leaf.not_after);
    }
    core.trusted().verify_leaf(presented, core.clock.now()).is_ok_and(|path| {
        path.leaf.common_name == *device.id && path.leaf.unique_id == Some(device.with(|state| state.unique_id))
    })
}

fn token_is_good(core: &Core, token: &SasToken, device: &Device) -> bool {
    let Some(resource) = token.resource() else { return false };
    let mut parts = resource.split('/');
    let for_this_device = parts.next().is_some_and(|host| is_hub(core, host))
        && parts.next() == Some("devices")
        && parts.next() == Some(&*device.id)
        && parts.next().is_none();
    let registration = device.with(|state| state.registration.clone());
    for_this_device
        && token.se > core.clock.unix_seconds()
        && registration.enrollment.verifies(token, &registration.registration_id)
}
