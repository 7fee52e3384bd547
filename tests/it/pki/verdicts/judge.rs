//! What we say of a path, and what `openssl verify` says.

use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, UNIX_EPOCH};

use fleetstorm::pki::certificate::leaf_identity;
use fleetstorm::pki::chain::{ChainVerifier, MAX_CHAIN_LENGTH};
use fleetstorm::pki::store::certificates_to_pem;
use fleetstorm::pki::trust::AuthoritySet;
use tempfile::TempDir;

use super::certificate::{Certificate, NOW, spki};
use crate::pki::openssl;

/// A path to be judged.
pub(super) struct Case {
    pub(super) name: String,
    trusted: Vec<Vec<u8>>,
    /// Leaf first.
    presented: Vec<Vec<u8>>,
    key: Vec<u8>,
    /// We deliberately say something else than openssl: what, and why.
    departure: Option<(Verdict, &'static str)>,
    /// It is not one that an authority issues to a device.
    for_services: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Good,
    Bad,
}

use Verdict::{Bad, Good};

impl Case {
    pub(super) fn new(name: impl Into<String>, trusted: &[&Certificate], presented: &[&Certificate]) -> Self {
        let ders = |certificates: &[&Certificate]| certificates.iter().map(|c| c.der()).collect();
        let key = spki(presented[0].key);
        Self {
            name: name.into(),
            trusted: ders(trusted),
            presented: ders(presented),
            key,
            departure: None,
            for_services: false,
        }
    }

    /// Of certificates from elsewhere.
    pub(super) fn of(name: &str, trusted: Vec<Vec<u8>>, presented: Vec<Vec<u8>>) -> Self {
        Self { name: name.to_owned(), trusted, presented, key: Vec::new(), departure: None, for_services: true }
    }

    /// We take it, openssl does not.
    pub(super) fn taken_because(mut self, reason: &'static str) -> Self {
        self.departure = Some((Good, reason));
        self
    }

    /// We refuse it, openssl does not.
    pub(super) fn refused_because(mut self, reason: &'static str) -> Self {
        self.departure = Some((Bad, reason));
        self
    }

    /// A device that was given this would look at more.
    pub(super) fn for_services(mut self) -> Self {
        self.for_services = true;
        self
    }

    fn of_openssl(&self, folder: &TempDir) -> (Verdict, String) {
        let (leaf, above) = self.presented.split_first().unwrap();
        for (file, certificates) in
            [("trusted", &self.trusted[..]), ("above", above), ("leaf", std::slice::from_ref(leaf))]
        {
            fs::write(folder.path().join(file), certificates_to_pem(certificates)).unwrap();
        }
        let now = NOW.to_string();
        let mut arguments = vec!["verify", "-attime", &now, "-partial_chain", "-policy", "anyPolicy"];
        arguments.extend(["-purpose", "sslclient", "-auth_level", "2", "-trusted", "trusted"]);
        if !above.is_empty() {
            arguments.extend(["-untrusted", "above"]);
        }
        arguments.push("leaf");
        let output = openssl::run(folder.path(), &arguments);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        (if output.status.success() { Good } else { Bad }, text)
    }

    /// What everybody says who judges paths: DPS, the hub where the trusted authority signed the leaf itself, and the
    /// device where the path is one that an authority could have issued.
    fn ours(&self) -> Vec<(&'static str, Verdict, String)> {
        let now = UNIX_EPOCH + Duration::from_secs(NOW);
        let set = AuthoritySet::new(&self.trusted);
        let dps = set.as_ref().map_err(Clone::clone).and_then(|set| set.verify_path(&self.presented, now));
        let mut verdicts = vec![verdict("dps", dps)];
        if self.presented.len() == 1 {
            let hub = set.as_ref().map_err(Clone::clone).and_then(|set| set.verify_leaf(&self.presented, now));
            verdicts.push(verdict("hub", hub));
        }
        if self.presented.len() <= MAX_CHAIN_LENGTH && !self.for_services && self.is_in_order() {
            let name = leaf_identity(&self.presented[0]).map(|leaf| leaf.common_name).unwrap_or_default();
            let verifier = ChainVerifier::new(&self.trusted);
            verdicts.push(verdict("device", verifier.and_then(|v| v.verify(&self.presented, &self.key, &name, now))));
        }
        verdicts
    }

    /// A device is given every certificate of the path in its order and no others.
    fn is_in_order(&self) -> bool {
        let names = |der: &[u8]| {
            let info = fleetstorm::pki::description::describe(der)?;
            Some((info.issuer, info.subject))
        };
        let names: Option<Vec<_>> = self.presented.iter().map(|der| names(der)).collect();
        names.is_some_and(|names| names.windows(2).all(|pair| pair[0].0.eq_ignore_ascii_case(&pair[1].1)))
    }
}

fn verdict<T, E: std::fmt::Display>(whose: &'static str, result: Result<T, E>) -> (&'static str, Verdict, String) {
    match result {
        Ok(_) => (whose, Good, String::new()),
        Err(error) => (whose, Bad, error.to_string()),
    }
}

/// Compares all verdicts, and tells of all that differ.
pub(super) fn judge(cases: &[Case]) {
    let folder = tempfile::tempdir().unwrap();
    let (mut wrong, mut good) = (String::new(), 0);
    for case in cases {
        let (openssl, words) = case.of_openssl(&folder);
        let expected = case.departure.map_or(openssl, |(verdict, _)| verdict);
        good += usize::from(openssl == Good);
        if let Some((verdict, reason)) = case.departure
            && verdict == openssl
        {
            writeln!(wrong, "{}: no departure ({reason}): openssl says {openssl:?}: {words}", case.name).unwrap();
        }
        for (whose, ours, error) in case.ours() {
            if ours != expected {
                writeln!(wrong, "{}: {whose} says {ours:?} {error}\n  openssl {openssl:?} {words}", case.name).unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "of {} paths ({good} good):\n{wrong}", cases.len());
    assert!((1..cases.len()).contains(&good), "of {} paths {good} are good: that judges nothing", cases.len());
}
