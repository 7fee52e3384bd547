use serde::{Deserialize, Serialize};

use crate::measure::{MOST_VALUES, ThresholdResult};
use crate::report::json::values::Micros;
use crate::report::observed::Value;

/// What became of a threshold.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Threshold {
    threshold: String,
    met: bool,
    /// Absent when there was nothing to look at.
    observed: Option<f64>,
    unit: Option<String>,
    /// When it stopped the run.
    stopped_at_us: Option<Micros>,
}

impl Threshold {
    pub(super) fn of(result: &ThresholdResult) -> Self {
        let ThresholdResult { text, observed, met, stopped_at } = result;
        let (observed, unit) = observed.map(Value::of).map(|value| (value.number, value.unit.to_owned())).unzip();
        Self { threshold: text.clone(), met: *met, observed, unit, stopped_at_us: stopped_at.map(Micros) }
    }

    pub(super) fn into_result(self) -> Result<ThresholdResult, String> {
        let Self { threshold: text, met, observed, unit, stopped_at_us } = self;
        let observed = match (observed, unit.as_deref()) {
            (None, None) => Some(None),
            (Some(number), Some(unit)) if unit != "us" || number <= MOST_VALUES as f64 => {
                Value::quantity(number, unit).map(Some)
            }
            _ => None,
        };
        let observed = observed.ok_or_else(|| format!("threshold {text:?}: what was observed makes no sense"))?;
        Ok(ThresholdResult { text, observed, met, stopped_at: stopped_at_us.map(|at| at.0) })
    }
}
