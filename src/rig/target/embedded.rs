//! The embedded emulator: a child process of the same binary, so that its CPU time is not the generator's.
//!
//! It ends with us however we end: its stdin is a pipe that only we hold, and it stops when that closes. It sits in a
//! process group of its own, as Ctrl-C in a terminal goes to the whole group and must not take the target away from
//! devices that are still in flight.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::domain::Transport;
use crate::rig::machine::process::Other;
use crate::rig::metrics::otlp::SECRETS;
use crate::rig::target::GROUP_KEY_ENV;
use crate::rig::target::{Connection, ConnectionError};
use crate::scenario::Fleet;

/// Longest time until the emulator is ready: it makes its keys first.
const START_LIMIT: Duration = Duration::from_secs(30);
/// Longest time that it may take to end when asked to.
const STOP_LIMIT: Duration = Duration::from_secs(5);
/// Longest ready line in bytes.
const READY_LIMIT: u64 = 64 * 1024;
/// How much of its stderr is kept: the last bytes.
const STDERR_KEPT: usize = 16 * 1024;

/// A running embedded emulator.
#[derive(Debug)]
pub struct Embedded {
    child: Reaped,
    /// Lines on it lead the emulator; when it closes the emulator ends.
    stdin: Option<File>,
    // Held open, or the emulator would meet a broken pipe.
    _stdout: BufReader<tokio::io::Take<ChildStdout>>,
    stderr: LastWords,
    connection: Connection,
}

/// The embedded emulator did not start.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum EmbeddedError {
    /// The process could not be started.
    #[error("cannot start the embedded emulator: {0}")]
    #[diagnostic(help(
        "start one yourself with `fleetstorm emulator --connection-file FILE`, then `run --target FILE`"
    ))]
    Spawn(#[source] std::io::Error),
    /// It ended before it was ready.
    #[error("the embedded emulator did not start ({status}){said}")]
    #[diagnostic(help("run `fleetstorm emulator` alone to look at it; --emulator-config FILE changes its settings"))]
    Ended {
        /// How it ended.
        status: String,
        /// Its stderr.
        said: String,
    },
    /// It was not ready in time.
    #[error("the embedded emulator was not ready after {} s{said}", START_LIMIT.as_secs())]
    #[diagnostic(help("run `fleetstorm emulator` alone to look at it"))]
    Late {
        /// Its stderr.
        said: String,
    },
    /// Its first line is not a description of endpoints.
    #[error("the embedded emulator said something unexpected: {0}")]
    #[diagnostic(help("this is a defect of fleetstorm, please report it"))]
    Unexpected(#[source] ConnectionError),
}

impl Embedded {
    /// Starts the emulator, of another `binary` than this process's when there is one, on free ports of loopback, with what the fleet needs, and waits until it is ready. `config` is a
    /// file as for `fleetstorm emulator --config`; it is not looked at any more afterwards.
    ///
    /// # Errors
    /// It does not start, or is not ready within 30 s.
    pub async fn start(binary: Option<&Path>, config: &Path, fleet: &Fleet) -> Result<Self, EmbeddedError> {
        let binary = binary.map_or_else(std::env::current_exe, |binary| Ok(binary.to_owned()));
        let binary = binary.map_err(EmbeddedError::Spawn)?;
        let mut command = Command::new(binary);
        command.args(["emulator", "--json", "--no-color", "--parent-pipe", "--mqtt-port", "0"]);
        command.args(["--management-port", "off", "--https-port"]);
        command.arg(if fleet.any(|class| class.transport != Transport::Mqtt) { "0" } else { "off" });
        command.arg("--config").arg(config);
        for secret in SECRETS.into_iter().chain([GROUP_KEY_ENV]) {
            command.env_remove(secret);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = Reaped(command.spawn().map_err(EmbeddedError::Spawn)?);
        let stdin = child.0.stdin.take().map(ChildStdin::into_owned_fd).transpose().map_err(EmbeddedError::Spawn)?;
        let stdin = stdin.map(File::from);
        let (Some(stdout), Some(stderr)) = (child.0.stdout.take(), child.0.stderr.take()) else {
            unreachable!("both are pipes");
        };
        let stderr = LastWords::listen(stderr);
        let mut stdout = BufReader::new(stdout.take(READY_LIMIT));
        let mut line = String::new();
        match timeout(START_LIMIT, stdout.read_line(&mut line)).await {
            Err(_) => return Err(EmbeddedError::Late { said: stderr.quoted() }),
            Ok(Ok(read)) if read > 0 => {}
            // End of file: it is ending or has ended.
            Ok(_) => {
                let status = match timeout(STOP_LIMIT, child.0.wait()).await {
                    Ok(Ok(status)) => status.to_string(),
                    Ok(Err(_)) | Err(_) => "it closed its stdout".to_owned(),
                };
                return Err(EmbeddedError::Ended { status, said: stderr.finish().await });
            }
        }
        let connection = Connection::parse(&line).map_err(EmbeddedError::Unexpected)?;
        Ok(Self { child, stdin, _stdout: stdout, stderr, connection })
    }

    /// Where to find it.
    pub const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Its process, to see what it uses; `None` when it has ended, or when the system does not tell.
    pub fn process(&self) -> Option<Other> {
        Other::running(self.child.0.id()?)
    }

    /// What tells the emulator that the measured part of a run began; once for each run.
    ///
    /// # Errors
    /// The pipe to it cannot be used a second time.
    pub fn begin(&self) -> std::io::Result<impl FnOnce(SystemTime) + Send + 'static> {
        let pipe = self.stdin.as_ref().map(File::try_clone).transpose()?;
        Ok(move |moment: SystemTime| {
            let since_1970 = moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            if let Some(mut pipe) = pipe {
                // Fits into any pipe, so it never waits. An emulator that is gone is told by its end.
                let _ = writeln!(pipe, "begin {}", since_1970.as_nanos());
            }
        })
    }

    /// Waits until it ends by itself, which it should not. May be dropped and called again.
    pub async fn ended(&mut self) -> String {
        match self.child.0.wait().await {
            Ok(status) => described(status),
            Err(error) => format!("lost: {error}"),
        }
    }

    /// What it last said on stderr, ready to be appended to a message.
    pub fn last_words(&self) -> String {
        self.stderr.quoted()
    }

    /// Ends it and waits for its end.
    pub async fn stop(mut self) {
        drop(self.stdin.take());
        // When it does not end by itself, dropping it kills it.
        let _ = timeout(STOP_LIMIT, self.child.0.wait()).await;
    }
}

/// A child that is neither left running nor left as a zombie, whatever way we take out.
#[derive(Debug)]
struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        // A killed process is gone within a moment; waiting for it any longer helps nobody.
        for _ in 0..200 {
            match self.0.try_wait() {
                Ok(None) => {
                    let _ = self.0.start_kill();
                    std::thread::sleep(Duration::from_millis(5));
                }
                Ok(Some(_)) | Err(_) => return,
            }
        }
    }
}

