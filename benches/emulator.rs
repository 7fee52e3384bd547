//! Whole-process figures of the emulator: `fleetstorm emulator` on core 0, our own devices on core 1.
//!
//! `cargo bench --bench emulator` prints registrations with issuance per second, hub connections over mutual TLS per second,
//! and the memory of held hub connections in both processes, each with the emulator's own CPU time, which is what a core of it can do when the
//! devices are not the bottleneck. Without `--bench` it runs with a few devices, as a test of itself.
//!
//! Seen on an AMD EPYC with 2 cores, 9,000 devices: see the table in ARCHITECTURE.md.
#![allow(clippy::unwrap_used, reason = "a bench ends with its first failure")]
#![allow(clippy::expect_used, reason = "a bench ends with its first failure")]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use fleetstorm::device::{
    DeviceAttestation, Endpoint, HubSettings, LocalEnd, Settings, TcpConnector, prepare, provision, reconnect,
};
use fleetstorm::domain::{CryptoProvider, IdScope, RegistrationId, TlsVersions};
use fleetstorm::pki::chain::ChainVerifier;
use fleetstorm::pki::sas::SymmetricKey;
use fleetstorm::pki::store::read_certificates;
use fleetstorm::pki::tls::ClientTls;
use fleetstorm::rig::target::Connection;
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::Instant;

/// Conversations at once, enough to keep the emulator busy.
const AT_ONCE: usize = 300;

fn main() {
    let devices: u32 = if std::env::args().any(|argument| argument == "--bench") { 9_000 } else { 40 };
    let emulator = Emulator::start();
    pin(std::process::id(), "1");
    let settings = Rc::new(emulator.settings());
    let connector = Rc::new(TcpConnector::new());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let prepared: Vec<_> = (0..devices)
            .map(|index| {
                prepare(&settings, index, 1, &RegistrationId::new(&format!("bench-{index}")).unwrap()).unwrap()
            })
            .collect();
        let mut registering = (*settings).clone();
        registering.hub = None;
        let registering = Rc::new(registering);
        let credentials = emulator
            .measure("registrations with issuance", prepared, |prepared| {
                let (settings, connector) = (Rc::clone(&registering), Rc::clone(&connector));
                async move {
                    let end = LocalEnd::new(&settings, 0);
                    provision(&settings, &*connector, &end, &prepared, false).await.result.unwrap()
                }
            })
            .await;
        let credentials = emulator
            .measure("hub connections, mutual TLS", credentials, |credential| {
                let (settings, connector) = (Rc::clone(&settings), Rc::clone(&connector));
                async move {
                    let end = LocalEnd::new(&settings, 0);
                    reconnect(&settings, &*connector, &end, &credential, false).await.result.unwrap()
                }
            })
            .await;
        let (before, own_before) = (emulator.resident_memory(), resident_memory(std::process::id()));
        let sessions = emulator
            .measure("hub connections, held", credentials, |credential| {
                let (settings, connector) = (Rc::clone(&settings), Rc::clone(&connector));
                async move {
                    let end = LocalEnd::new(&settings, 0);
                    let done = reconnect(&settings, &*connector, &end, &credential, true).await;
                    (done.result.unwrap(), done.session.unwrap())
                }
            })
            .await;
        let count = sessions.len() as f64;
        let mut held = JoinSet::new();
        for (credential, mut session) in sessions {
            held.spawn_local(async move {
                let lost = session.hold(None).await;
                (credential, lost)
            });
        }
        // Every session waits once.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let (after, own_after) = (emulator.resident_memory(), resident_memory(std::process::id()));
        let each = |before: u64, after: u64| after.saturating_sub(before) as f64 / 1e3 / count;
        println!(
            "{count} held connections: emulator {:.0} MB in all, {:.1} KB for each; generator {:.1} KB for each",
            after as f64 / 1e6,
            each(before, after),
            each(own_before, own_after)
        );
        assert!(held.try_join_next().is_none(), "none is lost");
    });
}

/// The emulator as a process of its own, on core 0.
struct Emulator {
    child: Child,
    connection: Connection,
    folder: tempfile::TempDir,
}

impl Emulator {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("emulator.toml");
        std::fs::write(&config, "[dps]\nretry_after_seconds = 0\n").unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_fleetstorm"))
            .args(["emulator", "--json", "--quiet", "--parent-pipe", "--mqtt-port", "0", "--https-port", "off"])
            .arg("--config")
            .arg(&config)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        pin(child.id(), "0");
        Self { child, connection: Connection::parse(&line).unwrap(), folder }
    }

    fn settings(&self) -> Settings {
        let c = &self.connection;
        let roots = read_certificates(&c.ca_file).unwrap();
        let tls = ClientTls::new(&roots, TlsVersions::Any, CryptoProvider::AwsLc).unwrap();
        let chain = ChainVerifier::new(&read_certificates(&c.issuing_root_file).unwrap()).unwrap();
        let group_key = SymmetricKey::from_base64(&std::fs::read_to_string(&c.group_key_file).unwrap()).unwrap();
        let dps = Endpoint { host: c.dps_host.clone(), port: c.mqtt.port(), address: Some(c.mqtt) };
        let attestation =
            DeviceAttestation::SymmetricKey { group_key, token_life: fleetstorm::domain::FleetTime::from_secs(3600) };
        let mut settings = Settings::new(dps, IdScope::new(&c.id_scope).unwrap(), attestation, tls, Arc::new(chain));
        settings.hub = Some(HubSettings { address: Some(c.mqtt), telemetry: None, ..HubSettings::default() });
        settings
    }

    /// Does `work` with every item, some at once, and prints rate and CPU.
    async fn measure<T: 'static, R: 'static, F: Future<Output = R> + 'static>(
        &self,
        what: &str,
        items: Vec<T>,
        work: impl Fn(T) -> F,
    ) -> Vec<R> {
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        let count = items.len() as f64;
        let (start, cpu) = (Instant::now(), self.cpu());
        let mut tasks = JoinSet::new();
        for item in items {
            let turn = Arc::clone(&turns).acquire_owned().await.unwrap();
            let work = work(item);
            tasks.spawn_local(async move {
                let result = work.await;
                drop(turn);
                result
            });
        }
        let results = tasks.join_all().await;
        let (elapsed, cpu) = (start.elapsed().as_secs_f64(), self.cpu() - cpu);
        println!(
            "{what}: {:.0}/s measured, {:.3} ms of emulator CPU each, {:.0}/s on a core of its own",
            count / elapsed,
            cpu / count * 1e3,
            count / cpu
        );
        results
    }

    /// CPU seconds so far, in ticks of 10 ms (proc_pid_stat(5), fields 14 and 15).
    fn cpu(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let after_name = stat.rsplit_once(") ").unwrap().1;
        let ticks: u32 = after_name.split(' ').skip(11).take(2).map(|field| field.parse::<u32>().unwrap()).sum();
        f64::from(ticks.max(1)) / 100.0
    }

    fn resident_memory(&self) -> u64 {
        resident_memory(self.child.id())
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = self.folder.path();
    }
}

/// Resident memory of a process in bytes.
fn resident_memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// All threads of a process on one core; where that cannot be, the figures are those of a shared machine.
fn pin(process: u32, core: &str) {
    let _ = Command::new("taskset").args(["-acp", core, &process.to_string()]).stdout(Stdio::null()).status();
}
