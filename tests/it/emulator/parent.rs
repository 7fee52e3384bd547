//! An emulator that is led by its parent, through the pipe on its stdin.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde_json::Value;

struct Led {
    child: Child,
    described: Value,
}

impl Drop for Led {
    fn drop(&mut self) {
        // It has ended already unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Led {
    fn start(args: &[&str]) -> Self {
        let mut child = Command::new(assert_cmd::cargo::cargo_bin!("fleetstorm"))
            .args(["emulator", "--json", "--parent-pipe", "--mqtt-port", "0", "--https-port", "off"])
            .args(args)
            .env_remove("FLEETSTORM_GROUP_KEY")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, described: serde_json::from_str(&line).unwrap() }
    }

    fn say(&mut self, text: &str) {
        self.child.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// What time it is for the emulator.
    fn clock(&self) -> SystemTime {
        let text = |name: &str| self.described[name].as_str().unwrap();
        let token = fs::read_to_string(text("management_token_file")).unwrap();
        let mut stream = TcpStream::connect(text("management")).unwrap();
        let head =
            format!("GET /clock HTTP/1.1\r\nHost: h\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let body: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        let now: Timestamp = body["now"].as_str().unwrap().parse().unwrap();
        SystemTime::UNIX_EPOCH + Duration::from_nanos(u64::try_from(now.as_nanosecond()).unwrap())
    }

    /// Closes the pipe; what it said on stderr until its end.
    fn end(mut self) -> String {
        drop(self.child.stdin.take());
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(self.child.wait().unwrap().success(), "{said}");
        said
    }
}

#[test]
fn the_clock_runs_faster_from_the_moment_that_the_parent_names_and_the_end_of_the_pipe_is_the_end() {
    const DAY: Duration = Duration::from_secs(86_400);
    let mut emulator = Led::start(&["--time-scale", "86400"]);
    assert!(emulator.clock().duration_since(SystemTime::now()).unwrap_or_default() < DAY, "it has not begun");
    // Ten days ago, in fleet time.
    let anchor = SystemTime::now() - Duration::from_secs(10);
    let nanoseconds = anchor.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
    emulator.say(&format!("faster\nbegin {nanoseconds}\nbegin 5\n"));
    // It is told by another thread.
    while emulator.clock() < anchor + 10 * DAY {
        std::thread::yield_now();
    }
    let said = emulator.end();
    assert!(said.contains("\"faster\" is not understood") && said.contains("`begin` came before"), "{said}");
}
