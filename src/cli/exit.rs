use std::process::ExitCode;

/// How the process ends. The numbers are a promise to scripts and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done; a run was complete, whatever its devices met (failed devices are data unless a threshold says otherwise).
    Done = 0,
    /// Anything that no other code names: an unwritable results folder, the target going away in the middle of a run.
    Unexpected = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// The scenario is invalid; every problem was listed.
    ScenarioInvalid = 3,
    /// The target could not be reached or refused the first device: nothing was measured.
    Unreachable = 4,
    /// A threshold failed. That no device may get a wrong certificate is a threshold of every run.
    ThresholdsFailed = 5,
    /// Worse than the baseline.
    Regression = 6,
    /// The generator was the bottleneck: the numbers do not describe the target.
    Saturated = 7,
    /// Whether anything is worse than the baseline could not be told, and `--require-verdict` asks for that.
    Undecided = 8,
    /// Stopped by Ctrl-C or SIGTERM: partial results were written and marked.
    Interrupted = 130,
}

impl Exit {
    /// Every code, in the order of documentation.
    pub const ALL: [Self; 10] = [
        Self::Done,
        Self::Unexpected,
        Self::Usage,
        Self::ScenarioInvalid,
        Self::Unreachable,
        Self::ThresholdsFailed,
        Self::Regression,
        Self::Saturated,
        Self::Undecided,
        Self::Interrupted,
    ];

    /// The number.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// What it means, in a few words, for `--help` and the README.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Unexpected => "unexpected error",
            Self::Usage => "wrong command line",
            Self::ScenarioInvalid => "scenario invalid",
            Self::Unreachable => "target unreachable at start, or it refused the first device",
            Self::ThresholdsFailed => "a threshold failed, or a device got a wrong certificate",
            Self::Regression => "regression against the baseline",
            Self::Saturated => "generator saturated, numbers not valid",
            Self::Undecided => "no verdict about a regression, with --require-verdict",
            Self::Interrupted => "interrupted, partial results written and marked",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
