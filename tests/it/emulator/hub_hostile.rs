//! What no device publishes to its hub, from a device that is let in.

use fleetstorm::protocol::mqtt::{Packet, Publish, QoS};
use proptest::prelude::*;

use super::client::World;
use super::hub_client::{Device, Feature};

fn topic() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "devices/dev1/messages/events/",
        "$iothub/twin/GET/?$rid=",
        "$iothub/twin/PATCH/properties/reported/?$rid=",
        "$iothub/methods/res/200/?$rid=",
        "$iothub/methods/res/",
        "$iothub/credentials/POST/issueCertificate/?$rid=",
        "$iothub/",
        "",
    ]);
    // Neither wildcards nor U+0000, which the codec refuses.
    (known, "[^+#\u{0}]{0,40}").prop_map(|(known, tail)| format!("{known}{tail}"))
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        r#"\{"(id|csr|replace|a)":("dev1"|null|1|"\*"|"AAAA"|\{"b":null\}|\[1\])(,"(csr|id|c)":"[A-Za-z0-9=]{0,9}")?\}"#
            .prop_map(String::into_bytes),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_publish_is_answered_or_ends_the_session(
        publishes in prop::collection::vec((topic(), body(), any::<bool>()), 1..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let world = World::new();
            let device = Device::new(&world, "dev1").await;
            let mut peer = device.connect(&world).await;
            for feature in [
                Feature::Twin,
                Feature::Desired,
                Feature::Methods,
                Feature::Messages("dev1"),
                Feature::Credentials,
            ] {
                peer.wants(feature).await;
            }
            for (topic, body, reliable) in publishes.into_iter().filter(|(topic, ..)| !topic.is_empty()) {
                let qos = if reliable { QoS::AtLeastOnce } else { QoS::AtMostOnce };
                let pkid = u16::from(reliable) * 7;
                peer.send(Packet::Publish(Publish { pkid, ..Publish::new(topic, qos, body) })).await;
            }
            peer.send(Packet::PingReq).await;
            while peer.next().await.is_some_and(|packet| packet != Packet::PingResp) {}
            device.connect(&world).await.leave().await;
        });
    }
}
