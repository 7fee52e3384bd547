use crate::domain::{InvalidId, RegistrationId};
use crate::scenario::Fleet;

/// A pattern such as `dev-{index:06}`: registration ids made from the index of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdPattern {
    prefix: String,
    width: usize,
    suffix: String,
}

impl IdPattern {
    pub(in crate::scenario) const VALID: &str = "a pattern such as \"dev-{index:06}\": letters, digits and - . _ : around one {index}, \
                         which :0N fills with zeros to N digits";

    /// Reads a pattern.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn new(text: &str) -> Result<Self, String> {
        let (prefix, rest) = text.split_once('{').ok_or("it has no {index}, so all devices would be the same one")?;
        let (field, suffix) = rest.split_once('}').ok_or("its { is never closed")?;
        let width = match field.strip_prefix("index") {
            Some("") => 0,
            Some(format) => {
                let digits = format.strip_prefix(":0").filter(|d| d.len() == 1);
                digits.and_then(|d| d.parse().ok()).ok_or_else(|| format!("{{index{format}}} is not {{index:0N}}"))?
            }
            None => return Err(format!("{{{field}}} is not {{index}}")),
        };
        let pattern = Self { prefix: prefix.to_owned(), width, suffix: suffix.to_owned() };
        let longest = pattern.registration_id(Fleet::MAX_DEVICES - 1).map_err(|e| e.to_string())?;
        // The id becomes the common name of the certificate.
        if longest.as_str().len() > RegistrationId::MAX_LENGTH_X509 {
            return Err(format!(
                "ids get longer than the {} characters of a common name",
                RegistrationId::MAX_LENGTH_X509
            ));
        }
        Ok(pattern)
    }

    /// The id of one device, in lower case.
    ///
    /// # Errors
    /// Never for an index below [`Fleet::MAX_DEVICES`].
    pub fn registration_id(&self, index: u32) -> Result<RegistrationId, InvalidId> {
        RegistrationId::new(&format!("{}{index:0width$}{}", self.prefix, self.suffix, width = self.width))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_lower_case_and_filled_with_zeros() {
        let id = |pattern, index| IdPattern::new(pattern).unwrap().registration_id(index).unwrap().to_string();
        assert_eq!(id("Dev-{index:04}-A", 7), "dev-0007-a");
        assert_eq!(id("d{index}", 123_456), "d123456");
    }

    #[test]
    fn patterns_that_the_service_would_refuse_are_refused() {
        for wrong in
            ["device", "d{index", "d{i}", "d{index:4}", "d{index:0x}", "d {index}", "d{index}.", "{index}{index}"]
        {
            assert!(IdPattern::new(wrong).is_err(), "{wrong}");
        }
        assert!(IdPattern::new(&format!("{}{{index}}", "d".repeat(58))).is_ok());
        assert!(IdPattern::new(&format!("{}{{index}}", "d".repeat(59))).is_err());
    }
}
