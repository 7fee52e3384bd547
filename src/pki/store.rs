//! Key and certificate files: PEM, modes, PFX.
