//! The device's registration conversation with DPS.
