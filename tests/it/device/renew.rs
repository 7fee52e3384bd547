//! Renewal over the hub session, and coming back with a credential.

use std::time::Duration;

use fleetstorm::device::{Confirmed, Credential, HoldEnd, LocalEnd, MemoryConnector, TcpConnector, reconnect, renew};
use fleetstorm::domain::{FailureClass, FleetTime, Phase, TimeScale};
use fleetstorm::pki::csr;
use fleetstorm::protocol::mqtt::{ConnectReturnCode, Packet, Publish, QoS, SubAck, SubscribeReasonCode};
use fleetstorm::protocol::payload::{
    CertificatesIssued, CheckedRequest, RenewalAccepted, RenewalError, RequestRefusal, encode_chain,
};
use fleetstorm::protocol::topic::{HubDelivery, HubRequest};

use tokio::time::{Instant, timeout};

use super::failure;
use super::service::{Accept, MemoryDone, Service, World};
use super::session::Life;

/// A device that was provisioned before.
pub(super) async fn provisioned(world: &mut World) -> Credential {
    let hub = world.settings.hub.take();
    let script = async |mut accept: Accept| accept.next().await.assigns(|csr| world.issue(csr, "dev-1")).await;
    let credential = world.provision(script).await.result.unwrap();
    world.settings.hub = hub;
    credential
}

/// Renews against a script.
async fn renewed<F: Future<Output = ()>>(
    world: &World,
    credential: &Credential,
    script: impl FnOnce(Accept) -> F,
) -> MemoryDone {
    let (connector, peers) = MemoryConnector::new();
    let prepared = world.device();
    let end = LocalEnd::new(&world.settings, 0);
    let device = async move { renew(&world.settings, &connector, &end, credential, None, &prepared, false).await };
    let (renewed, ()) = tokio::join!(device, script(Accept::new(peers)));
    renewed
}

/// CONNECT, SUBSCRIBE and the request. Gives its id and the CSR.
async fn is_asked_for_a_certificate(hub: &mut Service) -> (String, Vec<u8>) {
    hub.accepts(ConnectReturnCode::Success).await;
    is_subscribed_and_asked(hub).await
}

/// SUBSCRIBE and the request.
async fn is_subscribed_and_asked(hub: &mut Service) -> (String, Vec<u8>) {
    let Some(Packet::Subscribe(subscribe)) = hub.hears().await else { panic!("no SUBSCRIBE") };
    assert_eq!(subscribe.filters[0].path, "$iothub/credentials/res/#");
    let granted = vec![SubscribeReasonCode::Success(QoS::AtLeastOnce)];
    hub.says(&[Packet::SubAck(SubAck::new(subscribe.pkid, granted))]).await;
    is_only_asked(hub).await
}

/// The request.
async fn is_only_asked(hub: &mut Service) -> (String, Vec<u8>) {
    let publish = hub.is_asked().await;
    let Ok(HubRequest::IssueCertificate { rid: Some(rid) }) = HubRequest::parse(&publish.topic) else { panic!() };
    let request = CheckedRequest::parse(&publish.payload, "dev-1").unwrap();
    (rid.to_owned(), request.csr)
}

async fn delivers(hub: &mut Service, status: u16, rid: &str, body: Vec<u8>) {
    let topic = HubDelivery::Credential { status, rid }.to_string();
    hub.says(&[Packet::Publish(Publish { pkid: 3, ..Publish::new(topic, QoS::AtLeastOnce, body) })]).await;
}

/// The certificate is acknowledged and leave is taken, before anything else happens.
async fn is_left(hub: &mut Service) {
    assert!(matches!(hub.hears().await, Some(Packet::PubAck(_))));
    hub.hears_the_end().await;
}

