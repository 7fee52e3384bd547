//! One row per attempt, written while the run goes on: `devices.csv`. Its columns are documented in the README and held by
//! a snapshot test, as those of the other files.

mod csv;

pub use csv::CsvRows;

use std::time::SystemTime;

use crate::domain::RegistrationId;
use crate::scenario::{IdPattern, Scenario};

/// What rows are told with that attempts do not know themselves.
#[derive(Debug, Clone)]
pub struct RowNames {
    stages: Vec<String>,
    ids: IdPattern,
    /// Start of the measured part.
    started_at: SystemTime,
}

impl RowNames {
    /// Of a run of `scenario` whose measured part started then.
    pub fn new(scenario: &Scenario, started_at: SystemTime) -> Self {
        let stages = scenario.stages.iter().map(|stage| stage.name.clone()).collect();
        Self { stages, ids: scenario.fleet.registration_id.clone(), started_at }
    }

    fn stage(&self, index: u16) -> &str {
        self.stages.get(usize::from(index)).map_or("", String::as_str)
    }

    /// `None` never occurs: a scenario is checked to have an id for every device.
    fn registration_id(&self, device: u32) -> Option<RegistrationId> {
        self.ids.registration_id(device).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::{FailureClass, Phase};
    use crate::measure::{Attempt, Outcome, PhaseTimes};

    fn names() -> RowNames {
        let text = "schema = 1\nname = 'test'\nfleet = { devices = 9, registration_id = 'd-{index:03}' }\n\
                    [[stage]]\nname = 'storm'\nkind = 'provision'\narrival = 'at-once'\n";
        let scenario = Scenario::parse("test.toml", text, &[]).unwrap();
        RowNames::new(&scenario, SystemTime::UNIX_EPOCH + Duration::from_secs(1_740_821_400))
    }

    fn attempts() -> [Attempt; 2] {
        let mut phases = PhaseTimes::new();
        phases.set(Phase::Queued, Duration::from_nanos(1_499));
        phases.set(Phase::TotalRaw, Duration::from_millis(250));
        let refused = Attempt {
            device: 7,
            stage: 0,
            number: 1,
            due: Duration::from_millis(1_500),
            started: Duration::from_nanos(1_500_001_499),
            ended: Duration::from_nanos(1_750_001_499),
            phases,
            outcome: Outcome::Failed(FailureClass::Throttled),
            code: 429_001,
            polls: 3,
            throttled: 2,
        };
        phases.set(Phase::Total, Duration::from_secs(3_700));
        [refused, Attempt { number: 2, outcome: Outcome::Success, code: 0, phases, ..refused }]
    }

    #[test]
    fn devices_csv() {
        let mut rows = CsvRows::new(Vec::new(), names()).unwrap();
        attempts().iter().for_each(|attempt| rows.write(attempt).unwrap());
        insta::assert_snapshot!("devices.csv", String::from_utf8(rows.finish().unwrap()).unwrap());
    }
}
