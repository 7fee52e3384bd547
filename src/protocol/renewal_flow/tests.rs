use super::*;
use crate::protocol::mqtt::{HUB_PACKET_LIMIT, decode};
use crate::protocol::payload::{CheckedRequest, RenewalInfo, RequestRefusal};
use proptest::prelude::*;

const ACCEPTED: &str = r#"{"correlationId":"5ecd03d5","operationExpires":"2026-01-31T12:52:20.565000000Z"}"#;
const ISSUED: &str = r#"{"correlationId":"5ecd03d5","certificates":["AQ==","Ag==","Aw=="]}"#;

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn a_hundred_times_faster() -> TimeScale {
    TimeScale::new(FleetTime::from_secs(100), secs(1)).unwrap()
}

/// A renewal with a scripted hub; time passes only where a test says so.
struct Talk {
    flow: RenewalFlow,
    now: Duration,
    out: BytesMut,
    next: AfterSend<IssuedChain>,
}

impl Talk {
    fn begin(policy: RenewalPolicy, subscribed: bool) -> Self {
        Self::living(policy, TimeScale::REAL, subscribed)
    }

    /// Of a device whose life passes as fast as that.
    fn living(policy: RenewalPolicy, scale: TimeScale, subscribed: bool) -> Self {
        let mut packet_ids = PacketIds::default();
        packet_ids.advance();
        let request = RenewalRequest { device_id: "dev1".to_owned(), csr: "AQID".to_owned(), packet_ids, subscribed };
        let mut flow = RenewalFlow::new(request, policy, Duration::MAX, scale, 7);
        let mut out = BytesMut::new();
        let next = flow.begin(Duration::ZERO, &mut out);
        Self { flow, now: Duration::ZERO, out, next }
    }

    /// Asked, on a session that was subscribed before.
    fn asking() -> (Self, Publish) {
        let mut talk = Self::begin(RenewalPolicy::default(), true);
        let request = talk.request();
        (talk, request)
    }

    fn hears(&mut self, packet: Packet) -> &mut Self {
        self.now += secs(1);
        self.next = self.flow.handle(Input::Packet(packet), self.now, &mut self.out);
        self
    }

    /// An answer to the present request, a second later.
    fn answers(&mut self, status: u16, body: impl Into<Vec<u8>>) -> &mut Self {
        let topic = HubDelivery::Credential { status, rid: &self.flow.rid.clone() }.to_string();
        self.hears(Packet::Publish(Publish { pkid: 9, ..Publish::new(topic, QoS::AtLeastOnce, body.into()) }))
    }

    fn refuses(&mut self, error_code: u32, error: RenewalError<'_>) -> &mut Self {
        let status = u16::try_from(error_code / 1000).unwrap();
        self.answers(status, RenewalError { error_code, message: "No dev1.".into(), ..error }.to_body())
    }

    fn wakes(&mut self) -> &mut Self {
        let AfterSend::Read { until } = self.next else { panic!("{:?}", self.next) };
        self.now = until;
        self.next = self.flow.handle(Input::Wake, self.now, &mut self.out);
        self
    }

    fn sent(&mut self) -> Vec<Packet> {
        std::iter::from_fn(|| decode(&mut self.out, HUB_PACKET_LIMIT).unwrap()).collect()
    }

    /// The request among what was sent.
    fn request(&mut self) -> Publish {
        let packets = self.sent();
        let publish = packets.into_iter().find_map(|p| if let Packet::Publish(p) = p { Some(p) } else { None });
        publish.expect("a request")
    }

    fn failure(&self) -> String {
        match &self.next {
            AfterSend::Failed(failure) => failure.to_string(),
            other => panic!("{other:?}"),
        }
    }
}

fn replace(request: &Publish) -> Option<String> {
    CheckedRequest::parse(&request.payload, "dev1").unwrap().replace
}

