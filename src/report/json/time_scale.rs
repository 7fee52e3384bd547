use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::{FleetTime, TimeScale};
use crate::report::json::values::Micros;

/// How fast the fleet's life passed.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Scale {
    /// As a scenario says it; exact where the factor is not.
    text: Option<String>,
    /// Fleet seconds per real second.
    factor: Option<f64>,
    /// So much of the fleet's time passes in `real_us`.
    fleet_us: Option<Micros>,
    real_us: Option<Micros>,
}

impl Scale {
    pub(super) fn of(scale: TimeScale) -> Self {
        Self {
            text: Some(scale.to_string()),
            factor: Some(scale.factor()),
            fleet_us: Some(Micros(scale.fleet().length())),
            real_us: Some(Micros(scale.real())),
        }
    }

    pub(super) fn into_scale(self) -> Result<TimeScale, String> {
        let Self { text, factor, fleet_us, real_us } = self;
        let exact = fleet_us.zip(real_us).map(|(fleet, real)| (fleet.0, real.0));
        // The first records with a scale had these two alone.
        let told = || {
            let (fleet, real) = text.as_deref()?.split_once('=')?;
            humantime::parse_duration(fleet.trim()).ok().zip(humantime::parse_duration(real.trim()).ok())
        };
        let factor = || Some((Duration::try_from_secs_f64(factor?).ok()?, Duration::from_secs(1)));
        exact
            .or_else(told)
            .or_else(factor)
            .and_then(|(fleet, real)| TimeScale::new(FleetTime::new(fleet), real))
            .ok_or_else(|| "time_scale is none that a scenario may have".to_owned())
    }
}
