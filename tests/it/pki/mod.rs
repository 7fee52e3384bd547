//! Certificates, requests and key files as openssl sees them.

mod fleet;
mod hierarchy;
mod openssl;
mod runs;
mod verdicts;
