//! The engine over connections in memory with paused time: every duration comes from the test, so every number in the
//! record can be told in advance.

mod bounds;
mod connections;
mod invariants;
mod loopback;
mod service;
mod snapshots;
mod threads;
mod workloads;

use std::sync::Arc;
use std::time::Duration;

use fleetstorm::device::{MemoryConnector, Settings};
use fleetstorm::engine::{EngineError, EngineOutcome, Execution, Plan, Progress, RunInput, Snapshots, run};
use fleetstorm::scenario::Scenario;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use service::{Answer, Script};

const MS: fn(u64) -> Duration = Duration::from_millis;

/// A scenario of one stage; `lines` are keys of the stage, then whole tables.
fn scenario(devices: u32, lines: &str) -> Scenario {
    let text = format!(
        "schema = 1\nname = 'test'\nfleet.devices = {devices}\nfleet.registration_id = 'd-{{index}}'\n\
         [[stage]]\nname = 'stage'\nkind = 'provision'\n{lines}\n"
    );
    Scenario::parse("test.toml", &text, &[]).unwrap_or_else(|problems| {
        panic!("{}", problems.iter().map(|p| format!("{p}: {:?}\n{text}", p.remedy())).collect::<String>())
    })
}

fn script(answer: impl Fn(u32) -> Answer + Send + Sync + 'static) -> Arc<Script> {
    Arc::new(answer)
}

/// A run that can be stopped from outside.
struct Run {
    scenario: Scenario,
    device: Settings,
    connector: Arc<MemoryConnector>,
    open_files: u64,
    execution: Execution,
    progress: Option<watch::Sender<Progress>>,
    snapshots: Option<Snapshots>,
    stop: CancellationToken,
    cut: CancellationToken,
    target_gone: CancellationToken,
}

impl Run {
    fn new(scenario: Scenario, connector: Arc<MemoryConnector>) -> Self {
        Self {
            scenario,
            device: service::settings(),
            connector,
            open_files: 20_000,
            execution: Execution::Inline,
            progress: None,
            snapshots: None,
            stop: CancellationToken::new(),
            cut: CancellationToken::new(),
            target_gone: CancellationToken::new(),
        }
    }

    async fn outcome(self) -> EngineOutcome {
        self.try_outcome().await.expect("the generator starts")
    }

    async fn try_outcome(self) -> Result<EngineOutcome, EngineError> {
        let plan = Plan::new(&self.scenario, 7);
        run(RunInput {
            open_files: self.open_files,
            execution: self.execution,
            progress: self.progress,
            snapshots: self.snapshots,
            stop: self.stop,
            cut: self.cut,
            target_gone: self.target_gone,
            ..RunInput::new(self.scenario, plan, vec![self.device], self.connector)
        })
        .await
    }
}

/// All that somebody sees who watches a run.
async fn watched(mut run: Run) -> (EngineOutcome, Vec<Progress>) {
    let (sender, mut newest) = watch::channel(Progress::default());
    run.progress = Some(sender);
    let watching = tokio::spawn(async move {
        let mut seen = Vec::new();
        while newest.changed().await.is_ok() {
            seen.push(newest.borrow_and_update().clone());
        }
        seen
    });
    (run.outcome().await, watching.await.expect("it only collects"))
}

/// One run against a service that follows `answer`, in virtual time.
async fn outcome(scenario: Scenario, answer: impl Fn(u32) -> Answer + Send + Sync + 'static) -> EngineOutcome {
    Run::new(scenario, service::start(script(answer))).outcome().await
}

/// Cancels after that time.
fn cancel_after(token: &CancellationToken, time: Duration) {
    let token = token.clone();
    tokio::spawn(async move {
        tokio::time::sleep(time).await;
        token.cancel();
    });
}
