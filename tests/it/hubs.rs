//! Load goes to hubs elsewhere only when somebody has confirmed them, whoever names them.

use fleetstorm::cli::Exit;
use fleetstorm::rig::target::Connection;
use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;
use tempfile::TempDir;

use crate::cli::{code, fleetstorm};
use crate::run::{Emulator, RUN, folder};

/// Nobody is there: whatever was sent would take until a time-out.
const ELSEWHERE: &str = "192.0.2.7";
const CONFIRMED: [&str; 2] = ["--confirm-hub", ELSEWHERE];

/// A run against an emulator that is known by nothing but the name and port of its DPS, as behind a tunnel.
struct Tunnel {
    folder: TempDir,
    connection: Connection,
    _emulator: Emulator,
}

impl Tunnel {
    fn to(more: &[&str]) -> Self {
        let folder = folder("arrival = \"at-once\"", 3);
        let (emulator, ready) = Emulator::start(&folder, more);
        Self { folder, connection: Connection::parse(&ready).unwrap(), _emulator: emulator }
    }

    fn run(&self, out: &str, more: &[&str]) -> assert_cmd::assert::Assert {
        let Connection { mqtt, id_scope, group_key_file, ca_file, .. } = &self.connection;
        let mut command = fleetstorm(self.folder.path());
        command.args(["run", "small.toml", "--quiet", "--out", out, "--id-scope", id_scope]);
        command.args(["--target", &format!("localhost:{}", mqtt.port())]);
        command.arg("--group-key-file").arg(group_key_file).arg("--ca-file").arg(ca_file);
        command.args(more).assert()
    }
}

#[test]
fn a_hub_elsewhere_must_be_confirmed_although_dps_is_here() {
    let tunnel = Tunnel::to(&["--hub-host", ELSEWHERE]);
    let remedy = || contains(format!("the hub {ELSEWHERE} is not on this machine")).and(contains(CONFIRMED.join(" ")));
    for confirmed in [&[][..], &["--confirm-hub", "192.0.2.8"], &["--confirm-id-scope", "0ne00000001"]] {
        tunnel.run("out", confirmed).code(code(Exit::Usage)).stderr(remedy()).stdout("");
    }
    assert!(!tunnel.folder.path().join("out").exists());
    // It is a target elsewhere like any other: its quotas are not exceeded by mistake.
    let few = ["--set", "quotas.certificates_per_minute=2"];
    let refused = tunnel.run("out", &[&CONFIRMED[..], &few].concat()).code(code(Exit::Usage));
    refused.stderr(contains("--above-quota").and(contains("EXCEEDED")));
    // Nobody goes there.
    tunnel
        .run("dps-alone", &["--set", "stage.storm.hub_connect=false"])
        .code(code(Exit::Done))
        .stdout(contains("3 of 3"));
}

#[test]
fn what_counts_is_where_packets_go() {
    let tunnel = Tunnel::to(&["--hub-host", ELSEWHERE]);
    let port = tunnel.connection.mqtt.port();
    // The name is that of another machine, the address is not.
    tunnel
        .run("here", &["--hub-address", &format!("127.0.0.1:{port}")])
        .code(code(Exit::Done))
        .stdout(contains("3 of 3"));
    // An address that is not loopback to look at, and leads to this machine.
    let there = ["--hub-address", &format!("0.0.0.0:{port}")];
    tunnel.run("out", &there).code(code(Exit::Usage)).stderr(contains("--confirm-hub 0.0.0.0"));
    tunnel
        .run("out", &[&there[..], &CONFIRMED].concat())
        .code(code(Exit::Usage))
        .stderr(contains("--confirm-hub 0.0.0.0"));
    let confirmed = [&there[..], &["--confirm-hub", "0.0.0.0"]].concat();
    tunnel.run("there", &confirmed).code(code(Exit::Done)).stdout(contains("3 of 3"));
    // The embedded emulator needs nothing, but that is for the emulator.
    let mut embedded = fleetstorm(tunnel.folder.path());
    embedded.args(RUN).args(["--hub-address", "192.0.2.7:8883"]);
    embedded.assert().code(code(Exit::Usage)).stderr(contains(CONFIRMED.join(" ")));
}