#[tokio::test(start_paused = true)]
async fn renews_over_the_session_and_comes_back_with_the_new_certificate() {
    let mut world = World::new();
    let old = provisioned(&mut world).await;
    let renewed = renewed(&world, &old, async |mut accept: Accept| {
        let mut hub = accept.next().await;
        let (rid, csr) = is_asked_for_a_certificate(&mut hub).await;
        delivers(&mut hub, 202, &rid, RenewalAccepted::default().to_body()).await;
        assert!(matches!(hub.hears().await, Some(Packet::PubAck(_))));
        // The service may take longer than the keep-alive of 60 s.
        assert_eq!(hub.hears().await, Some(Packet::PingReq));
        hub.says(&[Packet::PingResp]).await;
        let certificates = encode_chain(&world.issue(&csr, "dev-1"));
        let issued = CertificatesIssued { correlation_id: None, certificates };
        delivers(&mut hub, 200, &rid, issued.to_body()).await;
        is_left(&mut hub).await;
        let mut new = accept.next().await;
        new.accepts(ConnectReturnCode::Success).await;
        new.is_asked().await;
        new.hears_the_end().await;
    })
    .await;
    let new = renewed.result.unwrap();
    assert_eq!((&new.hub, &new.device_id), (&old.hub, &old.device_id));
    assert_ne!(new.leaf.serial, old.leaf.serial);
    assert_eq!(renewed.facts.phases.get(Phase::RenewAccept), Some(Duration::ZERO));
    assert_eq!(renewed.facts.phases.get(Phase::RenewIssue), Some(Duration::from_secs(60)));
    for phase in [Phase::Keygen, Phase::Csr, Phase::HubTls, Phase::Verify, Phase::TelemetryAck] {
        assert!(renewed.facts.phases.get(phase).is_some(), "{phase}");
    }
    for phase in [Phase::RenewTcp, Phase::RenewTls, Phase::RenewConnack] {
        assert!(renewed.facts.phases.get(phase).is_some(), "{phase}: it held no connection");
    }
    assert_eq!(renewed.facts.phases.get(Phase::Register), None);
}

#[tokio::test(start_paused = true)]
async fn refused_and_wrong_renewals_are_failures() {
    let mut world = World::new();
    let old = provisioned(&mut world).await;
    let refused = renewed(&world, &old, async |mut accept: Accept| {
        let mut hub = accept.next().await;
        let (rid, _) = is_asked_for_a_certificate(&mut hub).await;
        delivers(&mut hub, 400, &rid, RenewalError::from(RequestRefusal::CsrTooLong).to_body()).await;
        hub.hears_the_end().await;
    })
    .await;
    let expected =
        "rejected 400004: Issue certificate request 'csr' field exceeds maximum allowed length. Reduce the CSR size.";
    assert_eq!(failure(refused), expected);

    let other = renewed(&world, &old, async |mut accept: Accept| {
        let mut hub = accept.next().await;
        let (rid, csr) = is_asked_for_a_certificate(&mut hub).await;
        let issued =
            CertificatesIssued { correlation_id: None, certificates: encode_chain(&world.issue(&csr, "dev-2")) };
        delivers(&mut hub, 200, &rid, issued.to_body()).await;
        hub.hears_the_end().await;
        assert!(accept.is_over().await);
    })
    .await;
    assert_eq!(other.result.unwrap_err().class, FailureClass::Verification);

    let expired = renewed(&world, &old, async |mut accept: Accept| {
        accept.next().await.accepts(ConnectReturnCode::NotAuthorized).await;
    })
    .await;
    assert_eq!(failure(expired), "rejected 5: the hub refused CONNECT: not authorized");
}

#[tokio::test(start_paused = true)]
async fn comes_back_with_a_credential() {
    let mut world = World::new();
    let credential = provisioned(&mut world).await;
    let (connector, peers) = MemoryConnector::new();
    let settings = &world.settings;
    let end = LocalEnd::new(settings, 0);
    let device = async move { reconnect(settings, &connector, &end, &credential, false).await };
    let hub = async move {
        let mut hub = Accept::new(peers).next().await;
        hub.accepts(ConnectReturnCode::Success).await;
        hub.is_asked().await;
        hub.hears_the_end().await;
    };
    let (back, ()) = tokio::join!(device, hub);
    assert!(back.result.is_ok());
    let had: Vec<_> = back.facts.phases.present().map(|(phase, _)| phase).collect();
    assert_eq!(had, [Phase::HubTcp, Phase::HubTls, Phase::HubConnack, Phase::TelemetryAck]);
}

async fn issues(hub: &mut Service, world: &World, rid: &str, csr: &[u8]) {
    let certificates = encode_chain(&world.issue(csr, "dev-1"));
    delivers(hub, 200, rid, CertificatesIssued { correlation_id: None, certificates }.to_body()).await;
}

