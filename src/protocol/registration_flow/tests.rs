use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::*;
use crate::domain::{FleetTime, TimeScale};
use crate::model::Waits;
use crate::protocol::flow::{AfterSend, Input, packet_name};
use crate::protocol::mqtt::{
    ConnAck, ConnectReturnCode, DPS_PACKET_LIMIT, Packet, PubAck, Publish, QoS, SubAck, SubscribeReasonCode, decode,
};
use crate::protocol::topic::{DpsRequest, DpsResponse};

const OPERATION: &str = "5.afa73db6918a13a9.cf71e45a-b81b-437d-9b4f-6b4c574be43a";
const ASSIGNING: &str =
    r#"{"operationId":"5.afa73db6918a13a9.cf71e45a-b81b-437d-9b4f-6b4c574be43a","status":"assigning"}"#;
const ASSIGNED: &str = r#"{"operationId":"5.a","status":"assigned","registrationState":{"registrationId":"dev1",
    "assignedHub":"contoso.azure-devices.net","deviceId":"dev1","status":"assigned","issuedCertificateChain":["AQ==","Ag=="]}}"#;
const UNAUTHORIZED: &str = r#"{"errorCode":401000,"trackingId":"2cb8","message":"Unauthorized","timestampUtc":"2019-11-19T21:39:05.1573304Z"}"#;
const THROTTLED: &str = r#"{"errorCode":429001,"trackingId":"t-1","message":"Too many requests."}"#;

fn fleet(seconds: u64) -> FleetTime {
    FleetTime::from_secs(seconds)
}

