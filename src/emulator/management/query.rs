use serde::Deserialize;

use super::error::{ManagementRefusal, ManagementResult};

/// `QuerySpecification` of the DPS API.
#[derive(Deserialize)]
pub(super) struct Query {
    query: String,
}

/// Checks that everything of `table` is asked for, which is all that is emulated of the query language.
pub(super) fn check(query: &Query, table: &str) -> ManagementResult<()> {
    let words: Vec<_> = query.query.split_ascii_whitespace().map(str::to_ascii_lowercase).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    if words == ["select", "*", "from", table] || words == ["*"] || words == ["select", "*"] {
        Ok(())
    } else {
        Err(ManagementRefusal::bad_request(format!("Only the query `SELECT * FROM {table}` is emulated.")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_may_be_asked_for_and_nothing_else() {
        let ask = |query: &str| check(&Query { query: query.to_owned() }, "enrollments").is_ok();
        assert!(ask("SELECT * FROM enrollments") && ask("select *  from Enrollments") && ask("*"));
        for other in ["", "SELECT * FROM devices", "SELECT * FROM enrollments WHERE x = 1"] {
            assert!(!ask(other), "{other}");
        }
    }
}
