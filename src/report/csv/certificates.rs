use std::io::{self, Write};

use crate::measure::{ExpiryBin, RunRecord};
use crate::report::csv::table;
use crate::report::{Exporter, units};

/// `certificates.csv`: one row per span of time in which certificates expire.
pub(in crate::report) struct CertificatesCsv;

const COLUMNS: [&str; 3] = ["expires_from", "expires_to", "certificates"];

impl Exporter for CertificatesCsv {
    fn file_name(&self) -> &'static str {
        "certificates.csv"
    }

    fn write(&self, record: &RunRecord, to: &mut dyn Write) -> io::Result<()> {
        let bins = record.certificates.iter().flat_map(|certificates| certificates.bins());
        let rows = bins.map(|ExpiryBin { from, to, certificates }| {
            [units::rfc3339(from), units::rfc3339(to), certificates.to_string()]
        });
        table(to, COLUMNS, rows)
    }
}
