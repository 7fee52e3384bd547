use crate::cli::Exit;

/// Why a command ended early: what to tell the user, and the exit code.
///
/// `?` makes one of every error that is [`Explained`], and of [`miette::Report`] (with [`Exit::Unexpected`]).
#[derive(Debug)]
pub struct CommandError {
    exit: Exit,
    report: miette::Report,
}

/// An error that a user may meet: it names the remedy and has an exit code.
pub trait Explained: miette::Diagnostic + Send + Sync + 'static {
    /// The exit code that it ends the process with.
    fn exit(&self) -> Exit {
        Exit::Unexpected
    }
}

impl CommandError {
    /// `report` is shown, with its help and source excerpt if it has them.
    pub fn new(exit: Exit, report: impl Into<miette::Report>) -> Self {
        Self { exit, report: report.into() }
    }

    /// The exit code.
    pub const fn exit(&self) -> Exit {
        self.exit
    }

    /// What to show.
    pub const fn report(&self) -> &miette::Report {
        &self.report
    }
}

impl<E: Explained> From<E> for CommandError {
    fn from(error: E) -> Self {
        Self::new(error.exit(), error)
    }
}

impl From<miette::Report> for CommandError {
    fn from(report: miette::Report) -> Self {
        Self::new(Exit::Unexpected, report)
    }
}
