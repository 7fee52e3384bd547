use std::sync::Arc;

use crate::cli::live::Live;
use crate::cli::metrics::{MetricsAddress, OtlpArgs};
use crate::cli::{CommandError, Terminal, secrets};
use crate::report::ResultsFolder;
use crate::report::console::wrapped;
use crate::report::rows::RowFormat;
use crate::rig::live::About;
use crate::rig::machine::Scarcity;
use crate::rig::metrics::Bound;
use crate::rig::metrics::otlp::OtlpSettings;
use crate::rig::rows::RowsFile;
use crate::rig::{Observation, Observers, Onlooker, Rows, observing};
use crate::scenario::Scenario;

/// What a run is to tell beside its results.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) devices: Option<RowFormat>,
    pub(super) metrics: Option<MetricsAddress>,
    pub(super) otlp: OtlpArgs,
}

impl Wanted {
    /// Takes the port and makes the file, so that neither fails in the middle of a run.
    pub(super) fn observers(
        self,
        folder: &Arc<ResultsFolder>,
        scenario: &Scenario,
        terminal: &Terminal,
    ) -> Result<Observers, CommandError> {
        let Self { devices, metrics: at, otlp } = self;
        let resolve = |target| OtlpSettings::resolve(target, otlp.otlp_interval, &secrets::variable);
        let otlp = otlp.otlp.map(resolve).transpose()?;
        let metrics = at.map(|MetricsAddress { address, port }| Bound::new(address, port)).transpose()?;
        let rows = devices.map(|format| RowsFile::create(format, folder, scenario)).transpose()?;
        if let Some(bound) = &metrics {
            terminal.note(format!("metrics at {}", bound.url()));
            if !bound.is_loopback() {
                let warning = "whoever reaches that address can read the metrics; they name the scenario, no device";
                terminal.note(wrapped("note: ", warning));
            }
        }
        if let Some(otlp) = &otlp {
            terminal.note(otlp.described());
        }
        let asked = devices.map(|format| observing("devices", format.name())).into_iter();
        Ok(Observers {
            onlooker: None,
            distributions: Live::tells_phases(terminal),
            resources: Some(Scarcity::default()),
            folder: Some(Arc::clone(folder)),
            rows: rows.map(Rows::File),
            metrics,
            otlp,
            settings: asked.chain(at.map(|at| observing("metrics", at))).collect(),
            ..Observers::default()
        })
    }
}

/// The display of a run about which `about` is known.
pub(super) fn display(about: About, terminal: &Terminal) -> Onlooker {
    let mut live = Live::new(terminal, about);
    Box::new(move |seen| match seen {
        Observation::Progress(progress) => live.update(progress),
        Observation::Note(words) => live.note(&wrapped("note: ", words)),
        Observation::Words(words) => live.note(words),
    })
}
