//! Panics, which are defects of fleetstorm: they are told, and cost nothing that was measured.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Something that fleetstorm does broke.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
#[error("{what} broke: {message}")]
#[diagnostic(help("this is a defect of fleetstorm, please report it"))]
pub struct Defect {
    what: &'static str,
    message: String,
}

impl Defect {
    /// Out of what a panic carries.
    pub fn of(what: &'static str, panic: &(dyn Any + Send)) -> Self {
        let literal = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let message = literal.or_else(|| panic.downcast_ref::<String>().cloned());
        Self { what, message: message.unwrap_or_else(|| "nobody knows why".to_owned()) }
    }
}

/// The result of `work`, whose panic is an error.
///
/// # Errors
/// It panicked. What it changed meanwhile must not be looked at, or must bear it.
pub fn caught<T>(what: &'static str, work: impl FnOnce() -> T) -> Result<T, Defect> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| Defect::of(what, &*panic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_with_its_words() {
        let number = 5;
        let told = caught("the summary", || assert!(number < 5, "{number} is too much")).unwrap_err();
        assert_eq!(told.to_string(), "the summary broke: 5 is too much");
        assert_eq!(
            caught("it", || panic!("plainly")),
            Err::<(), _>(Defect { what: "it", message: "plainly".to_owned() })
        );
        assert_eq!(caught("it", || 5), Ok(5));
    }
}
