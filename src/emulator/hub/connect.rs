use std::sync::Arc;

use rustls_pki_types::CertificateDer;

use crate::domain::SasToken;
use crate::emulator::core::Core;
use crate::emulator::registry::Device;
use crate::emulator::session::Refused;
use crate::pki::chain::{is_signed_by, leaf_identity};
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
    let proved = match (password, peer.first()) {
        ("", None) => false,
        ("", Some(leaf)) => certificate_is_good(core, leaf, &device),
        (token, _) => {
            let token = SasToken::parse(token).map_err(|_| Refused(ConnectReturnCode::BadUserNamePassword))?;
            token_is_good(core, &token, name, &device)
        }
    };
    let enabled = device.with(|state| state.enabled);
    if proved && enabled { Ok(device) } else { Err(unauthorized) }
}

/// Whether a name in a user name or token is the hub's. Loopback names are taken too, as devices under test use them.
fn is_hub(core: &Core, host: &str) -> bool {
    [core.config.hub_host.as_str(), "localhost", "127.0.0.1", "::1"].iter().any(|name| name.eq_ignore_ascii_case(host))
}

/// A leaf alone is enough when its authority is known, as the hub has the authority's certificate itself. The signature
/// comes last, because it costs the most.
fn certificate_is_good(core: &Core, leaf: &[u8], device: &Device) -> bool {
    let Some(identity) = leaf_identity(leaf) else { return false };
    let now = core.clock.now();
    identity.common_name == *device.id
        && (identity.not_before..identity.not_after).contains(&now)
        && identity.unique_id == Some(device.with(|state| state.unique_id))
        && core.trusted().iter().any(|ca| is_signed_by(leaf, ca))
}

fn token_is_good(core: &Core, token: &SasToken, name: &HubUserName<'_>, device: &Device) -> bool {
    let Some(resource) = token.resource() else { return false };
    let mut parts = resource.split('/');
    let for_this_device = parts.next().is_some_and(|host| is_hub(core, host))
        && parts.next() == Some("devices")
        && parts.next() == Some(name.device_id)
        && parts.next().is_none();
    let registration = device.with(|state| state.registration.clone());
    for_this_device
        && token.se > core.clock.unix_seconds()
        && registration.enrollment.verifies(token, &registration.registration_id)
}
