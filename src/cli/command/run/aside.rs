use std::time::Duration;

use tokio::sync::watch;

use crate::cli::command::run::rows::RowsFile;
use crate::cli::metrics::{Bound, Endpoint, Facts, MetricsAddress};
use crate::cli::process::ChildProcess;
use crate::cli::{CommandError, Terminal};
use crate::domain::{Origin, Setting};
use crate::engine::{Plan, Progress};
use crate::report::ResultsFolder;
use crate::report::console::wrapped;
use crate::report::rows::RowFormat;
use crate::scenario::Scenario;

/// What a run tells beside its results: rows of attempts, metrics while it goes on.
#[derive(Debug)]
pub(super) struct Aside {
    pub(super) rows: Option<RowsFile>,
    metrics: Option<Bound>,
    /// To be told when it was started.
    pub(super) emulator: ChildProcess,
    settings: Vec<Setting>,
}

impl Aside {
    /// Takes the port and makes the file, so that neither fails in the middle of a run.
    pub(super) fn new(
        (devices, metrics): (Option<RowFormat>, Option<MetricsAddress>),
        folder: &ResultsFolder,
        scenario: &Scenario,
        terminal: &Terminal,
    ) -> Result<Self, CommandError> {
        let given = [
            ("devices", devices.map(|format| format.name().to_owned())),
            ("metrics", metrics.map(|at| at.to_string())),
        ];
        let settings = given
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?)))
            .map(|(key, value)| Setting { key: format!("run.{key}"), value, origin: Origin::CommandLine })
            .collect();
        let metrics = metrics.map(Bound::new).transpose()?;
        let rows = devices.map(|format| RowsFile::create(format, folder, scenario)).transpose()?;
        if let Some(bound) = &metrics {
            terminal.note(format!("metrics at {}", bound.url()));
            if !bound.is_loopback() {
                let warning = "whoever reaches that address can read the metrics; they name the scenario, no device";
                terminal.note(wrapped("note: ", warning));
            }
        }
        Ok(Self { rows, metrics, emulator: ChildProcess::default(), settings })
    }

    /// What was asked for, for the record.
    pub(super) fn settings(&self) -> Vec<Setting> {
        self.settings.clone()
    }

    /// Metrics can be read from now on.
    pub(super) fn serve(
        &mut self,
        scenario: &Scenario,
        plan: &Plan,
        newest: &watch::Receiver<Progress>,
    ) -> Result<Option<Endpoint>, CommandError> {
        let Some(bound) = self.metrics.take() else { return Ok(None) };
        let facts = Facts::new(scenario, plan, self.rows.as_ref().map(RowsFile::lost), self.emulator.clone());
        Ok(Some(bound.serve(facts, newest.clone())?))
    }
}

/// Keeps the endpoint until its last values were read, for at most `linger`, or until the user wants to go.
pub(super) async fn close(endpoint: Endpoint, linger: Duration, terminal: &Terminal) -> Result<(), CommandError> {
    if !linger.is_zero() {
        let time = humantime::format_duration(linger);
        terminal.note(format!("waiting until the metrics were read once more, for at most {time}"));
    }
    let mut interrupts = super::interrupts::Interrupts::listen()?;
    let _ = interrupts.unless(endpoint.close(linger)).await;
    Ok(())
}
