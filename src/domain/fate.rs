use crate::domain::named;

named! {
    /// How something whose time is measured came to its end, as far as it was seen. The names are CSV column values and never
    /// change.
    pub enum Fate {
        /// It got what it wanted.
        Succeeded = "succeeded",
        /// It will never get it.
        Failed = "failed",
        /// It was not seen to end: it was cut off, or still at it when its stage ended. It takes longer than the time that was
        /// seen of it, and whether it succeeds is not known.
        Censored = "censored",
    }
}

impl Fate {
    /// Number of fates.
    pub const COUNT: usize = Self::ALL.len();
}

/// Whose times are taken together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Those of all devices that began, whether they were seen to get through or not.
    All,
    /// Those with that fate.
    Of(Fate),
}

impl Whose {
    /// Everybody's, in the order of files.
    pub const ALL: [Self; 1 + Fate::COUNT] =
        [Self::All, Self::Of(Fate::Succeeded), Self::Of(Fate::Failed), Self::Of(Fate::Censored)];

    /// The one of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|whose| whose.name() == name)
    }

    /// The name in CSV files and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Of(fate) => fate.name(),
        }
    }
}
