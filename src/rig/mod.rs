//! A run as a library call: what holds a scenario against a target, without a command line.
//!
//! A [`Target`] is opened once, whichever it is: the embedded emulator in a process of its own, the emulator in this process over
//! connections in memory, or a service somewhere. A [`Run`] is held against it, one after the other, watched by [`Observers`]: whoever looks
//! on, rows of attempts, samples of both processes, metrics. What comes of it is a [`RunRecord`](crate::measure::RunRecord).

pub mod defect;
mod fullness;
mod halt;
pub mod live;
pub mod machine;
pub mod metrics;
mod newest;
mod observers;
pub mod os_text;
pub mod quotas;
mod record_frame;
pub mod rows;
mod run;
mod run_error;
mod sampler;
mod shard_notes;
pub mod target;
mod work;

pub use halt::Halt;
pub use observers::{Observation, Observers, Onlooker, Rows, observing};
pub use run::Run;
pub use run_error::RunError;
pub use target::{OpenError, Target, TargetOptions};
