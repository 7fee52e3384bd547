//! CONNECT at DPS: what is refused there, and what is not.

use bytes::BytesMut;
use fleetstorm::domain::SasToken;
use fleetstorm::emulator::Event;
use fleetstorm::pki::sas::SymmetricKey;
use fleetstorm::protocol::mqtt::{ConnectReturnCode, Packet, QoS, SubscribeReasonCode, encode};
use fleetstorm::protocol::topic::DPS_RESPONSES;

use super::client::{API, SCOPE, SECOND, World, accepted, dps_connect, dps_user, refused, sas};

async fn check(world: &World, client_id: &str, user: &str, password: &str, code: ConnectReturnCode) {
    let mut peer = world.open();
    assert_eq!(peer.connect(dps_connect(client_id, user, password)).await, refused(code), "{client_id} {user}");
    assert_eq!(peer.ended().await, "CONNECT was refused");
}

#[tokio::test(start_paused = true)]
async fn what_makes_no_sense_is_refused_with_the_code_for_it() {
    use ConnectReturnCode::{BadClientId, BadUserNamePassword, NotAuthorized};
    let world = World::new();
    let (user, token) = (dps_user("dev1", API), world.token("dev1"));
    check(&world, "", &user, &token, BadClientId).await;
    check(&world, "dev2", &user, &token, BadClientId).await;
    for user in ["dev1", "dev1/", &format!("{SCOPE}/registrations//api-version={API}"), &dps_user("dev 1", API)] {
        check(&world, "dev1", user, &token, BadUserNamePassword).await;
    }
    for api in ["", "2018-11-01", "soon"] {
        check(&world, "dev1", &dps_user("dev1", api), &token, BadUserNamePassword).await;
    }
    check(&world, "dev1", &user, "SharedAccessSignature sr=x", BadUserNamePassword).await;
    check(&world, "dev1", &user, "secret", BadUserNamePassword).await;
    let expired = SasToken { se: 1_500_000_000, ..SasToken::parse(&token).unwrap() };
    check(&world, "dev1", &user, &expired.to_text(), NotAuthorized).await;
    assert_eq!(world.count(Event::DpsConnected), 0);
}

#[tokio::test(start_paused = true)]
async fn another_protocol_level_is_refused_with_code_1() {
    let world = World::new();
    for level in [3, 5] {
        let mut bytes = BytesMut::new();
        let connect = dps_connect("dev1", &dps_user("dev1", API), &world.token("dev1"));
        encode(&Packet::Connect(connect), &mut bytes).unwrap();
        let name = bytes.windows(4).position(|w| w == b"MQTT").unwrap();
        bytes[name + 4] = level;
        let mut peer = world.open();
        peer.send_bytes(&bytes).await;
        let Some(Packet::ConnAck(ack)) = peer.next().await else { panic!("no CONNACK") };
        assert_eq!(ack.code, ConnectReturnCode::RefusedProtocolVersion);
        assert_eq!(peer.ended().await, "CONNECT was refused");
    }
}

