//! Who watches a run: they see it and never disturb it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::SystemTime;

use crossbeam_channel::Sender;
use tokio::sync::{mpsc, watch};

use crate::domain::Setting;
use crate::engine::{Plan, Progress, RowSink};
use crate::report::ResultsFolder;
use crate::rig::machine::Scarcity;
use crate::rig::machine::process::ChildProcess;
use crate::rig::metrics::otlp::{OtlpSettings, Pusher};
use crate::rig::metrics::{Bound, MetricsEndpoint, MetricsError, RunFacts};
use crate::rig::rows::RowsFile;
use crate::rig::target::setting;
use crate::scenario::Scenario;

/// What whoever looks on is shown of a run.
#[derive(Debug, Clone, Copy)]
pub enum Observation<'a> {
    /// How far it is, about five times a second.
    Progress(&'a Progress),
    /// What must be known at once of those who watch.
    Note(&'a str),
    /// How it comes to its end before its time; one or more lines.
    Words(&'a str),
}

/// Whoever looks on while a run goes on. It must return soon, and its panic ends the run.
pub type Onlooker = Box<dyn FnMut(Observation<'_>)>;

/// All who watch one run; nobody unless they are named.
#[derive(Default)]
pub struct Observers {
    /// Looks on, until all is measured.
    pub onlooker: Option<Onlooker>,
    /// Whether progress tells how the times of every phase are distributed; it does so anyway with metrics.
    pub distributions: bool,
    /// Whether is looked every second at what the processes use, and by whom it is told how scarce cores are. Means nothing in
    /// virtual time.
    pub resources: Option<Scarcity>,
    /// Takes `partial.json`, what was measured so far, about twice a second: what is left when the run is killed or breaks.
    pub folder: Option<Arc<ResultsFolder>>,
    /// Where every attempt goes.
    pub rows: Option<Rows>,
    /// Where metrics can be read.
    pub metrics: Option<Bound>,
    /// Whom metrics are pushed to.
    pub otlp: Option<OtlpSettings>,
    /// What was asked for of all this, for the record; what holds of `otlp` is added by itself.
    pub settings: Vec<Setting>,
    /// Where the last metrics can be read once the run is over, until it is closed; put there by the run.
    pub endpoint: Option<MetricsEndpoint>,
}

/// Where attempts go, one by one.
#[derive(Debug)]
pub enum Rows {
    /// To a file of the results.
    File(RowsFile),
    /// To somebody else.
    Sink(RowSink),
}

impl Rows {
    /// How many were lost so far of those that go to a file.
    pub(super) fn lost(&self) -> Option<Arc<AtomicU64>> {
        match self {
            Self::File(file) => Some(file.lost()),
            Self::Sink(_) => None,
        }
    }

    /// To be told when the measured part begins; once.
    pub(super) fn begin(&mut self) -> Option<Sender<SystemTime>> {
        match self {
            Self::File(file) => file.begin(),
            Self::Sink(_) => None,
        }
    }

    /// Where the engine is to put attempts.
    pub(super) fn sink(&mut self) -> Option<RowSink> {
        match self {
            Self::File(file) => file.sink(),
            Self::Sink(sink) => Some(sink.clone()),
        }
    }
}

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { onlooker, distributions, resources, folder, rows, metrics, otlp, settings, endpoint } = self;
        f.debug_struct("Observers")
            .field("onlooker", &onlooker.is_some())
            .field("distributions", distributions)
            .field("resources", resources)
            .field("folder", folder)
            .field("rows", rows)
            .field("metrics", metrics)
            .field("otlp", otlp)
            .field("settings", settings)
            .field("endpoint", endpoint)
            .finish()
    }
}

impl Observers {
    /// Metrics can be read from now on, and are pushed. What must be known of the pushes at once is sent to `tell`.
    pub(super) fn tell_metrics(
        &mut self,
        (scenario, plan): (&Scenario, &Plan),
        newest: &watch::Receiver<Progress>,
        emulator: ChildProcess,
        tell: mpsc::Sender<String>,
    ) -> Result<Tellers, MetricsError> {
        let lost = self.rows.as_ref().and_then(Rows::lost);
        let facts = Arc::new(RunFacts::new(scenario, plan, lost, emulator));
        let serve = |bound: Bound| bound.serve(Arc::clone(&facts), newest.clone());
        let endpoint = self.metrics.take().map(serve).transpose()?;
        let otlp = self.otlp.take();
        self.settings.extend(otlp.iter().flat_map(OtlpSettings::settings).cloned());
        let start = |settings| Pusher::start(settings, Arc::clone(&facts), newest.clone(), tell);
        Ok(Tellers { endpoint, pusher: otlp.map(start) })
    }
}

/// A setting that says what was asked for of those who watch.
pub fn observing(key: &str, value: impl fmt::Display) -> Setting {
    setting(key, value.to_string())
}

/// Who tells how a run goes.
#[derive(Debug)]
pub(super) struct Tellers {
    pub(super) endpoint: Option<MetricsEndpoint>,
    pusher: Option<Pusher>,
}

impl Tellers {
    /// Whether anybody is told.
    pub(super) const fn any(&self) -> bool {
        self.endpoint.is_some() || self.pusher.is_some()
    }

    /// The run is over: pushes what it came to, unless somebody wants to `leave`. Gives what the reader of the results must know.
    pub(super) async fn over(&mut self, leave: impl Future<Output = ()>) -> Vec<String> {
        if let Some(endpoint) = &self.endpoint {
            endpoint.over();
        }
        let Some(pusher) = self.pusher.take() else { return Vec::new() };
        tokio::select! {
            notes = pusher.finish() => notes,
            () = leave => vec!["the last values of the metrics were not pushed: interrupted".to_owned()],
        }
    }
}
