use std::fmt;
use std::str::FromStr;

/// An identifier that the service would refuse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// Nothing in it.
    #[error("the id is empty")]
    Empty,
    /// Longer than the service takes.
    #[error("the id has {length} characters, at most {max} are allowed")]
    TooLong {
        /// Characters found.
        length: usize,
        /// Characters allowed.
        max: usize,
    },
    /// A character that is not allowed.
    #[error("the id contains {0:?}: only letters, digits and - . _ : are allowed")]
    Character(char),
    /// The last character may only be a letter, a digit or a dash.
    #[error("the id ends with {0:?}: the last character must be a letter, a digit or a dash")]
    LastCharacter(char),
}

/// A DPS registration id, kept in lower case: at most 128 letters, digits and `- . _ :`, ending in a letter, digit or
/// dash. Source: Microsoft Learn, "Terminology used with IoT Hub Device Provisioning Service", registration id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RegistrationId(Box<str>);

impl RegistrationId {
    /// Longest id in characters.
    pub const MAX_LENGTH: usize = 128;
    /// Longest id in characters when it is the common name of an X.509 certificate (RFC 5280, ub-common-name).
    pub const MAX_LENGTH_X509: usize = 64;

    /// Takes any case and keeps lower case, as derived keys depend on it.
    pub fn new(id: &str) -> Result<Self, InvalidId> {
        if id.is_empty() {
            return Err(InvalidId::Empty);
        }
        if let Some(c) = id.chars().find(|c| !(c.is_ascii_alphanumeric() || "-._:".contains(*c))) {
            return Err(InvalidId::Character(c));
        }
        if id.len() > Self::MAX_LENGTH {
            return Err(InvalidId::TooLong { length: id.len(), max: Self::MAX_LENGTH });
        }
        match id.chars().next_back() {
            Some(c) if !(c.is_ascii_alphanumeric() || c == '-') => Err(InvalidId::LastCharacter(c)),
            _ => Ok(Self(id.to_ascii_lowercase().into_boxed_str())),
        }
    }

    /// The id in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RegistrationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RegistrationId {
    type Err = InvalidId;

    fn from_str(id: &str) -> Result<Self, InvalidId> {
        Self::new(id)
    }
}

/// The id scope of a DPS instance, such as `0ne00000001`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdScope(Box<str>);

impl IdScope {
    /// Longest id scope in characters.
    pub const MAX_LENGTH: usize = 64;

    /// Accepts letters and digits.
    pub fn new(scope: &str) -> Result<Self, InvalidId> {
        if scope.is_empty() {
            return Err(InvalidId::Empty);
        }
        if let Some(c) = scope.chars().find(|c| !c.is_ascii_alphanumeric()) {
            return Err(InvalidId::Character(c));
        }
        if scope.len() > Self::MAX_LENGTH {
            return Err(InvalidId::TooLong { length: scope.len(), max: Self::MAX_LENGTH });
        }
        Ok(Self(scope.into()))
    }

    /// The scope as given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IdScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registration_ids_follow_the_rules_of_the_service() {
        assert_eq!(RegistrationId::new("Dev-1.a_b:C").unwrap().as_str(), "dev-1.a_b:c");
        assert_eq!(RegistrationId::new("dev-"), Ok(RegistrationId("dev-".into())));
        assert_eq!(RegistrationId::new(""), Err(InvalidId::Empty));
        assert_eq!(RegistrationId::new("dev."), Err(InvalidId::LastCharacter('.')));
        assert_eq!(RegistrationId::new("dev 1"), Err(InvalidId::Character(' ')));
        assert_eq!(RegistrationId::new(&"a".repeat(129)), Err(InvalidId::TooLong { length: 129, max: 128 }));
    }

    #[test]
    fn id_scopes_are_alphanumeric() {
        assert_eq!(IdScope::new("0ne00000001").map(|scope| scope.to_string()), Ok("0ne00000001".to_owned()));
        assert_eq!(IdScope::new("0ne/x"), Err(InvalidId::Character('/')));
    }
}
