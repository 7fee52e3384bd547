//! Where the emulator listens: addresses, ports, listening sockets. Knows nothing of what comes in.

pub(crate) mod address;
pub(crate) mod listeners;
pub(crate) mod port;
