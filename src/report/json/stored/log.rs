//! `latency.hlog`: the distributions of the intervals, in the order in which `run.json` lists them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::measure::{CompactHistogram, Interval, StageRecord};
use crate::report::hlog::tag;

/// The intervals of one stage, to be filled in.
pub(super) struct Latencies<'a> {
    tag: String,
    intervals: &'a mut [Interval],
}

impl<'a> Latencies<'a> {
    pub(super) fn of(stage: &'a mut StageRecord) -> Self {
        Self { tag: tag(&stage.name), intervals: &mut stage.intervals }
    }
}

/// Most bytes that all distributions of a run may take.
const MOST_BYTES: usize = 1 << 30;

/// Reads the log. It must hold exactly the intervals of `stages`, in their order.
pub(super) fn read(text: &str, stages: &mut [Latencies<'_>]) -> Result<(), String> {
    // Comments begin with a number sign, the header with a quotation mark.
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with(['#', '"']));
    let mut taken = 0;
    for stage in stages {
        for interval in &mut *stage.intervals {
            let (number, line) = lines.next().ok_or("it ends before the intervals of run.json do")?;
            let wrong = |reason: &str| format!("line {}: {reason}", number + 1);
            let (tag, rest) = line
                .strip_prefix("Tag=")
                .and_then(|line| line.split_once(','))
                .ok_or_else(|| wrong("there is no tag"))?;
            let [start, _, _, encoded] =
                rest.split(',').collect::<Vec<_>>().try_into().map_err(|_| wrong("it has not five fields"))?;
            let belongs = tag == stage.tag
                && start.parse::<f64>().is_ok_and(|start| (start - interval.start.as_secs_f64()).abs() < 0.01);
            if !belongs {
                return Err(wrong(&format!(
                    "run.json has the interval of {} at {:.3} s here",
                    stage.tag,
                    interval.start.as_secs_f64()
                )));
            }
            let bytes = STANDARD.decode(encoded).map_err(|error| wrong(&error.to_string()))?;
            let aside = interval.total.aside();
            interval.total = CompactHistogram::from_v2(&bytes, aside).map_err(|error| wrong(&error.to_string()))?;
            taken += interval.total.as_v2().len();
            if taken > MOST_BYTES {
                return Err(wrong("the distributions take more memory than those of any run"));
            }
        }
    }
    match lines.next() {
        Some((number, _)) => Err(format!("line {}: run.json has no such interval", number + 1)),
        None => Ok(()),
    }
}
