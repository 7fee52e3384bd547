//! A process of the emulator, for tests of what only a process shows.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// It is killed when it is dropped, which is no harm when it has ended by itself.
pub(super) struct Process {
    pub(super) child: Child,
    /// What it said of itself when it was ready.
    pub(super) described: Value,
}

impl Drop for Process {
    fn drop(&mut self) {
        // SIGKILL: nothing can be tidied up.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    /// Starts it, without the keys of whoever runs the tests, and waits until it is ready. The command asks for `--json`.
    pub(super) fn start(command: &mut Command) -> Self {
        let mut child = command.env_remove("FLEETSTORM_GROUP_KEY").stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, described: serde_json::from_str(&line).unwrap() }
    }

    /// One of the texts of what it said.
    pub(super) fn text(&self, name: &str) -> &str {
        self.described[name].as_str().unwrap()
    }

    /// What its control plane answers to GET.
    pub(super) fn asked(&self, path: &str) -> Value {
        let token = fs::read_to_string(self.text("management_token_file")).unwrap();
        let mut stream = TcpStream::connect(self.text("management")).unwrap();
        let head =
            format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    /// Closes the pipe by which its parent led it; what it said on stderr until its end, which is a good one.
    pub(super) fn end(&mut self) -> String {
        drop(self.child.stdin.take());
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0), "{said}");
        said
    }
}