/// Fleet time that passes so many times faster than real time.
fn times(faster: u64) -> TimeScale {
    TimeScale::new(fleet(faster), secs(1)).unwrap()
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A conversation with a scripted service; time passes only where a test says so.
struct Talk {
    flow: MqttRegistration,
    now: Duration,
    out: BytesMut,
    next: AfterSend<Assignment>,
}

impl Talk {
    fn begin(policy: RegistrationPolicy) -> Self {
        Self::living(policy, TimeScale::REAL)
    }

    /// Of a device whose life passes as fast as that.
    fn living(policy: RegistrationPolicy, scale: TimeScale) -> Self {
        let session = DpsSession {
            registration_id: "dev1".to_owned(),
            user_name: "0ne00000001/registrations/dev1/api-version=2025-07-01-preview".to_owned(),
            password: "SharedAccessSignature sr=x".to_owned(),
            keep_alive: 60,
            body: Bytes::from_static(br#"{"registrationId":"dev1","csr":"MIHR"}"#),
        };
        let limits = TimeLimits { answer: secs(30), deadline: secs(300), scale };
        let mut flow = MqttRegistration::new(session, policy, limits, 7);
        let mut out = BytesMut::new();
        let next = flow.begin(Duration::ZERO, &mut out);
        Self { flow, now: Duration::ZERO, out, next }
    }

    /// As far as the registration's PUBLISH.
    fn registering() -> Self {
        let mut talk = Self::begin(RegistrationPolicy::default());
        talk.hears(Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false)));
        talk.hears(suback(1));
        talk.sent();
        talk
    }

    /// As far as the pause after the first 202, which asks for 3 s.
    fn waiting() -> Self {
        let mut talk = Self::registering();
        talk.answers(202, Some(3), ASSIGNING);
        talk.sent();
        talk
    }

    fn passes(&mut self, time: Duration) -> &mut Self {
        self.now += time;
        self
    }

    fn hears(&mut self, packet: Packet) -> &mut Self {
        self.next = self.flow.handle(Input::Packet(packet), self.now, &mut self.out);
        self
    }

    /// PUBACK of the request and the answer, both after a second.
    fn answers(&mut self, status: u16, retry_after: Option<u32>, body: &str) -> &mut Self {
        self.passes(secs(1));
        let rid = self.flow.request_id().to_string();
        let topic = DpsResponse { status, rid: &rid, retry_after }.to_string();
        self.hears(Packet::PubAck(PubAck::new(self.flow.packet_id())));
        self.hears(Packet::Publish(Publish { pkid: 1, ..Publish::new(topic, QoS::AtLeastOnce, body) }))
    }

    /// Lets time pass until the flow wants to be woken.
    fn wakes(&mut self) -> &mut Self {
        let AfterSend::Read { until } = self.next else { panic!("{:?}", self.next) };
        self.now = self.now.max(until);
        self.next = self.flow.handle(Input::Wake, self.now, &mut self.out);
        self
    }

    fn sent(&mut self) -> Vec<Packet> {
        let mut packets = Vec::new();
        while let Some(packet) = decode(&mut self.out, DPS_PACKET_LIMIT).unwrap() {
            packets.push(packet);
        }
        packets
    }

    /// What was sent, in short.
    fn said(&mut self) -> Vec<String> {
        let short = |packet| match packet {
            Packet::Publish(p) => format!("PUBLISH {} {} {:?} {}", p.pkid, p.topic, p.qos, text(&p.payload)),
            Packet::PubAck(p) => format!("PUBACK {}", p.pkid),
            Packet::Subscribe(s) => format!("SUBSCRIBE {} {} {:?}", s.pkid, s.filters[0].path, s.filters[0].qos),
            other => packet_name(&other).to_owned(),
        };
        self.sent().into_iter().map(short).collect()
    }

    fn failure(&self) -> Failure {
        match &self.next {
            AfterSend::Failed(failure) => failure.clone(),
            other => panic!("{other:?}"),
        }
    }

    fn wait(&self) -> Duration {
        match self.next {
            AfterSend::Read { until } => until - self.now,
            ref other => panic!("{other:?}"),
        }
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn suback(pkid: u16) -> Packet {
    Packet::SubAck(SubAck::new(pkid, vec![SubscribeReasonCode::Success(QoS::AtLeastOnce)]))
}

#[test]
fn the_whole_conversation_of_a_symmetric_key_device() {
    let mut talk = Talk::begin(RegistrationPolicy::default());
    assert_eq!(talk.flow.phase(), Some(Phase::Connack));
    let Packet::Connect(connect) = talk.sent().remove(0) else { panic!() };
    assert_eq!((connect.client_id.as_str(), connect.clean_session, connect.keep_alive), ("dev1", true, 60));
    assert_eq!(connect.login.unwrap().password, "SharedAccessSignature sr=x");

    talk.passes(secs(1)).hears(Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false)));
    assert_eq!(talk.said(), ["SUBSCRIBE 1 $dps/registrations/res/# AtLeastOnce"]);
    assert_eq!(talk.flow.phase(), Some(Phase::Suback));
    talk.passes(secs(2)).hears(suback(1));
    assert_eq!(
        talk.said(),
        [
            r#"PUBLISH 2 $dps/registrations/PUT/iotdps-register/?$rid=1 AtLeastOnce {"registrationId":"dev1","csr":"MIHR"}"#
        ]
    );
    assert_eq!(talk.flow.phase(), Some(Phase::Register));
    talk.passes(secs(3)).answers(202, Some(3), ASSIGNING);
    assert_eq!(talk.said(), ["PUBACK 1"]);
    assert_eq!((talk.wait(), talk.flow.phase()), (secs(3), Some(Phase::PollWait)));
    talk.wakes();
    assert_eq!(talk.flow.phase(), Some(Phase::Assign));
    let poll = format!(
        "PUBLISH 3 $dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId={OPERATION} AtLeastOnce "
    );
    assert_eq!(talk.said(), [poll]);
    talk.answers(202, Some(3), ASSIGNING).wakes();
    talk.sent();
    talk.answers(200, None, ASSIGNED);
    assert_eq!(talk.said(), ["PUBACK 1"]);
    let assignment = Assignment {
        hub: "contoso.azure-devices.net".to_owned(),
        device_id: "dev1".to_owned(),
        chain: vec![vec![1], vec![2]],
    };
    assert_eq!(talk.next, AfterSend::Done(assignment));
    assert_eq!((talk.flow.facts().polls, talk.flow.facts().throttled, talk.flow.phase()), (2, 0, None));
    let had = talk.flow.facts().phases.present().map(|(phase, nanos)| (phase, nanos / 1_000_000_000));
    assert_eq!(
        had.collect::<Vec<_>>(),
        [
            (Phase::Late, 0),
            (Phase::Connack, 1),
            (Phase::Suback, 2),
            (Phase::Register, 4),
            (Phase::PollWait, 6),
            (Phase::Assign, 2)
        ]
    );
}

