//! All integration tests in one binary: it links once.
mod layering;
mod scenario;
