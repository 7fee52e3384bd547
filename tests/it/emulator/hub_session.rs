//! Sessions of the hub: who is let in with a token, how they end, wills, telemetry.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleetstorm::emulator::{Event, Individual, TelemetryMessage};
use fleetstorm::pki::sas::SymmetricKey;
use fleetstorm::protocol::mqtt::{ConnectReturnCode, LastWill, Packet, PubAck, Publish, QoS, SubscribeReasonCode};
use ring::hmac;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;
use tokio::time::sleep;

use super::client::{API, SCOPE, SECOND, World, accepted, dps_connect, dps_user, hub_connect, refused, sas};
use super::hub_client::{Device, Feature};

fn seen(watch: &mut Receiver<std::sync::Arc<TelemetryMessage>>) -> (String, String) {
    let message = watch.try_recv().unwrap();
    (message.properties.clone(), String::from_utf8(message.body.to_vec()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn both_keys_of_a_group_and_the_key_of_an_individual_enrollment_open_the_hub() {
    let (secondary, own) = (SymmetricKey::random(), SymmetricKey::random());
    let world = World::with(|config| {
        config.group.secondary_key = Some(secondary.clone());
        config.enrollments = vec![Individual {
            device_id: Some("renamed".to_owned()),
            primary_key: Some(own.clone()),
            ..Individual::new("alone")
        }];
    });
    world.provision("dev1").await;
    let token = sas(&own, &format!("{SCOPE}/registrations/alone"), None);
    let mut peer = world.dps_as("alone", API, &token).await;
    assert_eq!(peer.register("").await["registrationState"]["deviceId"], "renamed");
    for (id, key) in
        [("dev1", world.service.group_key().derive("dev1")), ("dev1", secondary.derive("dev1")), ("renamed", own)]
    {
        let password = sas(&key, &format!("LocalHost/devices/{id}"), None);
        let user = format!("LOCALHOST/{id}/?api-version=2021-04-12");
        assert_eq!(world.open().connect(dps_connect(id, &user, &password)).await, accepted(), "{id}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_derived_from_the_id_as_the_device_writes_it_is_good_at_the_hub_too() {
    let world = World::new();
    let key = world.service.group_key().derive("Dev1");
    let password = sas(&key, &format!("{SCOPE}/registrations/Dev1"), None);
    let mut peer = world.open();
    assert_eq!(peer.connect(dps_connect("Dev1", &dps_user("Dev1", API), &password)).await, accepted());
    peer.subscribe(fleetstorm::protocol::topic::DPS_RESPONSES, QoS::AtLeastOnce).await;
    assert_eq!(peer.register("").await["registrationState"]["deviceId"], "dev1");
    let password = sas(&key, "localhost/devices/dev1", None);
    assert_eq!(world.open().connect(hub_connect("dev1", &password)).await, accepted());
}

fn signature(key: &SymmetricKey, text: &str) -> String {
    let key = STANDARD.decode(key.to_base64().as_str()).unwrap();
    STANDARD.encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), text.as_bytes()))
}

#[tokio::test(start_paused = true)]
async fn tokens_are_checked_over_their_text_as_sent_and_compared_decoded() {
    let world = World::new();
    world.provision("dev1").await;
    let key = world.service.group_key().derive("dev1");
    // Signed over the raw resource, as one official SDK does.
    let mut token = key.sign("x", 4_000_000_000, None);
    token.sr = "localhost/devices/dev1".to_owned();
    token.sig = signature(&key, &token.string_to_sign());
    assert_eq!(world.open().connect(hub_connect("dev1", &token.to_text())).await, accepted());
    token.sr = "localhost%2Fdevices%2Fdev1".to_owned();
    assert_eq!(
        world.open().connect(hub_connect("dev1", &token.to_text())).await,
        refused(ConnectReturnCode::NotAuthorized)
    );
}

#[tokio::test(start_paused = true)]
async fn a_session_ends_when_its_token_does() {
    let world = World::new();
    world.provision("dev1").await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let key = world.service.group_key().derive("dev1");
    let token = key.sign("localhost/devices/dev1", now.as_secs() + 100, None).to_text();
    let mut peer = world.open();
    assert_eq!(peer.connect(hub_connect("dev1", &token)).await, accepted());
    for _ in 0..3 {
        sleep(30 * SECOND).await;
        peer.is_quiet().await;
    }
    assert_eq!(peer.ended().await, "its token expired");
}

/// What is not taken is not acknowledged: the device would believe that it was.
#[tokio::test(start_paused = true)]
async fn a_publish_that_is_not_allowed_ends_the_session_without_puback() {
    const LIMIT: usize = 256 * 1024;
    let world = World::new();
    let mut device = Device::new(&world, "dev1").await;
    device.connect.login.as_mut().unwrap().username = "localhost/dev1/?api-version=2021-04-12".to_owned();
    Device::new(&world, "dev2").await;
    let large = "x".repeat(LIMIT + 1);
    let answer = "x".repeat(128 * 1024 + 1);
    for (topic, qos, body) in [
        ("devices/dev2/messages/events/", QoS::AtLeastOnce, "{}"),
        ("devices/dev1/messages/events/", QoS::ExactlyOnce, "{}"),
        ("devices/dev1/messages/events/", QoS::AtLeastOnce, &large),
        ("devices/dev1/messages/events/ab=c", QoS::AtLeastOnce, &large[3..]),
        ("devices/dev1/messages/devicebound/", QoS::AtLeastOnce, "{}"),
        ("$iothub/credentials/POST/issueCertificate/?$rid=rid-1", QoS::AtLeastOnce, "{}"),
        ("$iothub/twin/PATCH/properties/desired/?$rid=1", QoS::AtLeastOnce, "{}"),
        ("$iothub/twin/PATCH/properties/reported/", QoS::AtLeastOnce, "{}"),
        ("$iothub/methods/res/200/?$rid=1", QoS::AtLeastOnce, &answer),
        ("nothing", QoS::AtLeastOnce, "{}"),
    ] {
        let mut peer = device.connect(&world).await;
        peer.publish(topic, qos, body).await;
        assert_eq!(peer.ended().await, "the peer broke a rule of the protocol", "{topic}");
    }
    assert_eq!(world.count(Event::Telemetry), 0);
    assert_eq!(world.service.device("dev1").unwrap().telemetry_messages, 0);

    let mut peer = device.connect(&world).await;
    for (topic, body) in [
        ("devices/dev1/messages/events/", &large[1..]),
        ("devices/dev1/messages/events/ab=c", &large[4..]),
        // Of a system property the value counts, as it is when it is decoded.
        ("devices/dev1/messages/events/%24.ct=%61", &large[2..]),
        ("$iothub/methods/res/200/?$rid=1", &answer[1..]),
    ] {
        peer.publish(topic, QoS::AtLeastOnce, body).await;
        assert_eq!(peer.next().await, Some(Packet::PubAck(PubAck { pkid: 7 })), "{topic}");
    }
    assert_eq!(world.count(Event::Telemetry), 3);
}

#[tokio::test(start_paused = true)]
async fn silence_is_borne_for_one_and_a_half_keep_alives() {
    let world = World::new();
    let mut device = Device::new(&world, "dev1").await;
    device.connect.keep_alive = 100;
    let mut peer = device.connect(&world).await;
    sleep(149 * SECOND).await;
    peer.is_quiet().await;
    sleep(149 * SECOND).await;
    peer.is_quiet().await;
    assert_eq!(peer.ended().await, "the peer was silent for too long");
    device.connect.keep_alive = 0;
    let mut peer = device.connect(&world).await;
    sleep(1766 * SECOND).await;
    peer.is_quiet().await;
    assert_eq!(peer.ended().await, "the peer was silent for too long");
}

#[tokio::test(start_paused = true)]
async fn a_will_is_telemetry_of_a_device_that_leaves_without_a_word() {
    let world = World::new();
    let mut device = Device::new(&world, "dev1").await;
    device.connect.last_will = Some(LastWill::new("devices/dev1/messages/events/a=1", "gone", QoS::AtLeastOnce, false));
    let mut watch = world.service.watch_telemetry();
    device.connect(&world).await.leave().await;
    assert!(watch.is_empty(), "it said goodbye");
    assert_eq!(device.connect(&world).await.vanish().await, "the peer closed the connection");
    assert_eq!(seen(&mut watch), ("a=1&iothub-MessageType=Will".to_owned(), "gone".to_owned()));
    let first = device.connect(&world).await;
    let second = device.connect(&world).await;
    assert_eq!(first.ended().await, "its device connected again");
    assert_eq!(seen(&mut watch).1, "gone");
    second.leave().await;
    assert_eq!((world.count(Event::Wills), world.count(Event::Telemetry)), (2, 2));
    assert!(watch.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_will_that_is_not_the_devices_telemetry_is_refused() {
    let world = World::new();
    let device = Device::new(&world, "dev1").await;
    for (topic, qos) in [
        ("devices/dev2/messages/events/", QoS::AtLeastOnce),
        ("$iothub/twin/GET/?$rid=1", QoS::AtLeastOnce),
        ("devices/dev1/messages/events/", QoS::ExactlyOnce),
    ] {
        let mut connect = device.connect.clone();
        connect.last_will = Some(LastWill::new(topic, "gone", qos, false));
        let answer = world.open_with(device.chain.clone()).connect(connect).await;
        assert_eq!(answer, refused(ConnectReturnCode::NotAuthorized), "{topic}");
    }
    assert_eq!(world.count(Event::Wills), 0);
}

#[tokio::test(start_paused = true)]
async fn retained_telemetry_is_taken_and_marked() {
    let world = World::new();
    let device = Device::new(&world, "dev1").await;
    let mut watch = world.service.watch_telemetry();
    let mut peer = device.connect(&world).await;
    for (topic, retain) in
        [("devices/dev1/messages/events/$.ct=text%2Fplain", true), ("devices/dev1/messages/events", false)]
    {
        let publish = Publish { pkid: 9, retain, ..Publish::new(topic, QoS::AtLeastOnce, "x") };
        peer.send(Packet::Publish(publish)).await;
        assert_eq!(peer.next().await, Some(Packet::PubAck(PubAck { pkid: 9 })));
    }
    assert_eq!(seen(&mut watch), ("$.ct=text%2Fplain&mqtt-retain=true".to_owned(), "x".to_owned()));
    assert_eq!(seen(&mut watch).0, "");
    assert_eq!(world.service.device("dev1").unwrap().telemetry_messages, 2);
}

#[tokio::test(start_paused = true)]
async fn a_clean_session_drops_what_a_persistent_one_keeps() {
    let world = World::new();
    let device = Device::new(&world, "dev1").await.persistent();
    let mut peer = device.connect(&world).await;
    peer.wants(Feature::Twin).await;
    peer.leave().await;
    let mut peer = device.resume(&world).await;
    assert_eq!(peer.ask("$iothub/twin/GET/?$rid=1", "").await.topic, "$iothub/twin/res/200/?$rid=1");
    assert_eq!(peer.vanish().await, "the peer closed the connection");

    let mut clean = Device { connect: hub_connect("dev1", ""), ..device }.connect(&world).await;
    clean.publish("$iothub/twin/GET/?$rid=1", QoS::AtMostOnce, "").await;
    clean.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_filter_that_is_too_long_is_not_kept() {
    let world = World::new();
    let device = Device::new(&world, "dev1").await;
    let mut hub = device.connect(&world).await;
    let mut dps = world.dps("dev1").await;
    let long = "x".repeat(1024);
    for (peer, filter) in
        [(&mut hub, format!("$iothub/methods/POST/{long}/#")), (&mut dps, format!("$dps/registrations/res/{long}/#"))]
    {
        let granted = peer.subscribe(&filter, QoS::AtLeastOnce).await.return_codes;
        assert_eq!(granted, [SubscribeReasonCode::Failure]);
        peer.is_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_watcher_that_is_slow_is_told_how_much_it_missed() {
    let world = World::new();
    let mut watch = world.service.watch_telemetry();
    let mut peer = Device::new(&world, "dev1").await.connect(&world).await;
    for i in 0..300 {
        peer.publish("devices/dev1/messages/events/", QoS::AtMostOnce, &i.to_string()).await;
    }
    peer.is_quiet().await;
    assert_eq!(watch.try_recv().unwrap_err(), TryRecvError::Lagged(300 - 256));
    assert_eq!((seen(&mut watch).1.as_str(), watch.len()), ("44", 255));
}