#[test]
fn an_answer_before_its_acknowledgement_and_strangers_are_no_harm() {
    let mut talk = Talk::registering();
    let late = Publish::new("$dps/registrations/res/200/?$rid=9", QoS::AtMostOnce, ASSIGNED);
    talk.hears(Packet::Publish(late));
    let other = Publish { pkid: 4, ..Publish::new("news", QoS::AtLeastOnce, "x") };
    talk.hears(Packet::Publish(other));
    assert_eq!(talk.said(), ["PUBACK 4"]);
    let answer = Publish::new("$dps/registrations/res/202/?$rid=1&retry-after=0", QoS::AtMostOnce, ASSIGNING);
    talk.hears(Packet::Publish(answer.clone())).hears(Packet::PubAck(PubAck::new(2))).hears(Packet::Publish(answer));
    assert_eq!(talk.wait(), Duration::ZERO);
    assert!(talk.said().is_empty(), "QoS 0 needs no acknowledgement");
}

/// Over HTTPS the same core decides.
#[test]
fn names_that_cannot_be_written_are_a_fault_of_dps() {
    let operation = |id: &str| format!(r#"{{"operationId":"{id}","status":"assigning"}}"#);
    for id in ["a+b", "a#", "a\\u0000b", &"x".repeat(70_000)] {
        let failure = Talk::registering().answers(202, Some(3), &operation(id)).failure();
        assert_eq!(failure.class, FailureClass::Protocol, "{failure}");
    }
    let assigned = |from: &str, to: &str| ASSIGNED.replace(from, to);
    for body in [
        assigned("\"deviceId\":\"dev1\"", "\"deviceId\":\"dev/1\""),
        assigned("\"deviceId\":\"dev1\"", &format!("\"deviceId\":\"{}\"", "x".repeat(129))),
        assigned("contoso.azure-devices.net", "contoso.azure-devices.net:8883"),
        assigned("contoso.azure-devices.net", &"x".repeat(70_000)),
    ] {
        let failure = Talk::registering().answers(200, None, &body).failure();
        assert_eq!(failure.class, FailureClass::Protocol, "{failure}");
        assert!(failure.message.contains("DPS assigned"), "{failure}");
    }
}

#[test]
fn without_retry_after_the_device_waits_two_seconds_and_its_own_jitter() {
    let wait = |seed: u64| {
        let limits = TimeLimits { answer: secs(30), deadline: Duration::MAX, scale: TimeScale::REAL };
        let mut core = RegistrationFlow::new("dev1", RegistrationPolicy::default(), limits, seed);
        core.begin(Duration::ZERO);
        core.answer(Answer { status: 202, retry_after: None, body: ASSIGNING.as_bytes() }, Duration::ZERO);
        core.wake_at()
    };
    let waits: Vec<_> = (0..50).map(wait).collect();
    assert!(waits.iter().all(|w| (secs(2)..secs(7)).contains(w)));
    assert!(waits.iter().max().unwrap().abs_diff(*waits.iter().min().unwrap()) > secs(2));
    assert_eq!(wait(3), wait(3));
}

#[test]
fn throttling_is_waited_out_and_the_same_request_repeated() {
    let mut talk = Talk::registering();
    talk.answers(429, Some(30), THROTTLED);
    assert_eq!((talk.wait(), talk.flow.facts().throttled), (secs(30), 1));
    talk.sent();
    talk.wakes();
    assert!(talk.said()[0].starts_with("PUBLISH 3 $dps/registrations/PUT/iotdps-register/?$rid=2 "));
    talk.answers(202, Some(0), ASSIGNING).wakes().answers(503, Some(1), "").wakes();
    assert!(talk.said().last().unwrap().contains("iotdps-get-operationstatus/?$rid=4&operationId=5.afa7"));
    assert_eq!((talk.flow.facts().polls, talk.flow.facts().throttled), (2, 1));
}

/// As far as the registration's PUBLISH, with that policy.
fn registering_with(policy: RegistrationPolicy) -> Talk {
    registering_of(Talk::begin(policy))
}

/// As far as the registration's PUBLISH.
fn registering_of(mut talk: Talk) -> Talk {
    talk.hears(Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false))).hears(suback(1));
    talk.sent();
    talk
}

