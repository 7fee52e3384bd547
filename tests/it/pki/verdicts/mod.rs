//! Which paths of certificates are good: `openssl verify` is the judge, over some hundred that were made to be judged. Where
//! we say something else on purpose, the case says why; DIVERGENCES.md lists it for people.

mod basics;
mod certificate;
mod der;
mod extensions;
mod judge;
mod names;
mod policies;
mod random;
mod ways;

use certificate::Certificate;
use judge::{Case, judge};

/// A root that is trusted, an authority below it, a device's certificate.
#[derive(Clone)]
struct Path {
    root: Certificate,
    middle: Certificate,
    leaf: Certificate,
}

/// A good one; a key and its certificate have the same number.
fn path() -> Path {
    Path {
        root: Certificate::authority("root", "root", 0, 0),
        middle: Certificate::authority("root", "middle", 1, 0),
        leaf: Certificate::device("middle", 2, 1),
    }
}

impl Path {
    fn case(&self, name: impl Into<String>) -> Case {
        Case::new(name, &[&self.root], &[&self.leaf, &self.middle])
    }

    /// The same with the root in what is presented.
    fn whole(&self, name: impl Into<String>) -> Case {
        Case::new(name, &[&self.root], &[&self.leaf, &self.middle, &self.root])
    }

    /// The certificate `place`, counted from the leaf.
    fn at(&mut self, place: usize) -> &mut Certificate {
        [&mut self.leaf, &mut self.middle, &mut self.root].into_iter().nth(place).unwrap()
    }
}

/// A good path of which one thing is changed.
fn but(name: impl Into<String>, change: impl FnOnce(&mut Path)) -> Case {
    changed(change).case(name)
}

fn changed(change: impl FnOnce(&mut Path)) -> Path {
    let mut path = path();
    change(&mut path);
    path
}

const PLACES: [&str; 3] = ["leaf", "middle", "root"];

#[test]
fn dates_signatures_forms_and_usages() {
    judge(&basics::cases());
}

#[test]
fn extensions_that_are_critical_repeated_or_unreadable() {
    judge(&extensions::cases());
}

#[test]
fn name_constraints() {
    judge(&names::cases());
}

#[test]
fn certificate_policies() {
    judge(&policies::cases());
}

#[test]
fn ways_up() {
    judge(&ways::cases());
}

#[test]
fn paths_put_together_at_random() {
    judge(&random::cases());
}
