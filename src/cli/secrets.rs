//! Secrets of the environment: taken out of it before anything else is done, so that no child inherits them, and nothing that
//! prints the environment shows them. The process leaves no core dump either, as it works with them.

use std::env;
use std::os::unix::ffi::OsStringExt as _;
use std::sync::OnceLock;

use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use zeroize::Zeroizing;

use crate::cli::command::pki::PASSWORD_ENV;
use crate::cli::{Exit, Explained};
use crate::rig::metrics::otlp::SECRETS;
use crate::rig::target::{GROUP_KEY_ENV, GivenKey};

/// Names of the variables whose values are secret.
pub const NAMES: [&str; 4] = [GROUP_KEY_ENV, PASSWORD_ENV, SECRETS[0], SECRETS[1]];

/// Variable that leaves core dumps and debuggers their way in.
const DUMPABLE: &str = "FLEETSTORM_DUMPABLE";

/// Wiped when it is not needed any more, but for the table of all.
type Bytes = Zeroizing<Vec<u8>>;

static TAKEN: OnceLock<Vec<(&str, Bytes)>> = OnceLock::new();

/// A secret that is no text. Taking it for absent would go on with another one, or with none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
#[error("{0} is not UTF-8")]
#[diagnostic(help("set it to text, or unset it"))]
pub struct NotText(pub &'static str);

impl Explained for NotText {
    fn exit(&self) -> Exit {
        Exit::Usage
    }
}

/// Keeps the secrets of the environment, so that [`NAMES`] can be removed from it. Before any other thread begins.
pub fn keep_those_of_environment() {
    let given = NAMES.into_iter().filter_map(|name| Some((name, of_environment(name)?)));
    // A second time nothing changes.
    let _ = TAKEN.set(given.collect());
}

/// The secret of a variable; `None` when it is not set.
///
/// # Errors
/// It is not UTF-8.
pub fn secret(name: &'static str) -> Result<Option<Zeroizing<String>>, NotText> {
    let value = match TAKEN.get() {
        Some(taken) => taken.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone()),
        // Nobody has taken them: a test.
        None => of_environment(name),
    };
    let text = |value: Bytes| {
        String::from_utf8(value.to_vec()).map(Zeroizing::new).map_err(|error| {
            drop(Zeroizing::new(error.into_bytes()));
            NotText(name)
        })
    };
    value.map(text).transpose()
}

/// The enrollment group's key, when it was given.
///
/// # Errors
/// It is there and no text: taking it for absent would send devices with another key.
pub fn group_key() -> Result<GivenKey, NotText> {
    secret(GROUP_KEY_ENV).map(GivenKey::new)
}

/// A variable of the environment, secret or not. One that is no text holds what is none: it is refused where its meaning is looked for.
pub fn variable(name: &str) -> Option<String> {
    const NO_TEXT: &str = "\u{fffd}";
    if let Some(name) = NAMES.into_iter().find(|secret| *secret == name) {
        let value = secret(name).unwrap_or_else(|_| Some(NO_TEXT.to_owned().into()));
        return value.map(|value| (*value).clone());
    }
    env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

fn of_environment(name: &str) -> Option<Bytes> {
    env::var_os(name).map(|value| Zeroizing::new(value.into_vec()))
}

/// From now on this process and its children leave no core dump, and only root may look into their memory: group keys are in it.
/// `FLEETSTORM_DUMPABLE=1` leaves that as it is, for debuggers and profilers that attach to it. Where the system does not allow it,
/// it stays as it is.
pub fn leave_no_dump() {
    if env::var_os(DUMPABLE).is_some_and(|value| !value.is_empty()) {
        return;
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _ = prctl::set_dumpable(false);
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
}

#[cfg(test)]
mod tests {
    use nix::sys::resource::getrlimit;

    use super::*;

    #[test]
    fn what_is_not_set_is_no_secret() {
        assert_eq!(secret("FLEETSTORM_TEST_NO_SUCH_VARIABLE"), Ok(None));
    }

    #[test]
    fn from_then_on_there_is_no_dump() {
        let before = prctl::get_dumpable().unwrap();
        leave_no_dump();
        let (now, limit) = (prctl::get_dumpable().unwrap(), getrlimit(Resource::RLIMIT_CORE).unwrap());
        prctl::set_dumpable(before).unwrap();
        assert_eq!((now, limit), (env::var_os(DUMPABLE).is_some_and(|value| !value.is_empty()), (0, 0)));
    }
}