#[test]
fn waits_are_those_of_the_policy() {
    let ms = Duration::from_millis;
    let plain = RegistrationPolicy {
        waits: Waits { jitter: FleetTime::ZERO, ..Waits::default() },
        ..RegistrationPolicy::default()
    };
    let python = RegistrationPolicy { honours_first_retry_after: false, ..plain };
    let c = RegistrationPolicy {
        waits: Waits { longest_retry_after: fleet(300), default_wait: fleet(1), ..plain.waits },
        ..plain
    };
    let deaf = RegistrationPolicy { waits: Waits { honours_retry_after: false, ..plain.waits }, ..plain };
    // Policy, status, retry-after, wait.
    for (policy, status, retry_after, wait) in [
        (plain, 202, Some(3), secs(3)),
        (python, 202, Some(3), secs(2)),
        (python, 429, Some(3), secs(3)),
        (c, 429, Some(200), secs(200)),
        (c, 429, Some(301), secs(1)),
        (deaf, 202, Some(30), secs(2)),
        (deaf, 429, Some(30), secs(2)),
        (plain, 202, Some(0), Duration::ZERO),
        (plain, 429, Some(0), ms(1)),
    ] {
        let mut talk = registering_with(policy);
        talk.answers(status, retry_after, if status == 202 { ASSIGNING } else { "" });
        assert_eq!(talk.wait(), wait, "{status} {retry_after:?} {policy:?}");
    }
    // A hundred times faster.
    for (status, retry_after, wait) in [
        (202, Some(3), ms(30)),
        (503, Some(5_000), secs(50)),
        (202, None, ms(20)),
        (503, None, ms(20)),
        (202, Some(0), Duration::ZERO),
        (429, Some(0), ms(1)),
    ] {
        let mut talk = registering_of(Talk::living(plain, times(100)));
        talk.answers(status, retry_after, if status == 202 { ASSIGNING } else { "" });
        assert_eq!(talk.wait(), wait, "{status} {retry_after:?}");
    }
    // Later polls obey.
    let mut talk = registering_with(python);
    talk.answers(202, Some(3), ASSIGNING).wakes().answers(202, Some(3), ASSIGNING);
    assert_eq!(talk.wait(), secs(3));
    let mut talk = registering_with(RegistrationPolicy {
        waits: Waits { jitter_on_retry_after: true, ..Waits::default() },
        ..RegistrationPolicy::default()
    });
    talk.answers(429, Some(10), "");
    assert!((secs(10)..secs(15)).contains(&talk.wait()) && talk.wait() != secs(10), "{:?}", talk.wait());
}

#[test]
fn a_final_refusal_says_how_long_to_stay_away() {
    let impatient = RegistrationPolicy { max_repeats: 0, ..RegistrationPolicy::default() };
    for (status, retry_after, expected) in
        [(429, Some(7), Some(fleet(7))), (503, Some(7), Some(fleet(7))), (503, None, None), (401, None, None)]
    {
        let mut talk = registering_of(Talk::living(impatient, times(100)));
        talk.answers(status, retry_after, "");
        assert!(matches!(talk.next, AfterSend::Failed(_)));
        assert_eq!(talk.flow.facts().retry_after, expected);
    }
    let mut talk = registering_with(RegistrationPolicy::default());
    talk.answers(429, Some(1_000), THROTTLED);
    assert_eq!((talk.failure().class, talk.flow.facts().retry_after), (FailureClass::Throttled, Some(fleet(1_000))));
    let mut talk = registering_with(RegistrationPolicy::default());
    talk.answers(429, Some(1), THROTTLED).wakes().answers(401, None, UNAUTHORIZED);
    assert_eq!(talk.flow.facts().retry_after, None, "that one was waited out");
}

