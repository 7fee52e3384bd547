//! All integration tests in one binary: it links once.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[cfg(debug_assertions)]
mod broken;
mod byte_order_mark;
mod cli;
mod compare;
mod device;
mod docs;
mod emulator;
mod endings;
mod engine;
mod expected;
mod hostile_service;
mod hubs;
mod key_page;
mod key_schema;
mod layering;
mod memory;
mod metrics;
mod pki;
mod report;
mod result_folders;
mod rig;
mod run;
mod scenario;
mod schemas;
mod sdk;
mod secrets;
mod shards;
mod stored;
mod storms;
mod terminal;
