/// What is known of a number that may lie beyond all that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known<T> {
    /// It is this.
    Is(T),
    /// It is above this, and nothing more is known.
    Above(T),
}

impl<T> Known<T> {
    /// What is known of something that grows with it.
    pub fn map<U>(self, function: impl FnOnce(T) -> U) -> Known<U> {
        match self {
            Self::Is(value) => Known::Is(function(value)),
            Self::Above(value) => Known::Above(function(value)),
        }
    }

    /// The number, when it is known.
    pub fn exact(self) -> Option<T> {
        match self {
            Self::Is(value) => Some(value),
            Self::Above(_) => None,
        }
    }

    /// The least that it can be.
    pub fn least(self) -> T {
        let (Self::Is(value) | Self::Above(value)) = self;
        value
    }

    /// What it is above of, when it is not known.
    pub fn above(self) -> Option<T> {
        match self {
            Self::Is(_) => None,
            Self::Above(value) => Some(value),
        }
    }
}