#[test]
fn a_refusal_may_name_the_wait_in_its_body_alone() {
    for written in ["7", "\"7\"", "6.5"] {
        let body = format!(r#"{{"errorCode":429001,"message":"Too many requests.","retryAfter":{written}}}"#);
        let mut talk = registering_with(RegistrationPolicy::default());
        talk.answers(429, None, &body);
        assert_eq!((talk.wait(), talk.flow.facts().retry_after_max), (secs(7), Some(fleet(7))), "{written}");
        let mut talk = registering_with(RegistrationPolicy::default());
        talk.answers(429, Some(9), &body);
        assert_eq!(talk.wait(), secs(9), "what stands beside the body goes before it");
    }
}

#[test]
fn the_longest_retry_after_is_that_of_refusals_in_time_of_the_service() {
    let mut talk = registering_of(Talk::living(RegistrationPolicy::default(), times(1_000)));
    assert_eq!(talk.flow.facts().retry_after_max, None);
    talk.answers(429, None, THROTTLED).wakes();
    assert_eq!(talk.flow.facts().retry_after_max, None, "it named none");
    talk.answers(429, Some(20), THROTTLED)
        .wakes()
        .answers(503, Some(30), "")
        .wakes()
        .answers(429, Some(0), THROTTLED)
        .wakes();
    talk.answers(202, Some(120), ASSIGNING).wakes();
    assert_eq!(talk.flow.facts().retry_after_max, Some(fleet(30)), "the wait after a 202 is no refusal's");
    talk.answers(429, Some(40), THROTTLED).wakes().answers(401, Some(50), UNAUTHORIZED);
    assert_eq!((talk.failure().class, talk.flow.facts().retry_after_max), (FailureClass::Rejected, Some(fleet(50))));
}

#[test]
fn repeats_can_be_without_bound() {
    let mut talk = registering_with(RegistrationPolicy { max_repeats: u16::MAX, ..RegistrationPolicy::default() });
    let wait = RegistrationPolicy { max_repeats: u16::MAX, ..RegistrationPolicy::default() };
    assert!(once_more(u16::MAX, wait.max_repeats));
    for _ in 0..100 {
        talk.answers(429, Some(0), THROTTLED).wakes();
    }
    assert_eq!(talk.flow.facts().throttled, 100);
}

#[test]
fn throttling_without_end_ends_as_throttled() {
    let mut talk = Talk::begin(RegistrationPolicy { max_repeats: 2, ..RegistrationPolicy::default() });
    talk.hears(Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false))).hears(suback(1));
    talk.answers(429, Some(1), THROTTLED).wakes().answers(429, Some(1), THROTTLED).wakes();
    talk.answers(429, Some(1), THROTTLED);
    assert_eq!(talk.failure().to_string(), "throttled 429001: Too many requests.");
    assert_eq!(talk.flow.facts().throttled, 3);
}

#[test]
fn a_wait_beyond_the_attempt_fails_at_once_with_what_made_it_necessary() {
    let mut talk = Talk::registering();
    talk.answers(429, Some(4_000_000_000), THROTTLED);
    assert_eq!(talk.failure().class, FailureClass::Throttled);
    let mut talk = Talk::registering();
    talk.answers(202, Some(300), ASSIGNING);
    assert_eq!(talk.failure().class, FailureClass::Timeout);
}

#[test]
fn refused_requests_keep_the_code_and_words_of_the_service() {
    for (status, body, expected) in [
        (401, UNAUTHORIZED, "rejected 401000: Unauthorized"),
        (
            401,
            r#"{"errorCode":401002,"message":"CA certificate not found."}"#,
            "rejected 401002: CA certificate not found.",
        ),
        (400, r#"{"errorCode":400012,"message":"Deserialization error"}"#, "rejected 400012: Deserialization error"),
        (404, r#"{"errorCode":404001,"message":"No dev1 here"}"#, "rejected 404001: No {device} here"),
        (403, "", "rejected 403: DPS answered 403 without an error code"),
        (302, "<html>", "rejected 302: DPS answered 302 without an error code"),
    ] {
        let mut talk = Talk::registering();
        talk.answers(status, None, body);
        assert_eq!(talk.failure().to_string(), expected);
        assert_eq!(talk.said(), ["PUBACK 1"]);
    }
}

#[test]
fn failed_and_disabled_registrations_end_the_conversation() {
    let failed = r#"{"operationId":"5.a","status":"failed","registrationState":{"registrationId":"dev1",
        "status":"failed","errorCode":400208,"errorMessage":"No hub."}}"#;
    let mut talk = Talk::waiting();
    talk.wakes().answers(200, None, failed);
    assert_eq!(talk.failure().to_string(), "rejected 400208: No hub.");

    let disabled =
        r#"{"operationId":"","status":"disabled","registrationState":{"registrationId":"dev1","status":"disabled"}}"#;
    let mut talk = Talk::registering();
    talk.answers(200, None, disabled);
    assert_eq!(talk.failure().to_string(), "rejected: the enrollment is disabled: enable it in DPS");
}

