use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use fleetstorm::domain::{CryptoProvider, TlsVersions};
use fleetstorm::pki::sas::SymmetricKey;
use fleetstorm::pki::store::read_certificate;
use fleetstorm::pki::tls::ClientTls;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;

use super::super::process::Process;

/// Long enough for anything that happens at all; nothing is measured by it.
const PATIENCE: Duration = Duration::from_secs(20);

/// An emulator in a process of its own, with short time limits for its peers.
pub(super) struct Victim {
    pub(super) process: Process,
    _settings: tempfile::NamedTempFile,
    pub(super) mqtt: SocketAddr,
    pub(super) https: SocketAddr,
    pub(super) management: SocketAddr,
    pub(super) group_key: SymmetricKey,
    tls: ClientTls,
}

impl Victim {
    pub(super) fn start() -> Self {
        let mut settings = tempfile::NamedTempFile::new().unwrap();
        let limits = "handshake_timeout_seconds = 5\nunauthenticated_timeout_seconds = 4\nwrite_timeout_seconds = 1\n";
        write!(settings, "[listen]\n{limits}[dps]\nretry_after_seconds = 0\n").unwrap();
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("fleetstorm"));
        command
            .args(["emulator", "--json", "--quiet", "--mqtt-port", "0", "--parent-pipe", "--config"])
            .arg(settings.path());
        let process = Process::start(command.stdin(Stdio::piped()).stderr(Stdio::piped()));
        let text = |name| process.text(name);
        let [mqtt, https, management] = ["mqtt", "https", "management"].map(|name| text(name).parse().unwrap());
        let root = read_certificate(text("ca_file").as_ref()).unwrap();
        let tls = ClientTls::new(&[root], TlsVersions::Any, CryptoProvider::AwsLc).unwrap();
        let group_key = SymmetricKey::from_base64(&fs::read_to_string(text("group_key_file")).unwrap()).unwrap();
        Self { process, _settings: settings, mqtt, https, management, group_key, tls }
    }

    /// How many files it has open, once they are no more than `expected` or it has had all the time it could need.
    pub(super) async fn settled_files(&self, expected: usize) -> usize {
        let count = || fs::read_dir(format!("/proc/{}/fd", self.process.child.id())).unwrap().count();
        for _ in 0..200 {
            if count() <= expected {
                break;
            }
            // With nothing to wait for, connections of the test itself end within a moment.
            sleep(if expected == 0 { Duration::from_millis(5) } else { PATIENCE / 200 }).await;
        }
        count()
    }

    /// Its memory in bytes: `VmRSS` now, `VmHWM` at most ever.
    pub(super) fn memory(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }

    /// Its counters and all that it said on stderr.
    pub(super) fn stop(&mut self) -> (Value, String) {
        let counters = self.process.asked("/counters");
        (counters, self.process.end())
    }
}

/// Where a device comes in, and what it has done properly before it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    /// TCP at the port of MQTT, without TLS.
    MqttTcp,
    /// TCP at the port of HTTPS, without TLS.
    HttpsTcp,
    /// Within TLS at the port of MQTT.
    Mqtt,
    /// Within TLS at the port of HTTPS.
    Https,
    /// After the handshake of a WebSocket: what is sent are frames.
    WebSocket,
    /// The control plane.
    Plane,
}

/// What a device does.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// Sends this.
    Send(Vec<u8>),
    /// Sends this byte by byte.
    Crumbs(Vec<u8>),
    /// Sends this so often, and reads nothing meanwhile.
    Flood(Vec<u8>, usize),
    /// Reads what comes, at least something if anything does.
    Read,
    /// Ends its side.
    HalfClose,
}

/// How a device goes when it has done all that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// At once.
    Leave,
    /// When it is cut, or nothing has come for longer than a peer may be silent that proved nothing.
    Linger,
}

/// One way to be a nuisance.
#[derive(Debug, Clone)]
pub(super) struct Case {
    door: Door,
    steps: Vec<Step>,
    lingers: bool,
}

impl Case {
    pub(super) const fn new(door: Door, steps: Vec<Step>) -> Self {
        Self { door, steps, lingers: true }
    }

    /// Whether it is to be tried with that ending.
    pub(super) fn ends(&self, ending: Ending) -> bool {
        self.lingers || ending == Ending::Leave
    }

    /// Does it. Whatever the emulator makes of it is fine here.
    pub(super) async fn play(&self, victim: &Victim, ending: Ending) {
        // A machine with much to do may take longer to open it than the emulator has patience.
        let mut opened = None;
        for _ in 0..3 {
            if opened.is_none() {
                opened = open(victim, self.door).await;
            }
        }
        let Some(mut stream) = opened else { panic!("{:?} is closed", self.door) };
        for step in &self.steps {
            // An emulator that has closed, or that does not read, has said what it thinks of it.
            let done = timeout(PATIENCE, step.take(&mut stream)).await;
            if !matches!(done, Ok(Ok(()))) {
                break;
            }
        }
        if ending == Ending::Linger {
            let mut buffer = [0; 4096];
            while matches!(timeout(Duration::from_secs(6), stream.read(&mut buffer)).await, Ok(Ok(1..))) {}
        }
    }
}

impl Step {
    async fn take(&self, stream: &mut Stream) -> std::io::Result<()> {
        match self {
            Self::Send(bytes) => stream.write_all(bytes).await?,
            Self::Crumbs(bytes) => {
                for byte in bytes {
                    stream.write_all(&[*byte]).await?;
                    stream.flush().await?;
                }
            }
            Self::Flood(bytes, times) => {
                // Some at a time, as TLS and TCP would otherwise be what is tested.
                let some = (16 * 1024 / bytes.len()).clamp(1, *times);
                for _ in 0..times.div_ceil(some) {
                    // The emulator may stop reading, which is right: then it is the device that gives up.
                    let sent = timeout(Duration::from_secs(1), stream.write_all(&bytes.repeat(some))).await;
                    sent.map_err(|_| std::io::ErrorKind::TimedOut)??;
                }
            }
            Self::Read => {
                let mut buffer = [0; 4096];
                let _ = timeout(Duration::from_secs(3), stream.read(&mut buffer)).await;
            }
            Self::HalfClose => stream.shutdown().await?,
        }
        stream.flush().await
    }
}

/// A byte stream of any kind.
trait Bytes: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Bytes for S {}

type Stream = Box<dyn Bytes>;

async fn open(victim: &Victim, door: Door) -> Option<Stream> {
    let address = match door {
        Door::MqttTcp | Door::Mqtt => victim.mqtt,
        Door::HttpsTcp | Door::Https | Door::WebSocket => victim.https,
        Door::Plane => victim.management,
    };
    let tcp = TcpStream::connect(address).await.ok()?;
    if matches!(door, Door::MqttTcp | Door::HttpsTcp | Door::Plane) {
        return Some(Box::new(tcp));
    }
    let connector = TlsConnector::from(victim.tls.anonymous());
    let mut stream = connector.connect("localhost".try_into().unwrap(), tcp).await.ok()?;
    if door == Door::WebSocket {
        let upgrade = "GET /$iothub/websocket HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                       Sec-WebSocket-Protocol: mqtt\r\n\r\n";
        stream.write_all(upgrade.as_bytes()).await.ok()?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.ok()?);
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
    }
    Some(Box::new(stream))
}

/// Everything up to each byte of it, and no further: devices that leave then.
pub(super) fn cut_at_every_byte(door: Door, bytes: &[u8]) -> impl Iterator<Item = Case> {
    (0..bytes.len()).map(move |end| Case { door, steps: vec![Step::Send(bytes[..end].to_vec())], lingers: false })
}
