//! Scenario files, and settings of the emulator: a file has problems, with their places, or it is a scenario whose devices
//! are due in order.
#![no_main]

use fleetstorm::emulator::Config;
use fleetstorm::engine::Plan;
use fleetstorm::scenario::Scenario;
use libfuzzer_sys::fuzz_target;

/// More due times are not looked at, so that large fleets take no longer.
const SOME: usize = 10_000;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Scenario::parse("fuzz.toml", text, &[]) {
        Ok(scenario) => look_at(&scenario),
        Err(problems) => assert!(!problems.to_string().is_empty()),
    }
    if let Err(problems) = Config::read("fuzz.toml", text) {
        assert!(problems.iter().count() > 0);
    }
});

fn look_at(scenario: &Scenario) {
    if scenario.fleet.devices as usize > SOME {
        return;
    }
    let plan = Plan::new(scenario, 1);
    for stage in 0..scenario.stages.len() {
        let offsets: Vec<_> = plan.schedule.arrivals(stage).take(SOME).collect();
        assert!(offsets.is_sorted(), "due times of a stage are in order");
    }
}
