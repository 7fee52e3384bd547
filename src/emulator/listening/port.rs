use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Where something listens that need not listen: a number, 0 for a free port, or the word `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// Nowhere.
    Off,
    /// On this port; 0 takes a free one.
    At(u16),
}

impl Port {
    const OFF: &str = "off";

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

impl Serialize for Port {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Off => serializer.serialize_str(Self::OFF),
            Self::At(port) => serializer.serialize_u16(*port),
        }
    }
}

impl<'de> Deserialize<'de> for Port {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PortVisitor;

        impl Visitor<'_> for PortVisitor {
            type Value = Port;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a port from 0 to 65535, or \"off\"")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Port, E> {
                u16::try_from(number).map(Port::At).map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Port, E> {
                u16::try_from(number).map(Port::At).map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Port, E> {
                match text {
                    Port::OFF => Ok(Port::Off),
                    other => Err(E::invalid_value(Unexpected::Str(other), &self)),
                }
            }
        }

        deserializer.deserialize_any(PortVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, Serialize)]
    struct File {
        port: Port,
    }

    #[test]
    fn ports_are_numbers_or_off() {
        for (text, port) in [("0", Port::At(0)), ("8443", Port::At(8443)), ("off", Port::Off)] {
            assert_eq!((text.parse(), port.to_string().as_str()), (Ok(port), text));
            let quoted = if port == Port::Off { "port = \"off\"\n".to_owned() } else { format!("port = {text}\n") };
            assert_eq!(toml::from_str::<File>(&quoted).unwrap().port, port);
            assert_eq!(toml::to_string(&File { port }).unwrap(), quoted);
        }
        assert!("on".parse::<Port>().is_err());
        for bad in ["port = 65536", "port = -1", "port = \"on\"", "port = true"] {
            let error = toml::from_str::<File>(bad).unwrap_err().to_string();
            assert!(error.contains("a port from 0 to 65535, or \"off\""), "{error}");
        }
    }
}