#[test]
fn subscribes_asks_is_accepted_and_gets_its_chain() {
    let mut talk = Talk::begin(RenewalPolicy::default(), false);
    let Packet::Subscribe(subscribe) = talk.sent().remove(0) else { panic!() };
    assert_eq!((subscribe.pkid, &*subscribe.filters[0].path), (2, "$iothub/credentials/res/#"));
    talk.hears(Packet::SubAck(SubAck::new(2, vec![SubscribeReasonCode::Success(QoS::AtLeastOnce)])));
    let request = talk.request();
    assert_eq!((request.pkid, request.qos), (3, QoS::AtLeastOnce));
    let Ok(HubRequest::IssueCertificate { rid: Some(rid) }) = HubRequest::parse(&request.topic) else { panic!() };
    assert!(CertificateRequest::is_request_id(rid) && rid.len() == 9, "{rid}");
    assert_eq!(&*request.payload, br#"{"id":"dev1","csr":"AQID"}"#);
    talk.hears(Packet::PubAck(PubAck::new(3))).answers(202, ACCEPTED);
    talk.now += secs(4);
    talk.answers(200, ISSUED);
    assert_eq!(talk.next, AfterSend::Done(vec![vec![1], vec![2], vec![3]]));
    assert_eq!(talk.sent().len(), 2, "both answers are acknowledged");
    let had = talk.flow.facts().phases.present().map(|(phase, nanos)| (phase, nanos / 1_000_000_000));
    assert_eq!(had.collect::<Vec<_>>(), [(Phase::RenewAccept, 2), (Phase::RenewIssue, 5)]);
}

#[test]
fn a_subscribed_session_asks_at_once_and_other_messages_are_no_harm() {
    let (mut talk, request) = Talk::asking();
    assert_eq!(request.pkid, 2);
    let other = HubDelivery::Credential { status: 200, rid: "other-rid" }.to_string();
    talk.hears(Packet::Publish(Publish::new(other, QoS::AtMostOnce, ISSUED)));
    talk.hears(Packet::Publish(Publish::new("devices/dev1/messages/devicebound/", QoS::AtMostOnce, "x")));
    talk.hears(Packet::PingResp);
    assert!(matches!(talk.next, AfterSend::Read { .. }) && talk.sent().is_empty());
    talk.answers(200, ISSUED);
    assert!(matches!(talk.next, AfterSend::Done(_)), "the 202 may be missing");
}

#[test]
fn a_pending_request_is_replaced_by_its_id() {
    let (mut talk, _) = Talk::asking();
    let info = RenewalInfo { request_id: Some("304937152".into()), ..RenewalInfo::default() };
    talk.refuses(409_004, RenewalError { info: Some(info), ..RenewalError::default() });
    assert_eq!(replace(&talk.request()).as_deref(), Some("304937152"));
    talk.refuses(412_001, RenewalError::default());
    assert_eq!(replace(&talk.request()), None, "it ended by itself");
    talk.refuses(409_005, RenewalError::default());
    assert_eq!(replace(&talk.request()).as_deref(), Some("*"));
    talk.answers(202, ACCEPTED).answers(200, ISSUED);
    assert!(matches!(talk.next, AfterSend::Done(_)));

    let mut patient = Talk::begin(RenewalPolicy { replace_pending: false, ..RenewalPolicy::default() }, true);
    patient.refuses(409_004, RenewalError::default());
    assert_eq!(patient.failure(), "rejected 409004: No {device}.");
}

#[test]
fn throttling_and_outages_are_waited_out() {
    let (mut talk, first) = Talk::asking();
    talk.refuses(429_002, RenewalError { retry_after: Some(5), ..RenewalError::default() });
    assert_eq!(talk.next, AfterSend::Read { until: talk.now + secs(5) });
    talk.wakes();
    let again = talk.request();
    assert_ne!(first.topic, again.topic, "a new request has a new id");
    talk.answers(202, ACCEPTED).refuses(503_001, RenewalError::default());
    let AfterSend::Read { until } = talk.next else { panic!() };
    assert!((secs(2)..secs(7)).contains(&(until - talk.now)));
    talk.wakes().answers(202, ACCEPTED).answers(200, ISSUED);
    assert!(matches!(talk.next, AfterSend::Done(_)));
    assert_eq!((talk.flow.facts().throttled, talk.flow.facts().retry_after_max), (1, Some(FleetTime::from_secs(5))));

    let mut talk = Talk::begin(RenewalPolicy { max_repeats: 1, ..RenewalPolicy::default() }, true);
    talk.refuses(429_003, RenewalError::default()).wakes().refuses(429_003, RenewalError::default());
    assert_eq!(talk.failure(), "throttled 429003: No {device}.");
}

#[test]
fn a_hub_that_may_throttle_for_ever_does_so_until_the_time_is_up() {
    let mut talk = Talk::begin(
        RenewalPolicy { waits: Waits { jitter: FleetTime::ZERO, ..Waits::default() }, ..RenewalPolicy::default() },
        true,
    );
    talk.flow.deadline = secs(6);
    talk.refuses(429_002, RenewalError { retry_after: Some(4), ..RenewalError::default() });
    assert_eq!(talk.next, AfterSend::Read { until: secs(5) });
    talk.hears(Packet::PingResp);
    assert_eq!(talk.next, AfterSend::Read { until: secs(5) }, "a packet in between does not end the pause");
    talk.sent();
    talk.next = talk.flow.handle(Input::Wake, secs(4), &mut talk.out);
    assert!(talk.sent().is_empty(), "woken too early it goes on waiting");
    talk.wakes().request();
    talk.refuses(429_002, RenewalError { retry_after: Some(0), ..RenewalError::default() });
    assert_eq!(talk.failure(), "throttled 429002: No {device}.", "it would ask again when its time is up");
    assert_eq!((talk.flow.facts().throttled, talk.flow.phase()), (2, None));
}

#[test]
fn answers_to_other_requests_are_left_alone_while_it_waits_and_while_it_pauses() {
    let (mut talk, _) = Talk::asking();
    assert_eq!(
        (talk.flow.is_subscribed(), talk.flow.packet_ids().advance(), talk.flow.phase()),
        (true, 3, Some(Phase::RenewAccept))
    );
    let fresh = Talk::begin(RenewalPolicy::default(), false);
    assert_eq!((fresh.flow.is_subscribed(), fresh.flow.packet_ids().advance(), fresh.flow.phase()), (false, 3, None));
    talk.refuses(429_002, RenewalError::default());
    talk.answers(200, ISSUED);
    assert!(
        matches!(talk.next, AfterSend::Read { .. }),
        "what it was told to ask again is not answered before: {:?}",
        talk.next
    );
}

#[test]
fn waits_are_those_of_the_policy() {
    let plain =
        RenewalPolicy { waits: Waits { jitter: FleetTime::ZERO, ..Waits::default() }, ..RenewalPolicy::default() };
    let ms = Duration::from_millis;
    for (policy, retry_after, wait) in [
        (plain, Some(30), secs(30)),
        (plain, None, secs(2)),
        (plain, Some(0), ms(1)),
        (RenewalPolicy { waits: Waits { honours_retry_after: false, ..plain.waits }, ..plain }, Some(30), secs(2)),
        (
            RenewalPolicy { waits: Waits { longest_retry_after: FleetTime::from_secs(29), ..plain.waits }, ..plain },
            Some(30),
            secs(2),
        ),
    ] {
        let mut talk = Talk::begin(policy, true);
        talk.refuses(429_002, RenewalError { retry_after, ..RenewalError::default() });
        assert_eq!(talk.next, AfterSend::Read { until: talk.now + wait }, "{policy:?}");
    }
    for (retry_after, wait) in [(Some(30), ms(300)), (None, ms(20)), (Some(0), ms(1))] {
        let mut talk = Talk::living(plain, a_hundred_times_faster(), true);
        talk.refuses(429_002, RenewalError { retry_after, ..RenewalError::default() });
        assert_eq!(talk.next, AfterSend::Read { until: talk.now + wait }, "{retry_after:?}");
    }
}

#[test]
fn a_final_refusal_says_how_long_to_stay_away() {
    let impatient = RenewalPolicy { max_repeats: 0, ..RenewalPolicy::default() };
    let mut talk = Talk::living(impatient, a_hundred_times_faster(), true);
    talk.refuses(429_002, RenewalError { retry_after: Some(30), ..RenewalError::default() });
    assert_eq!(
        (talk.failure().as_str(), talk.flow.facts().retry_after),
        ("throttled 429002: No {device}.", Some(FleetTime::from_secs(30)))
    );
}

#[test]
fn nobody_gives_up_others_for_ever() {
    let mut talk = Talk::begin(RenewalPolicy { max_repeats: u16::MAX, ..RenewalPolicy::default() }, true);
    for _ in 0..10 {
        talk.refuses(409_005, RenewalError::default());
        assert!(matches!(talk.next, AfterSend::Read { .. }));
    }
    talk.refuses(409_005, RenewalError::default());
    assert_eq!(talk.failure(), "rejected 409005: No {device}.");
}

#[test]
fn refusals_keep_the_code_and_words_of_the_service() {
    let (mut talk, _) = Talk::asking();
    talk.answers(400, RenewalError::from(RequestRefusal::CsrBase64).to_body());
    assert!(talk.failure().starts_with("rejected 400004: Issue certificate request 'csr' field is not valid base64."));

    let (mut talk, _) = Talk::asking();
    let info = RenewalInfo {
        credential_error: Some("400000".into()),
        credential_message: Some("CSR did not pass verification".into()),
        ..RenewalInfo::default()
    };
    talk.answers(202, ACCEPTED).refuses(400_037, RenewalError { info: Some(info), ..RenewalError::default() });
    assert_eq!(talk.failure(), "rejected 400037: No {device}. (CSR did not pass verification)");

    let (mut talk, _) = Talk::asking();
    talk.answers(500, "");
    assert_eq!(talk.failure(), "rejected 500: the hub refused without an error code");
}

#[test]
fn silence_ends_somewhere() {
    let mut talk = Talk::begin(RenewalPolicy::default(), false);
    assert_eq!(talk.wakes().failure(), "timeout: no SUBACK of the hub within 90 s");
    let (mut talk, _) = Talk::asking();
    assert_eq!(talk.wakes().failure(), "timeout: no answer to the renewal within 90 s");
    let (mut talk, _) = Talk::asking();
    talk.answers(202, ACCEPTED).wakes();
    assert_eq!(talk.failure(), "timeout: no chain after the hub accepted the renewal within 180 s");
    assert_eq!(talk.flow.facts().phases.get(Phase::RenewIssue), Some(secs(180)));
}

#[test]
fn a_lost_session_and_refused_subscription_end_it() {
    let mut talk = Talk::begin(RenewalPolicy::default(), false);
    talk.hears(Packet::SubAck(SubAck::new(2, vec![SubscribeReasonCode::Failure])));
    assert_eq!(talk.failure(), "rejected: the hub refused the subscription to renewal answers");
    let (mut talk, _) = Talk::asking();
    let lost = Failure::new(FailureClass::Network, "the hub closed the connection");
    talk.next = talk.flow.handle(Input::Lost(lost.clone()), secs(1), &mut talk.out);
    assert_eq!(talk.next, AfterSend::Failed(lost));
}

#[test]
fn what_the_protocol_does_not_allow_is_a_protocol_failure() {
    let subscribing = || Talk::begin(RenewalPolicy::default(), false);
    let asking = || Talk::asking().0;
    let suback =
        |pkid, codes| Packet::SubAck(SubAck::new(pkid, vec![SubscribeReasonCode::Success(QoS::AtLeastOnce); codes]));
    let publish = |qos, topic: &str| Packet::Publish(Publish { pkid: 9, ..Publish::new(topic, qos, "x") });
    for (mut talk, packet) in [
        (subscribing(), suback(3, 1)),
        (subscribing(), suback(2, 2)),
        (subscribing(), suback(2, 0)),
        (asking(), suback(7, 1)),
        (asking(), Packet::PubAck(PubAck::new(3))),
        (asking(), Packet::PingReq),
        (asking(), publish(QoS::ExactlyOnce, "x")),
        (asking(), publish(QoS::AtLeastOnce, "$iothub/credentials/res/2000/?$rid=1")),
        (asking(), publish(QoS::AtLeastOnce, "$iothub/credentials/res/200/")),
    ] {
        let description = format!("{packet:?}");
        assert!(talk.hears(packet).failure().starts_with("protocol: "), "{description}: {}", talk.failure());
    }
    for (status, body) in [(200, ""), (200, "[1]"), (200, "{\"certificates\":7}"), (100, ISSUED)] {
        let mut talk = asking();
        assert!(talk.answers(status, body).failure().starts_with("protocol: "), "{status} {body}: {}", talk.failure());
    }
    let mut talk = asking();
    assert!(talk.answers(200, r#"{"certificates":["A"]}"#).failure().starts_with("verification: "));
    // Acknowledgements of what was sent are no harm, however late.
    let mut talk = asking();
    assert!(matches!(talk.hears(suback(1, 1)).hears(Packet::PubAck(PubAck::new(1))).next, AfterSend::Read { .. }));
}

#[test]
fn what_nobody_asked_for_is_taken_a_thousand_times() {
    let mut talk = Talk::asking().0;
    let message = Packet::Publish(Publish::new("devices/dev1/messages/devicebound/", QoS::AtMostOnce, "x"));
    for _ in 0..1_000 {
        assert!(matches!(talk.hears(message.clone()).next, AfterSend::Read { .. }));
    }
    talk.hears(message);
    assert_eq!(talk.failure(), "protocol: the hub sent more than 1000 packets that nobody asked for");
}

#[test]
fn a_pending_request_without_a_proper_id_is_replaced_by_any() {
    let (mut talk, _) = Talk::asking();
    let id = "x".repeat(10_000);
    let info = RenewalInfo { request_id: Some(id.into()), ..RenewalInfo::default() };
    talk.refuses(409_004, RenewalError { info: Some(info), ..RenewalError::default() });
    assert_eq!(replace(&talk.request()).as_deref(), Some("*"));
}

proptest! {
    #[test]
    fn no_answer_makes_it_panic(status in 100_u16..1000, body in any::<String>()) {
        let (mut talk, _) = Talk::asking();
        talk.answers(status, body);
    }
}
