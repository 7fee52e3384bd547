use crate::cli::Exit;

/// Why a command ended early: what to tell the user, and the exit code.
///
/// Any [`miette::Diagnostic`] becomes one with [`CommandError::new`]; through `?` it gets [`Exit::Unexpected`].
#[derive(Debug)]
pub struct CommandError {
    exit: Exit,
    report: miette::Report,
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

impl<E: Into<miette::Report>> From<E> for CommandError {
    fn from(report: E) -> Self {
        Self::new(Exit::Unexpected, report)
    }
}
