use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::spawn_blocking;

use crate::cli::command::run::conduct::Around;
use crate::engine::EngineOutcome;
use crate::report::{ResultsFolder, WriteError};

/// Writes what was measured so far whenever there is something new, so that a run that is killed leaves it. Ends with the
/// run, and then says what could not be written last.
pub(super) async fn keep(
    folder: Arc<ResultsFolder>,
    around: Arc<Around>,
    mut snapshots: watch::Receiver<Option<Arc<EngineOutcome>>>,
) -> Option<WriteError> {
    let mut failed = None;
    while snapshots.changed().await.is_ok() {
        let Some(outcome) = snapshots.borrow_and_update().clone() else { continue };
        let (folder, around) = (Arc::clone(&folder), Arc::clone(&around));
        let written =
            spawn_blocking(move || folder.keep(&Around::clone(&around).record(Arc::unwrap_or_clone(outcome))));
        // It is not joined only when the runtime goes away.
        failed = written.await.ok().and_then(Result::err);
    }
    failed
}
