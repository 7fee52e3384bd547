use crate::domain::named;

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

named! {
    /// Where a setting came from.
    pub enum Origin {
        /// Built in.
        Default = "default",
        /// The scenario file.
        Scenario = "scenario",
        /// The command line.
        CommandLine = "command line",
        /// A variable of the environment that is read because the command line asks for it.
        Environment = "environment",
    }
}