#[test]
fn a_lost_operation_is_begun_anew() {
    let mut talk = Talk::waiting();
    talk.wakes().answers(404, Some(1), r#"{"errorCode":404204,"message":"Operation not found"}"#);
    talk.sent();
    talk.wakes();
    assert!(talk.said()[0].contains("iotdps-register/?$rid=3"));
}

#[test]
fn refused_connections_have_connacks_code() {
    for (code, number) in [
        (ConnectReturnCode::RefusedProtocolVersion, 1),
        (ConnectReturnCode::BadClientId, 2),
        (ConnectReturnCode::ServiceUnavailable, 3),
        (ConnectReturnCode::BadUserNamePassword, 4),
        (ConnectReturnCode::NotAuthorized, 5),
    ] {
        let mut talk = Talk::begin(RegistrationPolicy::default());
        talk.passes(secs(1)).hears(Packet::ConnAck(ConnAck::new(code, false)));
        assert_eq!((talk.failure().class, talk.failure().code), (FailureClass::Rejected, number));
        assert_eq!(talk.flow.facts().phases.get(Phase::Connack), Some(secs(1)));
    }
}

#[test]
fn every_answer_has_its_time_limit() {
    let mut talk = Talk::begin(RegistrationPolicy::default());
    assert_eq!(talk.wakes().failure().to_string(), "timeout: no CONNACK of DPS within 30 s");
    let mut talk = Talk::begin(RegistrationPolicy::default());
    talk.hears(Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false))).wakes();
    assert_eq!(talk.failure().to_string(), "timeout: no SUBACK of DPS within 30 s");
    let mut talk = Talk::registering();
    assert_eq!(talk.wakes().failure().to_string(), "timeout: no answer to the registration within 30 s");
    assert_eq!(talk.flow.facts().phases.get(Phase::Register), Some(secs(30)), "the time until the failure counts");
    let mut talk = Talk::waiting();
    assert_eq!(talk.wakes().wakes().failure().to_string(), "timeout: no answer to the status request within 30 s");
    let mut talk = Talk::waiting();
    talk.passes(secs(290)).wakes().wakes();
    assert_eq!(
        talk.failure().to_string(),
        "timeout: the attempt's time was up while waiting for the answer to the status request"
    );
}

