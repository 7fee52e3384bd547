/// The mark with which Windows programs begin a text in UTF-8. It is no part of the text.
pub const BYTE_ORDER_MARK: &str = "\u{feff}";

/// A text without the mark. The text stays where it is, so that a secret is not copied.
#[must_use]
pub fn without_byte_order_mark(mut text: String) -> String {
    if text.starts_with(BYTE_ORDER_MARK) {
        text.drain(..BYTE_ORDER_MARK.len());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::without_byte_order_mark;

    #[test]
    fn one_mark_at_the_beginning_is_taken_away() {
        for (text, expected) in
            [("", ""), ("abc", "abc"), ("\u{feff}", ""), ("\u{feff}abc", "abc"), ("a\u{feff}", "a\u{feff}")]
        {
            assert_eq!(without_byte_order_mark(text.to_owned()), expected);
        }
    }
}