fn described(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match status.signal() {
        Some(signal) => format!("killed by signal {signal}"),
        None => status.to_string(),
    }
}

/// The end of a child's stderr, in bounded memory.
#[derive(Debug)]
struct LastWords {
    kept: Arc<Mutex<VecDeque<u8>>>,
    listener: JoinHandle<()>,
}

impl LastWords {
    fn listen(mut stderr: ChildStderr) -> Self {
        let kept = Arc::new(Mutex::new(VecDeque::with_capacity(STDERR_KEPT)));
        let keep = Arc::clone(&kept);
        let listener = tokio::spawn(async move {
            let mut buffer = [0; 4096];
            // A read error means that the child is gone, as does the end of the stream.
            while let Ok(read @ 1..) = stderr.read(&mut buffer).await {
                let mut kept = keep.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend(buffer.iter().take(read));
                let excess = kept.len().saturating_sub(STDERR_KEPT);
                kept.drain(..excess);
            }
        });
        Self { kept, listener }
    }

    /// Everything until the stream ends, as it does with the child.
    async fn finish(self) -> String {
        let Self { kept, listener } = self;
        // Cut short only when a grandchild keeps the stream open.
        let _ = timeout(STOP_LIMIT, listener).await;
        quoted(&kept)
    }

    fn quoted(&self) -> String {
        quoted(&self.kept)
    }
}

fn quoted(kept: &Mutex<VecDeque<u8>>) -> String {
    let bytes: Vec<u8> = kept.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect();
    let text = String::from_utf8_lossy(&bytes);
    if text.trim().is_empty() { String::new() } else { format!(":\n{}", text.trim_end()) }
}
