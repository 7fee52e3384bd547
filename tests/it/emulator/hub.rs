//! The hub: who may connect, and what a session may do.

use std::time::SystemTime;

use fleetstorm::domain::FleetTime;
use fleetstorm::emulator::Event;
use fleetstorm::pki::csr;
use fleetstorm::pki::issuing_ca::RootCa;
use fleetstorm::pki::sas::SymmetricKey;
use fleetstorm::protocol::mqtt::{ConnAck, ConnectReturnCode, Packet, PubAck, QoS, SubscribeReasonCode};

use super::client::{SECOND, World, accepted, dps_connect, hub_connect, key_and_csr, refused, sas};

const TELEMETRY: &str = "devices/dev1/messages/events/$.ct=application%2Fjson&$.ce=utf-8";

#[tokio::test(start_paused = true)]
async fn the_issued_certificate_opens_the_hub_and_telemetry_is_acknowledged() {
    let world = World::new();
    let (chain, _) = world.provision("dev1").await;
    for presented in [&chain[..1], &chain[..2], &chain[..]] {
        let mut peer = world.open_with(presented.to_vec());
        assert_eq!(peer.connect(hub_connect("dev1", "")).await, accepted());
        peer.publish(TELEMETRY, QoS::AtLeastOnce, "{}").await;
        assert_eq!(peer.next().await, Some(Packet::PubAck(PubAck { pkid: 7 })));
        peer.publish(TELEMETRY, QoS::AtMostOnce, "{}").await;
        peer.is_quiet().await;
    }
    assert_eq!((world.count(Event::HubConnected), world.count(Event::Telemetry)), (3, 6));
}

#[tokio::test(start_paused = true)]
async fn certificates_that_are_not_the_devices_are_refused_with_code_5() {
    let world = World::new();
    let (chain, _) = world.provision("dev1").await;
    world.provision("dev2").await;
    let now = SystemTime::now();
    let foreign = RootCa::generate("fleetstorm emulator ADR root", now).unwrap();
    let foreign = foreign.issuing_ca("fleetstorm emulator policy default", now).unwrap();
    let request = csr::build(&key_and_csr("dev1").0, "dev1").unwrap();
    let request = csr::verify(&request).unwrap();
    let forged = foreign.issue(&request, "dev1", uuid::Uuid::nil(), now - 60 * SECOND, now + 60 * SECOND).unwrap().der;
    let cases = [
        ("dev2", chain.clone()),
        ("dev1", vec![forged]),
        ("dev1", vec![chain[1].clone()]),
        ("dev1", vec![b"no certificate".to_vec()]),
        ("dev1", Vec::new()),
        ("dev3", chain),
    ];
    for (id, presented) in cases {
        let mut peer = world.open_with(presented);
        assert_eq!(peer.connect(hub_connect(id, "")).await, refused(ConnectReturnCode::NotAuthorized), "{id}");
        assert_eq!(peer.ended().await, "CONNECT was refused");
    }
    assert_eq!((world.count(Event::HubConnected), world.count(Event::HubRefused)), (0, 6));
}

