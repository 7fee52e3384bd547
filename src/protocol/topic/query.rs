/// Parameters of a topic or user name: `name=value` pairs in any order, kept as sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    /// From the text after the last level; a leading `/` or `?` is skipped.
    pub fn new(text: &'a str) -> Self {
        Self(text.trim_start_matches(['/', '?']))
    }

    /// The value of a parameter as sent; names are compared without case, as the official SDKs do. The first one counts.
    pub fn get(self, name: &str) -> Option<&'a str> {
        self.pairs().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// All parameters as sent. One without `=` has an empty value.
    pub fn pairs(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.split('&').filter(|part| !part.is_empty()).map(|part| part.split_once('=').unwrap_or((part, "")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_come_in_any_order_and_case() {
        let query = Query::new("/?Retry-After=120&$rid=a%20b&flag&x=1=2");
        assert_eq!(query.get("retry-after"), Some("120"));
        assert_eq!(query.get("$rid"), Some("a%20b"));
        assert_eq!(query.get("flag"), Some(""));
        assert_eq!(query.get("x"), Some("1=2"));
        assert_eq!(query.get("y"), None);
    }
}
