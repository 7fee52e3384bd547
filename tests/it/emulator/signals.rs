//! How the command ends: by which signals, and what it leaves.

use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::process::Process;

/// An emulator that was started by a shell, with files of its own.
struct Started(Process);

impl Started {
    /// `launch` is what the shell puts before the command.
    fn by(launch: &str) -> Self {
        let line = format!("{launch} \"$0\" emulator --json --quiet --mqtt-port 0 --https-port off \"$@\"");
        let emulator = assert_cmd::cargo::cargo_bin!("fleetstorm");
        Self(Process::start(Command::new("sh").args(["-c", &line]).arg(emulator)))
    }

    fn send(&self, signal: Signal) {
        kill(Pid::from_raw(self.0.child.id().try_into().unwrap()), signal).unwrap();
    }

    fn folder(&self) -> PathBuf {
        PathBuf::from(self.0.text("group_key_file")).parent().unwrap().to_owned()
    }
}

#[test]
fn every_signal_that_asks_for_the_end_leaves_nothing_behind() {
    for signal in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM] {
        // Whatever those ignore who run this test, such as `nohup`.
        let mut emulator = Started::by("exec env --default-signal");
        let folder = emulator.folder();
        assert!(folder.join("group.key").is_file() && folder.join("management.token").is_file());
        emulator.send(signal);
        assert_eq!(emulator.0.child.wait().unwrap().code(), Some(0), "{signal}");
        assert!(!folder.exists(), "{signal}");
    }
}

#[test]
fn a_signal_that_was_ignored_at_the_start_stays_ignored() {
    // As `nohup` and a shell's `&` have it.
    let mut emulator = Started::by("trap '' HUP INT; exec");
    for signal in [Signal::SIGHUP, Signal::SIGINT] {
        emulator.send(signal);
    }
    TcpStream::connect(emulator.0.text("mqtt")).unwrap();
    assert_eq!(emulator.0.child.try_wait().unwrap(), None);
    let folder = emulator.folder();
    emulator.send(Signal::SIGTERM);
    assert_eq!(emulator.0.child.wait().unwrap().code(), Some(0));
    assert!(!folder.exists());
}

/// The mode of a file or folder.
fn mode(path: impl AsRef<std::path::Path>) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn its_folder_and_its_secrets_are_its_owners_alone_whatever_the_umask() {
    for umask in ["000", "022", "077", "277"] {
        let emulator = Started::by(&format!("umask {umask}; exec"));
        assert_eq!(mode(emulator.folder()), 0o700, "umask {umask}");
        for secret in ["group_key_file", "management_token_file"] {
            assert_eq!(mode(emulator.0.text(secret)) & 0o177, 0, "{secret}, umask {umask}");
        }
        emulator.send(Signal::SIGTERM);
    }
}

#[test]
fn a_kept_state_is_its_owners_alone_whatever_the_umask() {
    let parent = tempfile::tempdir().unwrap();
    for umask in ["000", "022"] {
        let folder = parent.path().join(umask);
        let before = format!("umask {umask}; set -- --state {}", folder.display());
        let emulator = Started::by(&format!("{before}; exec"));
        assert_eq!((mode(&folder), mode(folder.join("state.redb"))), (0o700, 0o600), "umask {umask}");
        assert_eq!((mode(folder.join("group.key")), mode(folder.join("management.token"))), (0o600, 0o600));
        emulator.send(Signal::SIGTERM);
    }
}