#[tokio::test(start_paused = true)]
async fn renews_over_the_session_that_it_holds() {
    let Life { world, credential, connector, mut accept, session, mut hub } = Life::connected().await;
    let (end, prepared) = (LocalEnd::new(&world.settings, 0), world.device());
    let device = async {
        let done = renew(&world.settings, &connector, &end, &credential, Some(session), &prepared, true).await;
        let renewed = done.result.unwrap();
        assert_eq!(done.facts.phases.get(Phase::Sas), None, "no token is needed");
        assert_eq!(done.facts.phases.get(Phase::RenewTls), None, "no connection is needed to ask");
        let mut session = done.session.expect("it is kept");
        assert_eq!(session.hold(Some(Instant::now() + Duration::from_secs(5))).await, HoldEnd::Until);
        // Once more over the new session.
        let again = world.device();
        let done = renew(&world.settings, &connector, &end, &renewed, Some(session), &again, true).await;
        assert!(done.session.is_some());
        assert_ne!(done.result.unwrap().leaf.serial, renewed.leaf.serial);
    };
    let service = async {
        for _ in 0..2 {
            let (rid, csr) = is_subscribed_and_asked(&mut hub).await;
            issues(&mut hub, &world, &rid, &csr).await;
            is_left(&mut hub).await;
            let early = timeout(Duration::from_secs(1), accept.next_or_end()).await;
            assert!(early.is_err(), "it does not come again before the hub has closed");
            drop(hub);
            hub = accept.next().await;
            hub.accepts(ConnectReturnCode::Success).await;
        }
        hub.hears().await
    };
    tokio::join!(device, service);
}

