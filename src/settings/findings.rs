use std::cell::RefCell;

use super::key::{Asked, Keys};
use super::place::Place;
use super::problem::{Problem, Problems};
use super::tree::Value;
use crate::domain::Setting;

/// What readers find: problems, settings, and which keys there are.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    problems: RefCell<Vec<Problem>>,
    settings: RefCell<Vec<Setting>>,
    pub(super) keys: Asked,
}

impl Findings {
    /// Notes a problem at a place.
    pub(crate) fn problem(&self, place: &Place, problem: Problem) {
        self.problems.borrow_mut().push(problem.at(place));
    }

    /// Notes a value that is in force.
    pub(crate) fn setting(&self, key: String, value: &Value) {
        let setting = Setting { key, value: value.to_string(), origin: value.place.origin() };
        self.settings.borrow_mut().push(setting);
    }

    /// Of what `read` reads, only problems and keys count: its settings are told elsewhere.
    pub(crate) fn without_settings<T>(&self, read: impl FnOnce() -> T) -> T {
        let before = self.settings.borrow().len();
        let read = read();
        self.settings.borrow_mut().truncate(before);
        read
    }

    /// What was read, with all settings; or all problems below `headline`, which says of what.
    pub(crate) fn judge<T>(self, headline: String, read: Option<T>) -> Result<(T, Vec<Setting>), Problems> {
        let problems = self.problems.into_inner();
        match read {
            Some(read) if problems.is_empty() => Ok((read, self.settings.into_inner())),
            _ => Err(Problems::new(headline, problems)),
        }
    }

    /// Every key that was asked for.
    pub(crate) fn into_keys(self) -> Keys {
        self.keys.into_keys()
    }
}
