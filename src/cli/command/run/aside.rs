use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::cli::metrics::{MetricsAddress, OtlpArgs};
use crate::cli::secrets;
use crate::cli::signals::StopSignals;
use crate::cli::{CommandError, Terminal};
use crate::domain::{Origin, Setting};
use crate::engine::{Plan, Progress};
use crate::report::ResultsFolder;
use crate::report::console::wrapped;
use crate::report::rows::RowFormat;
use crate::rig::machine::process::ChildProcess;
use crate::rig::metrics::otlp::{OtlpSettings, Pusher};
use crate::rig::metrics::{Bound, Endpoint, Facts};
use crate::rig::rows::RowsFile;
use crate::scenario::Scenario;

/// What a run tells beside its results: rows of attempts, metrics while it goes on.
#[derive(Debug)]
pub(super) struct Aside {
    pub(super) rows: Option<RowsFile>,
    metrics: Option<Bound>,
    /// To be told when it was started.
    pub(super) emulator: ChildProcess,
    otlp: Option<OtlpSettings>,
    settings: Vec<Setting>,
}

/// What of it was asked for.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) devices: Option<RowFormat>,
    pub(super) metrics: Option<MetricsAddress>,
    pub(super) otlp: OtlpArgs,
}

/// Who tells how a run goes.
#[derive(Debug)]
pub(super) struct Tellers {
    pub(super) endpoint: Option<Endpoint>,
    pub(super) pusher: Option<Pusher>,
}

impl Aside {
    /// Takes the port and makes the file, so that neither fails in the middle of a run.
    pub(super) fn new(
        wanted: Wanted,
        folder: &ResultsFolder,
        scenario: &Scenario,
        terminal: &Terminal,
    ) -> Result<Self, CommandError> {
        let Wanted { devices, metrics, otlp } = wanted;
        let given = [
            ("devices", devices.map(|format| format.name().to_owned())),
            ("metrics", metrics.map(|at| at.to_string())),
        ];
        let resolve = |target| OtlpSettings::resolve(target, otlp.otlp_interval, &secrets::variable);
        let otlp = otlp.otlp.map(resolve).transpose()?;
        let settings = given
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?)))
            .map(|(key, value)| Setting { key: format!("run.{key}"), value, origin: Origin::CommandLine })
            .chain(otlp.iter().flat_map(OtlpSettings::settings).cloned())
            .collect();
        let metrics = metrics.map(|MetricsAddress { address, port }| Bound::new(address, port)).transpose()?;
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
        Ok(Self { rows, metrics, otlp, emulator: ChildProcess::default(), settings })
    }

    /// What was asked for, for the record.
    pub(super) fn settings(&self) -> Vec<Setting> {
        self.settings.clone()
    }

    /// Metrics can be read from now on, and are pushed. What the user must know of the pushes at once is sent to `tell`.
    pub(super) fn serve(
        &mut self,
        scenario: &Scenario,
        plan: &Plan,
        newest: &watch::Receiver<Progress>,
        tell: mpsc::Sender<String>,
    ) -> Result<Tellers, CommandError> {
        let lost = self.rows.as_ref().map(RowsFile::lost);
        let facts = Arc::new(Facts::new(scenario, plan, lost, self.emulator.clone()));
        let serve = |bound: Bound| bound.serve(Arc::clone(&facts), newest.clone());
        let endpoint = self.metrics.take().map(serve).transpose()?;
        let start = |settings| Pusher::start(settings, Arc::clone(&facts), newest.clone(), tell);
        Ok(Tellers { endpoint, pusher: self.otlp.take().map(start) })
    }
}

impl Tellers {
    /// Whether anybody is told how times are distributed.
    pub(super) const fn any(&self) -> bool {
        self.endpoint.is_some() || self.pusher.is_some()
    }

    /// The run is over: pushes what it came to, unless the user wants to go. Gives the endpoint, where it can be read, and what
    /// the reader of the results must know.
    pub(super) async fn over(self) -> (Option<Endpoint>, Vec<String>) {
        let Self { endpoint, pusher } = self;
        if let Some(endpoint) = &endpoint {
            endpoint.over();
        }
        let Some(pusher) = pusher else { return (endpoint, Vec::new()) };
        let notes = match StopSignals::listen() {
            Ok(mut interrupts) => interrupts.unless(pusher.finish()).await,
            // It ends by itself, too.
            Err(_) => Some(pusher.finish().await),
        };
        let notes =
            notes.unwrap_or_else(|| vec!["the last values of the metrics were not pushed: interrupted".to_owned()]);
        (endpoint, notes)
    }
}

/// Keeps the endpoint until its last values were read, for at most `linger`, or until the user wants to go.
pub(super) async fn close(endpoint: Endpoint, linger: Duration, terminal: &Terminal) -> Result<(), CommandError> {
    if !linger.is_zero() {
        let time = humantime::format_duration(linger);
        terminal.note(format!("waiting until the metrics were read once more, for at most {time}"));
    }
    let mut interrupts = StopSignals::listen()?;
    let _ = interrupts.unless(endpoint.close(linger)).await;
    Ok(())
}
