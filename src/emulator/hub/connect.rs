use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls_pki_types::CertificateDer;
use uuid::Uuid;

use crate::domain::{ParseSasTokenError, SasToken};
use crate::emulator::core::Core;
use crate::emulator::issuing::trusted::AuthorityId;
use crate::emulator::registry::{Device, DeviceState};
use crate::emulator::transport::conversation::Refused;
use crate::pki::ca::Validity;
use crate::pki::description::describe;
use crate::protocol::mqtt::{Connect, ConnectReturnCode, LastWill, QoS};
use crate::protocol::topic::{HubRequest, HubUserName};

/// What a device showed to be let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// An operational certificate: its identifier for revocation, and who signed it.
    Certificate(Uuid, AuthorityId),
    /// The certificate that it attested with at DPS, known by its thumbprint.
    Thumbprint,
    /// A SAS token that is good until then by the wall clock, for ever in practice when absent.
    Token(Option<SystemTime>),
}

impl Proof {
    /// Whether it is still worth what it was: the device may have been switched off, or its certificates revoked.
    pub(super) fn stands(self, state: &DeviceState) -> bool {
        state.enabled && !state.deleted && !self.is_revoked(state)
    }

    /// Whether a fault ended the sessions of whoever signed the certificate.
    pub(super) fn is_of_ended_authority(self, core: &Core) -> bool {
        matches!(self, Self::Certificate(_, authority) if core.has_ended(authority))
    }

    fn is_revoked(self, state: &DeviceState) -> bool {
        matches!(self, Self::Certificate(id, _) if id != state.unique_id)
    }
}

/// Judges CONNECT at the hub. The TLS handshake let anybody in who holds the key of the certificate that was shown; here
/// it is decided what the certificate is worth: signed by an authority that the hub was synced with, for this device,
/// valid now, not revoked.
pub(super) fn authorize(
    core: &Core,
    connect: &Connect,
    name: &HubUserName<'_>,
    peer: &[CertificateDer<'static>],
) -> Result<(Arc<Device>, Proof), Refused> {
    if connect.client_id != name.device_id {
        return Err(Refused(ConnectReturnCode::BadClientId));
    }
    let unauthorized = Refused(ConnectReturnCode::NotAuthorized);
    if !is_hub(core, name.host) {
        return Err(unauthorized);
    }
    let device = core.registry.device(name.device_id).ok_or(unauthorized)?;
    let password = connect.login.as_ref().map_or("", |login| login.password.as_str());
    let proof = prove(core, &device, password, peer).map_err(|_| Refused(ConnectReturnCode::BadUserNamePassword))?;
    let proof = proof.filter(|proof| device.with(|state| proof.stands(state))).ok_or(unauthorized)?;
    if connect.last_will.as_ref().is_some_and(|will| !is_own_telemetry(will, &device.id)) {
        return Err(unauthorized);
    }
    Ok((device, proof))
}

/// How a client proved to be `device`, if it did: by a SAS token, which is the MQTT password or the `Authorization` header
/// and wins when it is not empty, or by the certificates of its TLS connection.
///
/// # Errors
/// The token is none.
fn prove(
    core: &Core,
    device: &Device,
    token: &str,
    peer: &[CertificateDer<'static>],
) -> Result<Option<Proof>, ParseSasTokenError> {
    match (token, peer) {
        ("", []) => Ok(None),
        ("", presented) => Ok(certified(core, presented, device)),
        (token, _) => SasToken::parse(token).map(|token| signed_for(core, &token, device)),
    }
}

/// Whether a client proved to be `device` by what its certificates or tokens say, and they are not revoked.
///
/// # Errors
/// The token is none.
pub(crate) fn is_proved(
    core: &Core,
    device: &Device,
    token: &str,
    peer: &[CertificateDer<'static>],
) -> Result<bool, ParseSasTokenError> {
    let proof = prove(core, device, token, peer)?;
    Ok(proof.is_some_and(|proof| device.with(|state| !proof.is_revoked(state))))
}

/// Whether a name in a user name or token is the hub's. Loopback names are taken too, as devices under test use them.
fn is_hub(core: &Core, host: &str) -> bool {
    [core.config.hub_host.as_str(), "localhost", "127.0.0.1", "::1"].iter().any(|name| name.eq_ignore_ascii_case(host))
}

/// A leaf alone is enough when its authority is known, as the hub has the authority's certificate itself. A device that
/// attested with a certificate and got no other is known by its thumbprint.
fn certified(core: &Core, presented: &[CertificateDer<'static>], device: &Device) -> Option<Proof> {
    let now = core.clock.now();
    if let Some(known) = device.with(|state| state.thumbprint.clone()) {
        let leaf = presented.first().and_then(|leaf| describe(leaf));
        let leaf = leaf.filter(|leaf| *leaf.sha256_thumbprint == *known);
        if let Some(leaf) = leaf {
            let validity = Validity { not_before: leaf.not_before, not_after: leaf.not_after };
            return validity.contains(now).then_some(Proof::Thumbprint);
        }
    }
    let (leaf, authority) = core.trusted().verify_leaf(presented, now)?;
    leaf.unique_id.filter(|_| leaf.common_name == *device.id).map(|id| Proof::Certificate(id, authority))
}

/// The token is for this device at this hub, signed with one of its keys, and has not run out.
fn signed_for(core: &Core, token: &SasToken, device: &Device) -> Option<Proof> {
    let resource = token.resource()?;
    let mut parts = resource.split('/');
    let for_this_device = parts.next().is_some_and(|host| is_hub(core, host))
        && parts.next() == Some("devices")
        && parts.next() == Some(&*device.id)
        // The service's own page shows a token that goes on with the user name's last part.
        && parts.next().is_none_or(|version| version.trim_start_matches('?').starts_with("api-version="))
        && parts.next().is_none();
    if token.se <= core.clock.unix_seconds() {
        return None;
    }
    let registration = device.with(|state| state.registration.clone());
    let good = for_this_device && registration.enrollment.verifies(token, registration.sent_id());
    good.then(|| Proof::Token(SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(token.se))))
}

/// A will is telemetry of the device itself, or CONNECT is refused.
fn is_own_telemetry(will: &LastWill, device_id: &str) -> bool {
    let topic = HubRequest::parse(&will.topic);
    will.qos != QoS::ExactlyOnce && matches!(topic, Ok(HubRequest::Telemetry { device_id: id, .. }) if id == device_id)
}
