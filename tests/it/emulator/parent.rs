//! An emulator that is led by its parent, through the pipe on its stdin.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use super::process::Process;

struct Led(Process);

impl Led {
    fn start(args: &[&str]) -> Self {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("fleetstorm"));
        command.args(["emulator", "--json", "--parent-pipe", "--mqtt-port", "0", "--https-port", "off"]).args(args);
        Self(Process::start(command.stdin(Stdio::piped()).stderr(Stdio::piped())))
    }

    fn say(&mut self, text: &str) {
        self.0.child.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// What time it is for the emulator.
    fn clock(&self) -> SystemTime {
        let now: Timestamp = self.0.asked("/clock")["now"].as_str().unwrap().parse().unwrap();
        SystemTime::UNIX_EPOCH + Duration::from_nanos(u64::try_from(now.as_nanosecond()).unwrap())
    }
}

#[test]
fn the_clock_runs_faster_from_the_moment_that_the_parent_names_and_the_end_of_the_pipe_is_the_end() {
    const DAY: Duration = Duration::from_secs(86_400);
    let mut emulator = Led::start(&["--time-scale", "86400"]);
    assert!(emulator.clock().duration_since(SystemTime::now()).unwrap_or_default() < DAY, "it has not begun");
    // Ten days ago, in fleet time.
    let anchor = SystemTime::now() - Duration::from_secs(10);
    let begin = |at: SystemTime| format!("begin {}\n", at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos());
    emulator.say("faster\n");
    emulator.say(&begin(anchor));
    // It is told by another thread.
    while emulator.clock() < anchor + 10 * DAY {
        std::thread::yield_now();
    }
    // Another run, which begins in an hour: until then no time passes faster.
    emulator.say(&begin(SystemTime::now() + Duration::from_secs(3_600)));
    while emulator.clock() > anchor + DAY {
        std::thread::yield_now();
    }
    let said = emulator.0.end();
    assert!(said.contains("\"faster\" is not understood"), "{said}");
}