#[tokio::test(start_paused = true)]
async fn a_refused_renewal_keeps_the_old_session() {
    let Life { mut world, credential, connector, session, mut hub, accept: _accept } = Life::connected().await;
    world.settings.renewal.max_repeats = 0;
    world.settings.time_scale = TimeScale::new(FleetTime::from_secs(100), Duration::from_secs(1)).unwrap();
    let (end, prepared) = (LocalEnd::new(&world.settings, 0), world.device());
    let device = async {
        let done = renew(&world.settings, &connector, &end, &credential, Some(session), &prepared, true).await;
        assert_eq!((done.facts.throttled, done.facts.retry_after), (1, Some(FleetTime::from_secs(30))));
        assert_eq!(done.result.unwrap_err().class, FailureClass::Throttled);
        assert!(done.facts.phases.get(Phase::Keygen).is_some());
        let mut session = done.session.expect("it lives");
        assert_eq!(session.hold(Some(Instant::now() + Duration::from_secs(100))).await, HoldEnd::Until);
        let done = renew(&world.settings, &connector, &end, &credential, Some(session), &prepared, true).await;
        assert_eq!(done.result.unwrap_err().to_string(), "timeout: no answer to the renewal within 90 s");
        assert_eq!(done.facts.phases.get(Phase::Keygen), None, "the key was made for the first attempt");
        assert_eq!(done.facts.retry_after, None);
        let session = done.session.expect("it lives still");
        let done = renew(&world.settings, &connector, &end, &credential, Some(session), &prepared, true).await;
        assert_eq!(done.result.unwrap_err().to_string(), "network: the hub closed the connection");
        assert!(done.session.is_none());
    };
    let service = async move {
        let (rid, first) = is_subscribed_and_asked(&mut hub).await;
        let refusal = RenewalError { error_code: 429_002, retry_after: Some(30), ..RenewalError::default() };
        delivers(&mut hub, 429, &rid, refusal.to_body()).await;
        assert!(matches!(hub.hears().await, Some(Packet::PubAck(_))));
        assert_eq!(hub.hears().await, Some(Packet::PingReq));
        hub.says(&[Packet::PingResp]).await;
        let (other, second) = is_only_asked(&mut hub).await;
        assert!(first == second && rid != other, "the same CSR under another request id");
        assert_eq!(hub.hears().await, Some(Packet::PingReq));
        hub.says(&[Packet::PingResp]).await;
        is_only_asked(&mut hub).await;
        drop(hub);
    };
    tokio::join!(device, service);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_runs_out_of_time_keeps_the_session_and_its_packet_ids() {
    let Life { mut world, credential, connector, session, mut hub, accept: _accept } = Life::connected().await;
    world.settings.timeouts.attempt = Duration::from_secs(10);
    world.settings.time_scale = TimeScale::new(FleetTime::from_secs(100), Duration::from_secs(1)).unwrap();
    let (end, prepared) = (LocalEnd::new(&world.settings, 0), world.device());
    let device = async {
        let done = renew(&world.settings, &connector, &end, &credential, Some(session), &prepared, true).await;
        assert_eq!(done.result.unwrap_err().to_string(), "timeout: the attempt took longer than 10 s");
        // What it met meanwhile counts.
        assert_eq!((done.facts.throttled, done.facts.retry_after_max), (1, Some(FleetTime::from_secs(30))));
        assert!(done.facts.phases.get(Phase::RenewAccept).is_some());
        let mut session = done.session.expect("it lives");
        session.send_telemetry(&world.settings, &credential).await.unwrap();
    };
    let service = async {
        let (rid, _) = is_subscribed_and_asked(&mut hub).await;
        let refusal = RenewalError { error_code: 429_002, retry_after: Some(30), ..RenewalError::default() };
        delivers(&mut hub, 429, &rid, refusal.to_body()).await;
        assert!(matches!(hub.hears().await, Some(Packet::PubAck(_))));
        is_only_asked(&mut hub).await;
        assert_eq!(hub.is_asked().await.pkid, 4, "after SUBSCRIBE and two requests");
    };
    tokio::join!(device, service);
}

#[tokio::test(start_paused = true)]
async fn a_long_wait_is_not_begun() {
    let mut world = World::new();
    let old = provisioned(&mut world).await;
    let refused = renewed(&world, &old, async |mut accept: Accept| {
        let mut hub = accept.next().await;
        let (rid, _) = is_asked_for_a_certificate(&mut hub).await;
        let refusal = RenewalError { error_code: 429_002, retry_after: Some(300), ..RenewalError::default() };
        delivers(&mut hub, 429, &rid, refusal.to_body()).await;
        hub.hears_the_end().await;
    })
    .await;
    assert_eq!((refused.facts.throttled, refused.facts.retry_after), (1, Some(FleetTime::from_secs(300))));
    assert_eq!(refused.result.unwrap_err().class, FailureClass::Throttled);
}

#[tokio::test(start_paused = true)]
async fn the_csr_has_the_name_that_the_device_has_at_its_hub() {
    let mut world = World::new();
    let mut old = provisioned(&mut world).await;
    old.device_id = "machine-7".to_owned();
    let done = renewed(&world, &old, async |mut accept: Accept| {
        let mut hub = accept.next().await;
        hub.accepts(ConnectReturnCode::Success).await;
        let Some(Packet::Subscribe(subscribe)) = hub.hears().await else { panic!("no SUBSCRIBE") };
        let granted = vec![SubscribeReasonCode::Success(QoS::AtLeastOnce)];
        hub.says(&[Packet::SubAck(SubAck::new(subscribe.pkid, granted))]).await;
        let publish = hub.is_asked().await;
        let Ok(HubRequest::IssueCertificate { rid: Some(rid) }) = HubRequest::parse(&publish.topic) else { panic!() };
        let request = CheckedRequest::parse(&publish.payload, "machine-7").unwrap();
        assert_eq!(csr::verify(&request.csr).unwrap().common_name, "machine-7");
        let certificates = encode_chain(&world.issue(&request.csr, "machine-7"));
        delivers(&mut hub, 200, rid, CertificatesIssued { correlation_id: None, certificates }.to_body()).await;
        is_left(&mut hub).await;
        let mut new = accept.next().await;
        assert_eq!(new.accepts(ConnectReturnCode::Success).await.client_id, "machine-7");
        new.is_asked().await;
        new.hears_the_end().await;
    })
    .await;
    assert_eq!(done.result.unwrap().device_id, "machine-7");
}

#[tokio::test(start_paused = true)]
async fn a_device_id_that_fits_no_csr_is_a_fault_of_who_assigned_it() {
    let mut world = World::new();
    let mut credential = provisioned(&mut world).await;
    credential.device_id = "d".repeat(65);
    let renewed = renewed(&world, &credential, async |_| ()).await;
    let failure = renewed.result.unwrap_err();
    assert_eq!(failure.class, FailureClass::Protocol);
    assert!(failure.message.contains("that DPS assigned"), "{failure}");
}

/// Whoever answers as DPS names the hub: a device goes nowhere but where it was confirmed.
#[tokio::test(start_paused = true)]
async fn a_hub_elsewhere_that_nobody_confirmed_is_not_connected_to() {
    let mut world = World::new();
    let credential = Credential { hub: "192.0.2.9".to_owned(), ..provisioned(&mut world).await };
    let mut confirmed = Confirmed::default();
    confirmed.add_host("192.0.2.8");
    confirmed.add_host("hub.example");
    let (connector, end) = (TcpConnector::to(confirmed), LocalEnd::new(&world.settings, 0));
    let start = Instant::now();
    let failure = reconnect(&world.settings, &connector, &end, &credential, false).await.result.unwrap_err();
    assert_eq!((failure.class, start.elapsed()), (FailureClass::Configuration, Duration::ZERO));
    assert!(failure.message.contains("the hub (192.0.2.9) is not on this machine"), "{failure}");
}
