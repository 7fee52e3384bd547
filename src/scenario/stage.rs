use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use crate::scenario::expect::{boolean, choice, count, duration};
use crate::scenario::file::name_of;
use crate::scenario::reader::Section;
use crate::scenario::{Arrival, arrival};

/// One thing that the fleet does.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// Name in reports, unique in the scenario.
    pub name: String,
    /// What each device does.
    pub kind: StageKind,
    /// When it begins.
    pub start: Start,
    /// Indices of the device classes that take part, in order; all of them unless the scenario says otherwise.
    pub classes: Vec<usize>,
    /// How devices come.
    pub workload: Workload,
    /// Longest time for one attempt, from its start until it is given up (real time).
    pub timeout: Duration,
    /// Whether the device connects to its hub once it has its certificate.
    pub hub_connect: bool,
    /// Whether it sends a telemetry message there.
    pub telemetry: bool,
    /// Whether it stays connected with the hub when the stage is over.
    pub keep_connected: bool,
    /// For [`StageKind::Operate`]: what devices do while they are connected.
    pub operate: Option<Operate>,
}

/// When a stage begins. Delays are fleet time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// So long after the start of the measured part.
    At(Duration),
    /// So long after the end of an earlier stage.
    After {
        /// Its index.
        stage: usize,
        /// How long after.
        delay: Duration,
    },
    /// So long after the start of an earlier stage, beside which it goes on.
    With {
        /// Its index.
        stage: usize,
        /// How long after.
        delay: Duration,
    },
}

/// What devices do while they are connected. Fleet time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operate {
    /// How long the stage lasts, from its start.
    pub duration: Duration,
    /// Time between two telemetry messages of a device; the first comes somewhere within it. `None` sends none.
    pub telemetry_every: Option<Duration>,
}

/// What each device does in a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StageKind {
    /// Register with DPS, take the issued certificate, connect to the hub with it.
    Provision,
    /// Get a new certificate over the hub session, or from DPS when the old one has expired; connect with it.
    Renew,
    /// Connect to the hub with the certificate that the device has; a connection that it holds is given up first.
    Reconnect,
    /// Register with DPS again, although it has a certificate.
    Reprovision,
    /// Be connected with the hub until the stage is over, come back when the connection is lost, send telemetry.
    Operate,
}

impl StageKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Provision, Self::Renew, Self::Reconnect, Self::Reprovision, Self::Operate];

    /// The name in scenarios and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Provision => "provision",
            Self::Renew => "renew",
            Self::Reconnect => "reconnect",
            Self::Reprovision => "reprovision",
            Self::Operate => "operate",
        }
    }

    /// Whether every attempt makes a key and a CSR.
    pub const fn makes_keys(self) -> bool {
        matches!(self, Self::Provision | Self::Renew | Self::Reprovision)
    }

    /// Whether a device needs a credential from an earlier stage to take part.
    pub const fn needs_credential(self) -> bool {
        !matches!(self, Self::Provision)
    }
}

impl fmt::Display for StageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Who decides when the next device starts.
#[derive(Debug, Clone, PartialEq)]
pub enum Workload {
    /// The clock: devices come when they are due, however slow the service is.
    Open {
        /// When they come.
        arrival: Arrival,
        /// What cannot start within this time of its due time is dropped and counted.
        max_lateness: Duration,
    },
    /// The service: a number of slots, each starts the next device when its last one is done.
    Closed {
        /// Number of slots.
        concurrency: u32,
    },
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open { arrival, .. } => write!(f, "open, {arrival}"),
            Self::Closed { concurrency } => write!(f, "closed, {concurrency} at a time"),
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Shape {
    Open,
    Closed,
}

const SHAPES: &[(&str, Shape)] = &[("open", Shape::Open), ("closed", Shape::Closed)];
const KINDS: &[(&str, StageKind)] = &{
    let all = StageKind::ALL;
    [
        (all[0].name(), all[0]),
        (all[1].name(), all[1]),
        (all[2].name(), all[2]),
        (all[3].name(), all[3]),
        (all[4].name(), all[4]),
    ]
};
/// Nothing ever starts at the very moment when it is due.
const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);

/// `names` are those of the stages before; the fleet has `devices`, when that is known.
pub(super) fn read(mut section: Section<'_>, devices: Option<u32>, names: &mut HashSet<String>) -> Option<Stage> {
    let name = section.required("name", &name_of("stage"));
    if let Some(name) = &name
        && !names.insert(name.clone())
    {
        section.problem("name", "is the name of another stage too", "give every stage its own name");
    }
    let kind = section.required("kind", &choice(KINDS));
    let workload = read_workload(&mut section, devices);
    let timeout = section.or("timeout", "2m", &duration(SECOND..=HOUR));
    let hub_connect = section.or("hub_connect", "true", &boolean());
    let telemetry = section.or("telemetry", if hub_connect == Some(false) { "false" } else { "true" }, &boolean());
    if hub_connect == Some(false) && telemetry == Some(true) {
        section.problem(
            "telemetry",
            "needs a connection to the hub, but hub_connect is false",
            "set hub_connect = true or telemetry = false",
        );
    }
    section.finish();
    Some(Stage {
        start: match names.len() {
            0 | 1 => Start::At(Duration::ZERO),
            before => Start::After { stage: before - 2, delay: Duration::ZERO },
        },
        classes: vec![0],
        keep_connected: false,
        operate: None,
        name: name?,
        kind: kind?,
        workload: workload?,
        timeout: timeout?,
        hub_connect: hub_connect?,
        telemetry: telemetry?,
    })
}

fn read_workload(section: &mut Section<'_>, devices: Option<u32>) -> Option<Workload> {
    match section.or("workload", "open", &choice(SHAPES))? {
        Shape::Open => {
            section.refuse("concurrency", "has no meaning in an open workload", "use workload = \"closed\"");
            let max_lateness = section.or("max_lateness", "5s", &duration(MILLISECOND..=HOUR));
            let arrival = if section.has("arrival") {
                arrival::read(section.section("arrival"), devices)
            } else {
                let help = "add arrival = \"at-once\", or arrival = { process = \"constant\", rate = \"100/s\" }";
                section.problem("arrival", "is missing", help);
                None
            };
            Some(Workload::Open { arrival: arrival?, max_lateness: max_lateness? })
        }
        Shape::Closed => {
            let why = "has no meaning in a closed workload, where the service decides when the next device comes";
            section.refuse("arrival", why, "use workload = \"open\", or leave it out");
            section.refuse("max_lateness", why, "use workload = \"open\", or leave it out");
            let concurrency = section.required("concurrency", &count(1..=1_000_000))?;
            Some(Workload::Closed { concurrency })
        }
    }
}