#[test]
fn what_the_protocol_does_not_allow_is_a_protocol_failure() {
    let talk = |begin: fn() -> Talk, packet: Packet| {
        let mut talk = begin();
        talk.hears(packet).failure()
    };
    let publish = |qos, topic: &str, body: &str| {
        let pkid = u16::from(qos != QoS::AtMostOnce);
        Packet::Publish(Publish { pkid, ..Publish::new(topic, qos, body) })
    };
    let answer = "$dps/registrations/res/200/?$rid=1";
    for (begin, packet) in [
        ((|| Talk::begin(RegistrationPolicy::default())) as fn() -> Talk, suback(1)),
        (Talk::registering, Packet::PingReq),
        (Talk::registering, Packet::Disconnect),
        (Talk::registering, publish(QoS::ExactlyOnce, answer, ASSIGNED)),
        ((|| Talk::begin(RegistrationPolicy::default())) as fn() -> Talk, Packet::PubAck(PubAck::new(1))),
        ((|| Talk::begin(RegistrationPolicy::default())) as fn() -> Talk, Packet::PingResp),
        ((|| Talk::begin(RegistrationPolicy::default())) as fn() -> Talk, publish(QoS::AtMostOnce, "x", "")),
        (subscribing, suback(2)),
        (subscribing, Packet::SubAck(SubAck::new(1, vec![SubscribeReasonCode::Success(QoS::AtLeastOnce); 2]))),
        (subscribing, Packet::SubAck(SubAck::new(1, Vec::new()))),
        (subscribing, Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false))),
        (Talk::registering, suback(1)),
        (Talk::registering, Packet::PubAck(PubAck::new(3))),
        (Talk::registering, publish(QoS::AtMostOnce, "$dps/registrations/res/2000/?$rid=1", ASSIGNED)),
        (Talk::registering, publish(QoS::AtMostOnce, "$dps/registrations/res/200/", ASSIGNED)),
        (Talk::registering, publish(QoS::AtMostOnce, "$dps/registrations/res/101/?$rid=1", ASSIGNED)),
        (Talk::registering, publish(QoS::AtMostOnce, answer, "")),
        (Talk::registering, publish(QoS::AtMostOnce, answer, "{}")),
        (Talk::registering, publish(QoS::AtMostOnce, answer, r#"{"status":"assigning"}"#)),
        (Talk::registering, publish(QoS::AtMostOnce, answer, r#"{"operationId":"5","status":"assigned"}"#)),
    ] {
        let description = format!("{packet:?}");
        assert_eq!(talk(begin, packet).class, FailureClass::Protocol, "{description}");
    }
    let refused = talk(subscribing, Packet::SubAck(SubAck::new(1, vec![SubscribeReasonCode::Failure])));
    assert_eq!(refused.class, FailureClass::Rejected);
}

fn subscribing() -> Talk {
    let mut talk = Talk::begin(RegistrationPolicy::default());
    talk.hears(Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false)));
    talk
}

