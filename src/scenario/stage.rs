use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use crate::scenario::expect::{boolean, choice, count, duration};
use crate::scenario::file::name_of;
use crate::scenario::reader::Section;
use crate::scenario::{Arrival, arrival};

/// One thing that the whole fleet does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Name in reports, unique in the scenario.
    pub name: String,
    /// What each device does.
    pub kind: StageKind,
    /// How devices come.
    pub workload: Workload,
    /// Longest time for one attempt, from its start until it is given up.
    pub timeout: Duration,
    /// Whether the device connects to its hub once it has its certificate.
    pub hub_connect: bool,
    /// Whether it sends a telemetry message there.
    pub telemetry: bool,
}

/// What each device does in a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StageKind {
    /// Register with DPS, take the issued certificate, connect to the hub with it.
    Provision,
}

impl StageKind {
    /// Every kind.
    pub const ALL: [Self; 1] = [Self::Provision];

    /// The name in scenarios and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Provision => "provision",
        }
    }
}

impl fmt::Display for StageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Who decides when the next device starts.
#[derive(Debug, Clone, PartialEq, Eq)]
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
const KINDS: &[(&str, StageKind)] = &[(StageKind::Provision.name(), StageKind::Provision)];
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
