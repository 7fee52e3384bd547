//! What a client sends over HTTPS, at DPS and at the hub, cut anywhere: nothing may panic the emulator, and it must notice when
//! the client leaves. `{dps}` and `{hub}` stand for good tokens, so that requests get past the door.
#![no_main]

use std::sync::LazyLock;
use std::time::SystemTime;

use fleetstorm::emulator::{Config, Service};
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::runtime::{Builder, Runtime};

struct World {
    runtime: Runtime,
    service: Service,
    tokens: [(&'static [u8], Vec<u8>); 2],
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let mut config = Config::default();
    config.adr.issue_inline = true;
    let service = runtime.block_on(async { Service::new(config).unwrap() });
    let key = service.group_key().derive("dev1");
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let token = |resource| key.sign(resource, now + 86_400, None).to_text().into_bytes();
    let tokens = [
        (&b"{dps}"[..], token("0ne00000001/registrations/dev1")),
        (&b"{hub}"[..], token("localhost/devices/dev1")),
    ];
    let world = World { runtime, service, tokens };
    // The hub knows the device once it registered.
    world.converse(include_bytes!("../seeds/http/register"));
    world
});

impl World {
    fn converse(&self, script: &[u8]) {
        let mut bytes = Vec::new();
        let mut rest = script;
        while let Some((&first, after)) = rest.split_first() {
            match self.tokens.iter().find(|(name, _)| rest.starts_with(name)) {
                Some((name, token)) => {
                    bytes.extend_from_slice(token);
                    rest = &rest[name.len()..];
                }
                None => {
                    bytes.push(first);
                    rest = after;
                }
            }
        }
        self.runtime.block_on(async {
            let (mut ours, theirs) = tokio::io::duplex(1024 * 1024);
            let served = self.service.serve_https(theirs, Vec::new());
            let client = async {
                // The emulator may have closed already.
                let _ = ours.write_all(&bytes).await;
                let _ = ours.shutdown().await;
                let mut answers = Vec::new();
                ours.read_to_end(&mut answers).await.expect("the emulator closes");
            };
            tokio::join!(served, client);
        });
    }
}

fuzz_target!(|data: &[u8]| WORLD.converse(data));
