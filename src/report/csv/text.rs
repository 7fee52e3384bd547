//! Texts that a spreadsheet must not take for formulas.

use std::borrow::Cow;

/// Begins a formula where it begins a cell, the wide forms too.
const FORMULA: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

/// A spreadsheet that was set up for another separator begins a cell behind these, whatever stands in quotes.
const SEPARATORS: [char; 5] = [',', ';', '|', '"', '\t'];

/// Free text as a field, whoever wrote it: where a cell would begin with what begins a formula, an apostrophe stands before it, as
/// OWASP advises against CSV injection. Numbers of our own never come here.
pub(in crate::report) fn text(words: &str) -> Cow<'_, str> {
    let begins_cell = |before: Option<char>| before.is_none_or(|c| SEPARATORS.contains(&c));
    let mut before = None;
    let mut guarded = String::new();
    let mut copied = 0;
    for (place, c) in words.char_indices() {
        if FORMULA.contains(&c) && begins_cell(before) {
            guarded.push_str(&words[copied..place]);
            guarded.push('\'');
            copied = place;
        }
        before = Some(c);
    }
    if guarded.is_empty() {
        return Cow::Borrowed(words);
    }
    guarded.push_str(&words[copied..]);
    Cow::Owned(guarded)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_would_be_a_formula_is_text() {
        for (words, field) in [
            ("=HYPERLINK(\"http://x\",1)", "'=HYPERLINK(\"http://x\",1)"),
            ("+1+1", "'+1+1"),
            ("-2", "'-2"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t'=1"),
            ("＝1", "'＝1"),
            ("bad;=1+1", "bad;'=1+1"),
            ("bad,@x and \"-1\"", "bad,'@x and \"'-1\""),
        ] {
            assert_eq!(text(words), field);
        }
        for words in ["", "Unauthorized: CA, \"not found\"", "a=b", "x - y, -5 days", "storm.total.p99 < 2s", "dev-1"] {
            assert!(matches!(text(words), Cow::Borrowed(same) if same == words), "{words}");
        }
    }

    proptest! {
        #[test]
        fn no_cell_begins_a_formula_and_nothing_is_lost(words in "[=+@a;,\"\t -]{0,20}") {
            let field = text(&words);
            let cells = field.split(SEPARATORS);
            prop_assert!(cells.clone().all(|cell| !cell.starts_with(FORMULA)), "{field}");
            prop_assert_eq!(field.replace('\'', ""), words);
        }
    }
}
