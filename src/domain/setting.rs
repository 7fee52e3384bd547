/// A setting and where its value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Dotted key, such as `fleet.devices`.
    pub key: String,
    /// The value as text. Never a secret: those stay in files.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
}

/// Where a setting came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Built in.
    Default,
    /// The scenario file.
    Scenario,
    /// The command line.
    CommandLine,
    /// A variable of the environment that is read because the command line asks for it.
    Environment,
}

impl Origin {
    /// Every origin.
    pub const ALL: [Self; 4] = [Self::Default, Self::Scenario, Self::CommandLine, Self::Environment];

    /// The word in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Scenario => "scenario",
            Self::CommandLine => "command line",
            Self::Environment => "environment",
        }
    }
}
