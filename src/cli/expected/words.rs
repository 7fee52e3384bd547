use std::time::Duration;

use super::cost::DOCUMENTED_MACHINE;
use super::{Cost, Expected, ExpectedStage, Rate, Source};
use crate::report::units;

impl Expected {
    /// What this machine is expected to do in a stage, in words.
    pub fn words(&self, stage: &ExpectedStage) -> String {
        let Some(Rate { per_second, bounds, cost }) = &stage.rate else {
            return "not known what this machine can do in such a stage: no earlier run on it had one alike with enough to do, and nothing is \
                    documented for it"
                .to_owned();
        };
        let Cost { generator, emulator, source } = cost;
        let sides = match emulator {
            Some(emulator) => format!(
                "{} of CPU of the generator and {} of the emulator for each device",
                units::duration(*generator),
                units::duration(*emulator)
            ),
            None => format!(
                "{} of CPU of the generator for each device; a target that runs on this machine takes more",
                units::duration(*generator)
            ),
        };
        let [least, most] = bounds.map(whole);
        let known = match source {
            Source::Runs { runs: 1, .. } => "as one earlier run on this machine took".to_owned(),
            Source::Runs { runs, .. } => {
                format!("as {runs} earlier runs on this machine took, which make it {least} to {most}/s")
            }
            Source::Documented => format!(
                "as documented for an {DOCUMENTED_MACHINE}; this machine may be twice as fast or as slow, {least} to {most}/s, which a run \
                 on it tells"
            ),
        };
        format!(
            "expected to do about {}/s with two thirds of {} cores to itself: {sides}, {known}",
            whole(*per_second),
            units::cores(self.cores)
        )
    }
}

impl ExpectedStage {
    /// What must be known when this machine is not expected to keep up with it.
    pub fn warning(&self) -> Option<String> {
        warning(self)
    }
}

/// What must be known of a stage with which the machine is not expected to keep up.
fn warning(stage: &ExpectedStage) -> Option<String> {
    let (Some(false), Some(behind), Some(rate)) = (stage.keeps_up(), stage.behind, &stage.rate) else { return None };
    let (name, behind_words) = (&stage.name, units::duration(behind));
    let about = whole(rate.per_second);
    let own = "latencies, rates and retries will be those of this machine, not of the service";
    if stage.at_once {
        return Some(format!(
            "{name}: everybody comes at once, and this machine is expected to do about {about}/s: it needs about {behind_words} for them, and \
             {own}"
        ));
    }
    let peak = stage.peak.map(|peak| units::count(peak.into())).unwrap_or_default();
    let dropped = match stage.max_lateness {
        Some(late) if behind > late => {
            format!(", and devices that cannot start within max_lateness ({}) are dropped", units::duration(late))
        }
        _ => String::new(),
    };
    let enough = Duration::from_secs_f64((f64::from(stage.devices) / rate.per_second).min(1e9));
    let enough = units::duration(enough);
    Some(format!(
        "WARNING: {name} asks for up to {peak} devices in one second, and this machine is expected to do about {about}/s: it falls behind by up \
         to {behind_words}. Then {own}{dropped}. Spread its {} devices over {enough} or more, use more cores, or divide the run into shards on \
         several machines",
        units::count(stage.devices.into())
    ))
}

fn whole(per_second: f64) -> String {
    if per_second < 10.0 { format!("{per_second:.1}") } else { units::count(per_second.round() as u64) }
}
