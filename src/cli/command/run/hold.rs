use std::pin::pin;
use std::time::Duration;

use crate::cli::signals::StopSignals;
use crate::cli::{CommandError, Terminal};
use crate::measure::RunRecord;
use crate::rig::metrics::MetricsEndpoint;
use crate::rig::{Observers, Run, RunError, Target, TargetOptions};

/// From the start of the target to its end, sooner with every signal. `None` when it was stopped before anything was measured.
pub(super) async fn hold(
    run: Run,
    options: &TargetOptions,
    observers: &mut Observers,
) -> Result<Option<RunRecord>, CommandError> {
    let mut interrupts = StopSignals::listen()?;
    let (seed, shard) = (run.plan.seed, run.plan.shard);
    let opening = Target::open(&run.scenario, (seed, shard), options);
    let Some(target) = interrupts.unless(opening).await else { return Ok(None) };
    let mut target = target?;
    let halt = run.halt.clone();
    let measured = {
        let mut running = pin!(run.start(&mut target, observers));
        loop {
            tokio::select! {
                measured = &mut running => break measured,
                () = interrupts.next() => halt.sooner(),
            }
        }
    };
    target.close().await;
    match measured {
        Err(RunError::Stopped) => Ok(None),
        measured => Ok(Some(measured?)),
    }
}

/// Keeps the endpoint until its last values were read, for at most `linger`, or until the user wants to go.
pub(super) async fn close(
    endpoint: MetricsEndpoint,
    linger: Duration,
    terminal: &Terminal,
) -> Result<(), CommandError> {
    if !linger.is_zero() {
        let time = humantime::format_duration(linger);
        terminal.note(format!("waiting until the metrics were read once more, for at most {time}"));
    }
    let mut interrupts = StopSignals::listen()?;
    let _ = interrupts.unless(endpoint.close(linger)).await;
    Ok(())
}
