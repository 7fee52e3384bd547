//! Whole conversations of a device that is let in and then sends what it likes, at DPS and at the hub: nothing may panic
//! the emulator, and it must notice when the device leaves. Each line of the input is a message (topic, blank, body) or,
//! when it begins with `!`, raw bytes.
#![no_main]

use std::sync::LazyLock;
use std::time::SystemTime;

use bytes::BytesMut;
use fleetstorm::emulator::{Config, Service};
use fleetstorm::protocol::mqtt::{Connect, Login, Packet, Protocol, Publish, QoS, Subscribe, SubscribeFilter, encode};
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::runtime::{Builder, Runtime};

struct World {
    runtime: Runtime,
    service: Service,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let mut config = Config::default();
    config.adr.issue_inline = true;
    let service = runtime.block_on(async { Service::new(config).unwrap() });
    let world = World { runtime, service };
    // The hub knows the device once it registered.
    world.converse(&connect(&world.service, false), b"$dps/registrations/PUT/iotdps-register/?$rid=1 {}");
    world
});

impl World {
    fn converse(&self, connect: &Connect, script: &[u8]) {
        let mut bytes = BytesMut::new();
        encode(&Packet::Connect(connect.clone()), &mut bytes).unwrap();
        let filters = ["$dps/registrations/res/#", "$iothub/twin/res/#", "$iothub/credentials/res/#"];
        let hub = connect.login.as_ref().is_some_and(|login| login.username.starts_with("localhost"));
        for (i, filter) in filters.into_iter().enumerate().filter(|(i, _)| (*i > 0) == hub) {
            let filters = vec![SubscribeFilter::new(filter.to_owned(), QoS::AtLeastOnce)];
            encode(&Packet::Subscribe(Subscribe { pkid: i as u16 + 1, filters }), &mut bytes).unwrap();
        }
        for (i, line) in script.split(|byte| *byte == b'\n').enumerate() {
            if let Some(raw) = line.strip_prefix(b"!") {
                bytes.extend_from_slice(raw);
                continue;
            }
            let split = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
            let (topic, body) = line.split_at(split);
            let Ok(topic) = std::str::from_utf8(topic) else { continue };
            let mut publish = Publish::new(topic, QoS::AtLeastOnce, body.get(1..).unwrap_or_default());
            publish.pkid = i as u16 + 1;
            // What no client can send is no message.
            let _ = encode(&Packet::Publish(publish), &mut bytes);
        }
        self.runtime.block_on(async {
            let (mut ours, theirs) = tokio::io::duplex(1024 * 1024);
            let served = self.service.serve_connection(theirs, Vec::new());
            let device = async {
                // The emulator may have closed already.
                let _ = ours.write_all(&bytes).await;
                let _ = ours.shutdown().await;
                let mut answers = Vec::new();
                ours.read_to_end(&mut answers).await.expect("the emulator closes");
            };
            tokio::join!(served, device);
        });
    }
}

fn connect(service: &Service, hub: bool) -> Connect {
    let key = service.group_key().derive("dev1");
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let (resource, username) = match hub {
        true => ("localhost/devices/dev1", "localhost/dev1/?api-version=2025-08-01-preview"),
        false => ("0ne00000001/registrations/dev1", "0ne00000001/registrations/dev1/api-version=2025-07-01-preview"),
    };
    let password = key.sign(resource, now + 3600, None).to_text();
    Connect {
        protocol: Protocol::V4,
        keep_alive: 60,
        client_id: "dev1".to_owned(),
        clean_session: true,
        last_will: None,
        login: Some(Login { username: username.to_owned(), password }),
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((first, script)) = data.split_first() else { return };
    let world = &*WORLD;
    world.converse(&connect(&world.service, first % 2 == 1), script);
});