#[tokio::test(start_paused = true)]
async fn a_bad_credential_shows_in_the_answer_to_the_registration() {
    let world = World::new();
    let resource = format!("{SCOPE}/registrations/dev1");
    let other = SymmetricKey::random();
    let cases = [
        (sas(&other, &resource, None), 401_002),
        (sas(&world.service.group_key().derive("dev2"), &resource, None), 401_002),
        (sas(&world.service.group_key().derive("dev1"), &format!("{SCOPE}/registrations/dev2"), None), 401_002),
        (String::new(), 401_000),
    ];
    for (password, code) in cases {
        let mut peer = world.dps_as("dev1", API, &password).await;
        let answer = peer.request("$dps/registrations/PUT/iotdps-register/?$rid=1", "").await;
        assert_eq!(answer.topic, "$dps/registrations/res/401/?$rid=1");
        let error = answer.json();
        assert_eq!((&error["errorCode"], &error["message"]), (&code.into(), &"Unauthorized".into()));
        let poll = peer.poll("5.0000000000000000.00000000-0000-0000-0000-000000000000").await;
        assert_eq!(poll.json()["errorCode"], code);
    }
    assert_eq!(world.count(Event::Registered), 0);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_id_scope_does_not_exist() {
    let world = World::new();
    let mut peer = world.open();
    let user = dps_user("dev1", API).replace(SCOPE, "0ne0000FFFF");
    assert_eq!(peer.connect(dps_connect("dev1", &user, &world.token("dev1"))).await, accepted());
    peer.subscribe(DPS_RESPONSES, QoS::AtLeastOnce).await;
    let answer = peer.request("$dps/registrations/PUT/iotdps-register/?$rid=1", "").await;
    assert_eq!(answer.topic, "$dps/registrations/res/404/?$rid=1");
    assert_eq!(answer.json()["errorCode"], 404_000);
}

#[tokio::test(start_paused = true)]
async fn a_switch_moves_the_check_to_connect() {
    let world = World::with(|config| config.dps.reject_at_connect = true);
    let wrong = sas(&SymmetricKey::random(), &format!("{SCOPE}/registrations/dev1"), None);
    check(&world, "dev1", &dps_user("dev1", API), &wrong, ConnectReturnCode::NotAuthorized).await;
    world.dps("dev1").await;
}

#[tokio::test(start_paused = true)]
async fn certificates_lead_nowhere_without_an_enrollment_for_them() {
    let world = World::new();
    let (chain, _) = world.provision("dev1").await;
    for (id, message) in [("dev1", "CA certificate not found."), ("dev2", "Invalid certificate.")] {
        let mut peer = world.open_with(chain.clone());
        assert_eq!(peer.connect(dps_connect(id, &dps_user(id, API), "")).await, accepted());
        peer.subscribe(DPS_RESPONSES, QoS::AtLeastOnce).await;
        let error = peer.request("$dps/registrations/PUT/iotdps-register/?$rid=1", "").await.json();
        assert_eq!((&error["errorCode"], &error["message"]), (&401_002.into(), &message.into()));
    }
}

#[tokio::test(start_paused = true)]
async fn subscriptions_are_granted_at_qos_1_at_most_and_for_answers_only() {
    let world = World::new();
    for (asked, granted) in
        [(QoS::AtMostOnce, QoS::AtMostOnce), (QoS::AtLeastOnce, QoS::AtLeastOnce), (QoS::ExactlyOnce, QoS::AtLeastOnce)]
    {
        let mut peer = world.dps("dev1").await;
        let ack = peer.subscribe(DPS_RESPONSES, asked).await;
        assert_eq!(ack.return_codes, [SubscribeReasonCode::Success(granted)]);
        let answer = peer.request("$dps/registrations/PUT/iotdps-register/?$rid=1", "").await;
        assert_eq!(answer.qos, granted);
    }
    for filter in ["#", "$iothub/twin/res/#", "$dps/registrations/res/#/x"] {
        let mut peer = world.dps("dev1").await;
        let filters = vec![fleetstorm::protocol::mqtt::SubscribeFilter::new(filter.to_owned(), QoS::AtMostOnce)];
        peer.send(Packet::Subscribe(fleetstorm::protocol::mqtt::Subscribe { pkid: 9, filters })).await;
        assert_eq!(peer.ended().await, "the peer broke a rule of the protocol", "{filter}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_delivered_without_a_subscription() {
    let world = World::new();
    let mut peer = world.open();
    assert_eq!(peer.connect(dps_connect("dev1", &dps_user("dev1", API), &world.token("dev1"))).await, accepted());
    peer.publish("$dps/registrations/PUT/iotdps-register/?$rid=1", QoS::AtMostOnce, "").await;
    peer.is_quiet().await;
    assert_eq!(world.count(Event::Registered), 1);
}

#[tokio::test(start_paused = true)]
async fn foreign_topics_qos_2_and_a_second_connect_close_the_connection() {
    let world = World::new();
    for (topic, qos) in [
        ("devices/dev1/messages/events/", QoS::AtLeastOnce),
        ("$dps/registrations/PUT/iotdps-register/", QoS::AtMostOnce),
        ("$dps/registrations/PUT/iotdps-register/?$rid=1", QoS::ExactlyOnce),
    ] {
        let mut peer = world.dps("dev1").await;
        peer.publish(topic, qos, "").await;
        assert_eq!(peer.ended().await, "the peer broke a rule of the protocol", "{topic}");
    }
    let mut peer = world.dps("dev1").await;
    peer.send(Packet::Connect(dps_connect("dev1", &dps_user("dev1", API), ""))).await;
    assert_eq!(peer.ended().await, "the peer broke a rule of the protocol");
}

#[tokio::test(start_paused = true)]
async fn a_second_connection_of_a_client_ends_the_first() {
    let world = World::new();
    let first = world.dps("dev1").await;
    let mut second = world.dps("DEV1").await;
    assert_eq!(first.ended().await, "its device connected again");
    second.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn silence_ends_a_connection_after_one_and_a_half_keep_alives() {
    let world = World::new();
    let mut peer = world.open();
    let mut connect = dps_connect("dev1", &dps_user("dev1", API), &world.token("dev1"));
    connect.keep_alive = 10;
    assert_eq!(peer.connect(connect).await, accepted());
    for _ in 0..3 {
        tokio::time::advance(14 * SECOND).await;
        peer.is_quiet().await;
    }
    let silent_since = tokio::time::Instant::now();
    assert_eq!(peer.ended().await, "the peer was silent for too long");
    assert_eq!(silent_since.elapsed().as_secs(), 15);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_prove_who_it_is_is_cut_however_busy_it_looks() {
    let world = World::new();
    let begun = tokio::time::Instant::now();
    assert_eq!(world.open().ended().await, "the peer was silent for too long");
    assert_eq!(begun.elapsed().as_secs(), 60);
    let mut peer = world.dps("dev1").await;
    for _ in 0..3 {
        tokio::time::advance(19 * SECOND).await;
        peer.is_quiet().await;
    }
    assert_eq!(peer.ended().await, "the peer was silent for too long");
    assert_eq!(begun.elapsed().as_secs(), 120);
}
