//! JSON bodies of DPS and renewal, on both sides.
