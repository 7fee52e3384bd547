//! All integration tests in one binary: it links once.
mod cli;
mod device;
mod engine;
mod layering;
mod scenario;
