use serde::{Deserialize, Serialize};

use crate::domain::Known;
use crate::measure::{MOST_VALUES, ThresholdResult};
use crate::report::json::values::Micros;
use crate::report::observed::{Observed, Value};

/// What became of a threshold.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Threshold {
    threshold: String,
    met: bool,
    /// Absent when there was nothing to look at, or it is not known.
    observed: Option<f64>,
    /// What it is above of, when nothing more is known.
    observed_above: Option<f64>,
    unit: Option<String>,
    /// When it stopped the run.
    stopped_at_us: Option<Micros>,
}

impl Threshold {
    pub(super) fn of(result: &ThresholdResult) -> Self {
        let ThresholdResult { text, observed, met, stopped_at } = result;
        let Observed { number, above, unit } = Observed::of(*observed);
        Self {
            threshold: text.clone(),
            met: *met,
            observed: number,
            observed_above: above,
            unit: unit.map(str::to_owned),
            stopped_at_us: stopped_at.map(Micros),
        }
    }

    pub(super) fn into_result(self) -> Result<ThresholdResult, String> {
        let Self { threshold: text, met, observed, observed_above, unit, stopped_at_us } = self;
        let number = match (observed, observed_above) {
            (Some(number), None) => Some(Known::Is(number)),
            (None, Some(least)) => Some(Known::Above(least)),
            (None, None) => None,
            (Some(_), Some(_)) => return Err(format!("threshold {text:?}: what was observed is both known and not")),
        };
        let observed = match (number, unit.as_deref()) {
            (None, None) => Some(None),
            (Some(known), Some(unit)) if unit != "us" || known.least() <= MOST_VALUES as f64 => {
                let quantity = Value::quantity(known.least(), unit);
                quantity.map(|quantity| Some(known.map(|_| quantity)))
            }
            _ => None,
        };
        let observed = observed.ok_or_else(|| format!("threshold {text:?}: what was observed makes no sense"))?;
        Ok(ThresholdResult { text, observed, met, stopped_at: stopped_at_us.map(|at| at.0) })
    }
}
