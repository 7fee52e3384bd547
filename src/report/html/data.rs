use std::io;

use serde::Serialize;

use crate::measure::RunRecord;
use crate::report::html::plots::{self, Plot};
use crate::report::html::series::{self, Columns};
use crate::report::html::{escape, resources, through};

/// What the page's script draws.
#[derive(Debug, Serialize)]
pub(super) struct Data {
    stages: Vec<Stage>,
    run: Run,
    pub(super) plots: Vec<Plot>,
}

#[derive(Debug, Serialize)]
struct Stage {
    time: Columns,
    percentile: Columns,
    through: Columns,
    recovered: Columns,
}

/// Of the run as a whole.
#[derive(Debug, Serialize)]
struct Run {
    time: Columns,
    expiry: Columns,
}

impl Data {
    pub(super) fn of(record: &RunRecord) -> Self {
        let run = Run { time: resources::columns(record), expiry: series::expiry(record.certificates.as_ref()) };
        let mut data = Self { stages: Vec::new(), run, plots: Vec::new() };
        for (position, stage) in record.stages.iter().enumerate() {
            let time = series::over_time(stage, record.stages.len());
            let percentile = series::percentiles(stage);
            // What the stage came to goes first.
            let [through, recovered] = through::OF.map(|(phase, kind)| {
                let columns = through::columns(stage, phase);
                data.plots.extend(through::plot(position, stage, phase, &kind, &columns));
                columns
            });
            data.plots.extend(plots::over_time(position, &time));
            data.plots.extend(plots::curve(position, &percentile));
            data.stages.push(Stage { time, percentile, through, recovered });
        }
        data.plots.extend(resources::plots(record, &data.run.time));
        data.plots.extend(plots::expiry(record, &data.run.expiry));
        data
    }

    /// The plots of one stage, or of the run as a whole, in order.
    pub(super) fn plots_of(&self, stage: Option<usize>) -> impl Iterator<Item = &Plot> {
        self.plots.iter().filter(move |plot| plot.stage == stage)
    }

    /// As JSON that can stand inside of a `<script>`.
    pub(super) fn json(&self) -> io::Result<String> {
        Ok(escape::json(&serde_json::to_string(self)?))
    }
}
