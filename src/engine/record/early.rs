use std::time::Duration;

/// Certificates that become valid only some time after they came, as far as that is no reason to call them wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Early {
    certificates: u64,
    /// The longest time until one was valid, by this machine's clock.
    most: Duration,
}

impl Early {
    /// One came that becomes valid so much later; zero is the usual case and does not count.
    pub(crate) fn count(&mut self, by: Duration) {
        self.certificates += u64::from(!by.is_zero());
        self.most = self.most.max(by);
    }

    /// Adds those of other devices.
    pub(crate) fn add(&mut self, other: &Self) {
        let Self { certificates, most } = *other;
        self.certificates += certificates;
        self.most = self.most.max(most);
    }

    /// What the reader must know.
    pub(crate) fn note(&self) -> Option<String> {
        let Self { certificates, most } = *self;
        let which = match certificates {
            0 => return None,
            1 => "1 certificate was not valid yet when it came: its".to_owned(),
            _ => format!("{certificates} certificates were not valid yet when they came: their"),
        };
        let seconds = most.as_secs_f64();
        Some(format!(
            "{which} notBefore was up to {seconds:.1} s ahead of this machine's clock; compare the clocks of this machine and \
             of the authority, as hubs may refuse such certificates"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn early_certificates_are_told_with_the_longest_time() {
        let mut early = Early::default();
        early.count(Duration::ZERO);
        assert_eq!(early.note(), None);
        early.count(Duration::from_millis(2_300));
        assert!(early.note().is_some_and(|note| note.starts_with("1 certificate was") && note.contains("2.3 s ahead")));
        let mut all = Early::default();
        all.count(Duration::from_secs(5));
        all.add(&early);
        let note = all.note().unwrap();
        assert!(note.starts_with("2 certificates were") && note.contains("up to 5.0 s ahead"), "{note}");
    }
}
