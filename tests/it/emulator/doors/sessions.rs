//! Sessions that outlive what opened them.

use std::time::SystemTime;

use fleetstorm::domain::FleetTime;
use fleetstorm::emulator::Event;
use fleetstorm::protocol::mqtt::QoS;
use fleetstorm::protocol::topic::DPS_RESPONSES;
use tokio::io::{AsyncRead, AsyncWrite};

use super::super::fleet::Fleet;
use super::{Credential, Door, Running, of_dps_over_mqtt, peer, sas};
use crate::emulator::client::{API, Peer, SCOPE, accepted, dps_connect, dps_user, hub_connect};

const DAY: FleetTime = FleetTime::from_secs(86_400);

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Running {
    async fn carried(&self, door: Door, credential: &Credential) -> Peer<Box<dyn Stream>> {
        let stream: Box<dyn Stream> = match door {
            Door::Mqtt => Box::new(self.tls_with(door, credential).await),
            Door::WebSocket | Door::Https => Box::new(self.websocket(credential).await),
        };
        peer(stream)
    }

    /// A session of a device with the hub.
    async fn session(&self, door: Door, id: &str, credential: &Credential) -> Peer<Box<dyn Stream>> {
        let mut peer = self.carried(door, credential).await;
        assert_eq!(peer.connect(hub_connect(id, &credential.token)).await, accepted(), "{id} {door:?}");
        peer
    }
}

/// What becomes of a session of the hub after something happened to its credential.
#[tokio::test]
async fn sessions_with_the_hub_end_with_what_opened_them() {
    type Happens = fn(&Running);
    let day: Happens = |emulator| emulator.service.advance_clock(DAY);
    let month: Happens = |emulator| emulator.service.advance_clock(31 * DAY);
    let off: Happens = |emulator| drop(emulator.service.set_device_enabled("dev1", false));
    let gone: Happens = |emulator| drop(emulator.service.delete_device("dev1"));
    let revoked: Happens = |emulator| drop(emulator.service.revoke_device_certificates("dev1"));
    let policy: Happens = |emulator| drop(emulator.service.revoke_policy("default"));
    let cases: [(&str, Happens, [bool; 3]); 6] = [
        // Whether a session goes on that was opened by token, by operational certificate, by bootstrap certificate.
        ("a day passed", day, [false, true, true]),
        ("a month passed", month, [false, true, true]),
        ("the device was switched off", off, [false, false, false]),
        ("the device was deleted", gone, [false, false, false]),
        ("the device's certificates were revoked", revoked, [true, false, true]),
        ("the policy was revoked", policy, [true, true, true]),
    ];
    let fleet = Fleet::new();
    for (what, happens, goes_on) in cases {
        for door in [Door::Mqtt, Door::WebSocket] {
            let emulator = Running::with_doors(fleet.by_root()).await;
            for (by, goes_on) in ["token", "operational certificate", "bootstrap certificate"].into_iter().zip(goes_on)
            {
                let credential = match by {
                    "bootstrap certificate" => {
                        let now = emulator.service.now().max(SystemTime::now());
                        let credential = Credential::identity(fleet.identity("dev1", 9, now));
                        emulator.attested("dev1", &credential).await;
                        credential
                    }
                    "token" => {
                        emulator.world().provision("dev1").await;
                        let key = emulator.service.group_key().derive("dev1");
                        Credential::token(sas(&key, "localhost/devices/dev1", emulator.seconds() + 3600))
                    }
                    _ => emulator.issued("dev1").await,
                };
                let mut session = emulator.session(door, "dev1", &credential).await;
                happens(&emulator);
                if goes_on {
                    session.is_quiet().await;
                } else {
                    session.ended().await;
                }
                // As it was, for the next one.
                let _ = emulator.service.set_device_enabled("dev1", true);
                let _ = emulator.service.sync_credentials();
                assert_eq!(emulator.service.counters().get(Event::TimedOut), 0, "{what}, {by}, {door:?}");
            }
            emulator.stop().await;
        }
    }
}

#[tokio::test]
async fn a_session_with_dps_is_no_use_once_its_token_has_expired() {
    let emulator = Running::with_doors(|_| ()).await;
    for door in [Door::Mqtt, Door::WebSocket] {
        let key = emulator.service.group_key().derive("dev1");
        let token = sas(&key, &format!("{SCOPE}/registrations/dev1"), emulator.seconds() + 3600);
        let mut peer = emulator.carried(door, &Credential::token(token.clone())).await;
        assert_eq!(peer.connect(dps_connect("dev1", &dps_user("dev1", API), &token)).await, accepted());
        peer.subscribe(DPS_RESPONSES, QoS::AtLeastOnce).await;
        emulator.service.advance_clock(DAY);
        let answer = peer.request("$dps/registrations/PUT/iotdps-register/?$rid=1", "").await;
        assert_eq!(of_dps_over_mqtt(&answer), super::Said::Dps(401_002, "Unauthorized".to_owned()), "{door:?}");
        let poll = peer.poll(super::NO_OPERATION).await;
        assert_eq!(of_dps_over_mqtt(&poll), super::Said::Dps(401_002, "Unauthorized".to_owned()), "{door:?}");
    }
    emulator.stop().await;
}

#[tokio::test]
async fn a_session_with_dps_is_no_use_once_its_enrollment_is_gone_or_its_certificate_has_expired() {
    let fleet = Fleet::new();
    let emulator = Running::with_doors(fleet.by_root()).await;
    let credential = Credential::identity(fleet.identity("dev1", 9, SystemTime::now()));
    let mut peer = emulator.carried(Door::Mqtt, &credential).await;
    assert_eq!(peer.connect(dps_connect("dev1", &dps_user("dev1", API), "")).await, accepted());
    peer.subscribe(DPS_RESPONSES, QoS::AtLeastOnce).await;
    peer.register("").await;
    emulator.service.advance_clock(10 * DAY);
    let answer = peer.request("$dps/registrations/PUT/iotdps-register/?$rid=1", "").await;
    assert_eq!(of_dps_over_mqtt(&answer), super::Said::Dps(401_002, "Invalid certificate.".to_owned()));
    emulator.stop().await;
}