#[tokio::test(start_paused = true)]
async fn an_expired_certificate_is_refused_and_registering_again_helps() {
    let world = World::with(|config| config.adr.leaf_validity_seconds = Some(100));
    let (old, _) = world.provision("dev1").await;
    world.service.advance_clock(FleetTime::from_secs(200));
    assert_eq!(world.open_with(old).connect(hub_connect("dev1", "")).await, refused(ConnectReturnCode::NotAuthorized));
    let (new, _) = world.provision("dev1").await;
    assert_eq!(world.open_with(new).connect(hub_connect("dev1", "")).await, accepted());
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_was_not_synced_trusts_nobody() {
    let world = World::with(|config| config.hub.synced = false);
    let (chain, _) = world.provision("dev1").await;
    let answer = world.open_with(chain).connect(hub_connect("dev1", "")).await;
    assert_eq!(answer, refused(ConnectReturnCode::NotAuthorized));
}

#[tokio::test(start_paused = true)]
async fn a_token_signed_with_the_devices_key_is_good_too() {
    use ConnectReturnCode::{BadClientId, BadUserNamePassword, NotAuthorized, Success};
    let world = World::new();
    world.provision("dev1").await;
    let key = world.service.group_key().derive("dev1");
    let user = "localhost/dev1/?api-version=2021-04-12";
    for (client_id, user, password, code) in [
        ("dev1", user, sas(&key, "localhost/devices/dev1", None), Success),
        ("dev1", user, sas(&key, "localhost/devices/dev2", None), NotAuthorized),
        ("dev1", user, sas(&key, "elsewhere/devices/dev1", None), NotAuthorized),
        ("dev1", user, sas(&SymmetricKey::random(), "localhost/devices/dev1", None), NotAuthorized),
        ("dev1", user, "SharedAccessSignature sr=x".to_owned(), BadUserNamePassword),
        ("dev1", user, sas(&key, "localhost/devices/dev1/api-version=2021-04-12", None), Success),
        ("dev1", user, sas(&key, "localhost/devices/dev1/?api-version=2021-04-12", None), Success),
        ("dev1", user, sas(&key, "localhost/devices/dev2/api-version=2021-04-12", None), NotAuthorized),
        ("dev1", user, sas(&key, "localhost/devices/dev1/modules", None), NotAuthorized),
        ("dev1", user, sas(&key, "localhost/devices/dev1/api-version=2021-04-12/x", None), NotAuthorized),
        ("dev1", "localhost/dev1/", sas(&key, "localhost/devices/dev1", None), Success),
        ("dev1", "localhost/dev1", sas(&key, "localhost/devices/dev1", None), Success),
        ("dev1", "localhost/dev1/?DeviceClientType=x", sas(&key, "localhost/devices/dev1", None), Success),
        ("dev1", "elsewhere/dev1/?api-version=2021-04-12", sas(&key, "localhost/devices/dev1", None), NotAuthorized),
        ("dev2", user, sas(&key, "localhost/devices/dev1", None), BadClientId),
    ] {
        let ack = world.open().connect(dps_connect(client_id, user, &password)).await;
        assert_eq!(ack, refused(code), "{client_id} {user} {password}");
    }
    world.service.advance_clock(FleetTime::from_secs(2 * 3600));
    let expired = world.open().connect(dps_connect("dev1", user, &sas(&key, "localhost/devices/dev1", None))).await;
    assert_eq!(expired, refused(NotAuthorized));
}

#[tokio::test(start_paused = true)]
async fn a_device_has_one_connection() {
    let world = World::new();
    let (chain, _) = world.provision("dev1").await;
    let mut first = world.open_with(chain.clone());
    assert_eq!(first.connect(hub_connect("dev1", "")).await, accepted());
    let mut second = world.open_with(chain);
    assert_eq!(second.connect(hub_connect("dev1", "")).await, accepted());
    assert_eq!(first.ended().await, "its device connected again");
    second.is_quiet().await;
    assert_eq!(world.count(Event::TakenOver), 1);
}

#[tokio::test(start_paused = true)]
async fn five_filters_may_be_held_and_a_persistent_session_keeps_them() {
    let world = World::new();
    let (chain, _) = world.provision("dev1").await;
    let mut connect = hub_connect("dev1", "");
    connect.clean_session = false;
    let mut peer = world.open_with(chain.clone());
    assert_eq!(peer.connect(connect.clone()).await, accepted());
    for filter in [
        "devices/dev1/messages/devicebound/#",
        "$iothub/twin/res/#",
        "$iothub/twin/PATCH/properties/desired/#",
        "$iothub/methods/POST/#",
        "$iothub/credentials/res/#",
    ] {
        let ack = peer.subscribe(filter, QoS::ExactlyOnce).await;
        assert_eq!(ack.return_codes, [SubscribeReasonCode::Success(QoS::AtLeastOnce)], "{filter}");
    }
    let ack = peer.subscribe("devices/+/messages/devicebound/#", QoS::AtMostOnce).await;
    assert_eq!(ack.return_codes, [SubscribeReasonCode::Failure]);
    peer.send(Packet::Disconnect).await;
    assert_eq!(peer.ended().await, "the peer left");

    let mut again = world.open_with(chain.clone());
    let present = Some(ConnAck { session_present: true, code: ConnectReturnCode::Success });
    assert_eq!(again.connect(connect.clone()).await, present);
    let mut clean = world.open_with(chain.clone());
    assert_eq!(clean.connect(hub_connect("dev1", "")).await, accepted());
    let mut after = world.open_with(chain);
    assert_eq!(after.connect(connect).await, accepted());
}

#[tokio::test(start_paused = true)]
async fn other_devices_topics_foreign_topics_and_qos_2_close_the_connection() {
    let world = World::new();
    let (chain, _) = world.provision("dev1").await;
    for (topic, qos) in [
        ("devices/dev2/messages/events/", QoS::AtLeastOnce),
        ("anything", QoS::AtMostOnce),
        ("devices/dev1/messages/events/", QoS::ExactlyOnce),
    ] {
        let mut peer = world.open_with(chain.clone());
        assert_eq!(peer.connect(hub_connect("dev1", "")).await, accepted());
        peer.publish(topic, qos, "").await;
        let next = peer.next().await;
        assert!(next.is_none() || matches!(next, Some(Packet::PubAck(_))), "{next:?}");
        assert_eq!(peer.ended().await, "the peer broke a rule of the protocol", "{topic}");
    }
    assert_eq!(world.count(Event::Telemetry), 0);
}
