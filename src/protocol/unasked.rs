//! How much of what nobody asked for a device puts up with.

use crate::domain::{Failure, FailureClass};

/// Packets of a service that the device did not ask for and does not need, since it last asked for something. Some are the
/// service's right, without end they are a flood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unasked(u16);

impl Unasked {
    /// Most of them: a hub keeps at most 50 messages for a device (Microsoft Learn, "Understand cloud-to-device messaging").
    pub const MOST: u16 = 1_000;

    /// One more of `service`.
    ///
    /// # Errors
    /// A failure of the class [`FailureClass::Protocol`] when there are too many.
    pub fn count(&mut self, service: &str) -> Result<(), Failure> {
        self.0 = self.0.saturating_add(1);
        if self.0 <= Self::MOST {
            return Ok(());
        }
        let message = format!("{service} sent more than {} packets that nobody asked for", Self::MOST);
        Err(Failure::new(FailureClass::Protocol, message))
    }

    /// The device asked for something.
    pub const fn clear(&mut self) {
        self.0 = 0;
    }
}
