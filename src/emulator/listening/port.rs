use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

/// Where something listens that need not listen: a number, 0 for a free port, or the word `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// Nowhere.
    Off,
    /// On this port; 0 takes a free one.
    At(u16),
}

impl Port {
    /// The word for no port.
    pub(crate) const OFF: &str = "off";

    /// The number, if there is one.
    pub const fn number(self) -> Option<u16> {
        match self {
            Self::Off => None,
            Self::At(port) => Some(port),
        }
    }
}

impl FromStr for Port {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        if text == Self::OFF { Ok(Self::Off) } else { text.parse().map(Self::At) }
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str(Self::OFF),
            Self::At(port) => port.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_numbers_or_off() {
        for (text, port) in [("0", Port::At(0)), ("8443", Port::At(8443)), ("off", Port::Off)] {
            assert_eq!((text.parse(), port.to_string().as_str()), (Ok(port), text));
        }
        assert!("on".parse::<Port>().is_err());
    }
}
