//! What holds a run of a scenario against a target, without a command line: the target itself ([`target`]), what this machine
//! gives ([`machine`]), and those who watch ([`live`], [`metrics`], rows of attempts, samples of both processes).

pub mod defect;
pub mod live;
pub mod machine;
pub mod metrics;
pub mod os_text;
pub mod quotas;
pub mod rows;
pub mod sampler;
pub mod target;
