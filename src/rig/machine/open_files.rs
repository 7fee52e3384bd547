//! The limit on open files (RLIMIT_NOFILE): every connection is one.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::report::units;

/// The limit in force and what the run would like to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenFiles {
    /// Open files that this process may have.
    pub limit: u64,
    /// Open files that the plan needs if the target answers slowly.
    pub wanted: u64,
}

/// The system does not tell the limit.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("cannot read the limit on open files: {0}")]
#[diagnostic(help("is getrlimit(2) forbidden by a sandbox?"))]
pub struct OpenFilesError(#[from] nix::Error);

impl OpenFiles {
    /// Raises the soft limit as far as is wanted and permitted, for this process and the emulator that it starts.
    ///
    /// # Errors
    /// The system does not tell the limit.
    pub fn raise(wanted: u64) -> Result<Self, OpenFilesError> {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
        let target = wanted.max(soft).min(hard);
        // Refused only by policies beyond the limits themselves; the run then lives with what it has.
        let limit = match setrlimit(Resource::RLIMIT_NOFILE, target, hard) {
            Ok(()) => target,
            Err(_) => soft,
        };
        Ok(Self { limit, wanted })
    }

    /// What a process like this one could have, without changing anything.
    ///
    /// # Errors
    /// The system does not tell the limit.
    pub fn available(wanted: u64) -> Result<Self, OpenFilesError> {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
        Ok(Self { limit: hard, wanted })
    }

    /// What the user must know when the limit is lower than the plan wants.
    pub fn shortage(self) -> Option<String> {
        let Self { limit, wanted } = self;
        (limit < wanted).then(|| {
            format!(
                "{} open files are permitted, {} are needed to have every device in flight at once: fewer connections \
                 are held at a time and devices that are due wait for one. Raise the hard limit with `ulimit -Hn \
                 {wanted}` (as root, or in /etc/security/limits.conf), or make the scenario's arrivals slower",
                units::count(limit),
                units::count(wanted),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_shortage_is_told() {
        assert_eq!(OpenFiles { limit: 100, wanted: 100 }.shortage(), None);
        let told = OpenFiles { limit: 1_024, wanted: 100_000 }.shortage().unwrap();
        assert!(told.contains("1,024") && told.contains("ulimit -Hn 100000"), "{told}");
    }
}