#[test]
fn names_that_cannot_be_used_are_dps_fault() {
    let answer = |body: &str| {
        let mut talk = Talk::registering();
        talk.answers(200, None, body);
        talk.next.clone()
    };
    let long = "a".repeat(10_000);
    for hub in ["", " ", "a\\u0000b", "a/b", "hub.example:443", "hüb", &long, "\\u001b[2J"] {
        let AfterSend::Failed(failure) = answer(&ASSIGNED.replace("contoso.azure-devices.net", hub)) else {
            panic!("{hub}")
        };
        assert_eq!(failure.to_string(), "protocol: DPS assigned a hub whose name is no host name", "{hub}");
    }
    for id in ["", "a b", "a/b", "a#", "+", "\\u0000", "ü", &long] {
        let body = ASSIGNED.replace(r#""deviceId":"dev1""#, &format!(r#""deviceId":"{id}""#));
        let AfterSend::Failed(failure) = answer(&body) else { panic!("{id}") };
        assert!(failure.to_string().starts_with("protocol: DPS assigned a device id that cannot be one"), "{failure}");
    }
    for operation in [" ", "a b", "a/b", "a#", "a&$rid=7", "\\u0000", &long] {
        let AfterSend::Failed(failure) = answer(&ASSIGNING.replace(OPERATION, operation)) else {
            panic!("{operation}")
        };
        assert!(failure.to_string().starts_with("protocol: DPS named an operation"), "{failure}");
    }
    let good = ASSIGNED
        .replace("contoso.azure-devices.net", "10.0.0.7")
        .replace(r#"deviceId":"dev1"#, r#"deviceId":"a:b=c@d"#);
    assert!(matches!(answer(&good), AfterSend::Done(_)));
}

#[test]
fn what_dps_says_in_place_of_numbers_is_not_repeated_as_it_is() {
    for text in ["\\u001b[2J dev1 is bad", &"x".repeat(50_000)] {
        let mut talk = Talk::registering();
        talk.answers(200, None, &format!(r#"{{"operationId":"5","registrationState":{{"errorCode":"{text}"}}}}"#));
        let Failure { class, message, .. } = talk.failure();
        assert_eq!(class, FailureClass::Protocol);
        assert!(message.starts_with("answer of DPS: the body is not the expected JSON: invalid type"), "{message}");
        assert!(message.len() < 300 && !message.contains("dev1") && !message.contains('\u{1b}'), "{message}");
    }
}

#[test]
fn what_nobody_asked_for_is_taken_a_thousand_times() {
    let strange = Packet::Publish(Publish::new("devices/dev1/messages/devicebound/", QoS::AtMostOnce, "x"));
    let earlier = Packet::Publish(Publish::new("$dps/registrations/res/200/?$rid=77", QoS::AtMostOnce, "x"));
    for packet in [strange, earlier, Packet::PubAck(PubAck::new(1)), Packet::PingResp] {
        let mut talk = Talk::registering();
        // One more comes with the answer.
        for _ in 0..999 {
            talk.hears(packet.clone());
        }
        talk.answers(202, Some(3), ASSIGNING).wakes();
        for _ in 0..1_000 {
            assert!(
                matches!(talk.hears(packet.clone()).next, AfterSend::Read { .. }),
                "a question begins the count anew"
            );
        }
        let failure = talk.hears(packet).failure();
        assert_eq!(failure.to_string(), "protocol: DPS sent more than 1000 packets that nobody asked for");
    }
}

#[test]
fn an_answer_that_comes_again_during_the_pause_is_one_that_nobody_asked_for() {
    let mut talk = Talk::waiting();
    let again = Packet::Publish(Publish::new("$dps/registrations/res/202/?$rid=1", QoS::AtMostOnce, ASSIGNING));
    // The acknowledgement of the request was the first.
    for _ in 1..1_000 {
        talk.hears(again.clone());
        assert_eq!((talk.wait(), talk.flow.phase()), (secs(3), Some(Phase::PollWait)));
    }
    let failure = talk.hears(again).failure();
    assert_eq!(failure.to_string(), "protocol: DPS sent more than 1000 packets that nobody asked for");
}

#[test]
fn who_is_woken_early_goes_on_waiting() {
    let mut talk = Talk::waiting();
    talk.passes(secs(3) - Duration::from_nanos(1));
    talk.next = talk.flow.handle(Input::Wake, talk.now, &mut talk.out);
    assert_eq!((talk.wait(), talk.said()), (Duration::from_nanos(1), Vec::new()));
    talk.wakes();
    assert_eq!((talk.flow.facts().polls, talk.sent().len()), (1, 1));
}

#[test]
fn a_chain_that_is_not_base64_is_a_wrong_certificate() {
    let mut talk = Talk::registering();
    talk.answers(200, None, &ASSIGNED.replace("Ag==", "A"));
    assert_eq!(talk.failure().class, FailureClass::Verification);
}

#[test]
fn polling_ends_somewhere() {
    let mut talk = Talk::begin(RegistrationPolicy { max_polls: 2, ..RegistrationPolicy::default() });
    talk.hears(Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false))).hears(suback(1));
    for _ in 0..2 {
        talk.answers(202, Some(1), ASSIGNING).wakes();
    }
    talk.answers(202, Some(1), ASSIGNING);
    assert_eq!(talk.failure().to_string(), "timeout: DPS was still assigning after 2 status requests");
}

proptest! {
    #[test]
    fn no_answer_makes_it_panic_or_wait_less_than_told(
        status in prop_oneof![Just(200_u16), Just(202), Just(429), 100_u16..1000],
        retry_after in proptest::option::of(0_u32..400),
        body in prop_oneof![Just(ASSIGNING.to_owned()), Just(THROTTLED.to_owned()), any::<String>()],
    ) {
        let mut talk = Talk::registering();
        talk.answers(status, retry_after, &body);
        if let (AfterSend::Read { .. }, Some(seconds)) = (&talk.next, retry_after) {
            prop_assert!(talk.flow.wake_at() - talk.now >= secs(seconds.into()));
        }
    }

    #[test]
    fn topics_of_requests_are_read_by_the_service(polls in 1_usize..5) {
        let mut talk = Talk::waiting();
        for _ in 0..polls {
            let Packet::Publish(publish) = talk.wakes().sent().remove(0) else { panic!() };
            let is_poll = matches!(
                DpsRequest::parse(&publish.topic),
                Ok(DpsRequest::OperationStatus { operation_id: OPERATION, .. })
            );
            prop_assert!(is_poll);
            talk.answers(202, Some(1), ASSIGNING);
            talk.sent();
        }
    }
}
