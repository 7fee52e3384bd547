//! What a terminal may get. Names, messages and paths come from scenarios, records and servers of other people: none of them
//! moves the cursor, renames the window, hides words or turns them round.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::report::Tone;

/// Begins a sequence that a terminal obeys.
const ESCAPE: char = '\u{1b}';

/// The text without characters that a terminal obeys or that change the order of others: they are told as `\u001b`, which JSON
/// reads as what it was. Line feeds and tabs stay. With `colors` the sequences of our own styles stay, too, and no others.
pub(super) fn harmless(text: &str, colors: bool) -> Cow<'_, str> {
    let Some(first) = text.find(obeyed) else { return text.into() };
    let (head, mut rest) = text.split_at(first);
    let mut safe = head.to_owned();
    while let Some(next) = rest.chars().next() {
        let taken = match next {
            ESCAPE if colors => own_style(rest).unwrap_or_default(),
            _ => 0,
        };
        let (style, after) = rest.split_at(taken);
        safe.push_str(style);
        rest = after;
        if taken == 0 {
            if obeyed(next) {
                let mut units = [0; 2];
                for unit in next.encode_utf16(&mut units) {
                    // Writing to a text never fails.
                    let _ = write!(safe, "\\u{unit:04x}");
                }
            } else {
                safe.push(next);
            }
            rest = &rest[next.len_utf8()..];
        }
    }
    safe.into()
}

/// Controls (C0, DEL, C1), separators of lines and paragraphs that only some programs know, marks of direction and invisible
/// characters that spell something else.
fn obeyed(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => true,
        '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}' => true,
        _ => c.is_control(),
    }
}

/// Length of the sequence at the beginning, when it is one of [`Tone`]'s, bold, underlined, or the end of these.
fn own_style(text: &str) -> Option<usize> {
    let numbers = text.strip_prefix("\u{1b}[")?;
    let end = numbers.find(|c: char| !c.is_ascii_digit() && c != ';').filter(|end| numbers[*end..].starts_with('m'))?;
    let mut parts = numbers[..end].split(';');
    while let Some(part) = parts.next() {
        let known = match part {
            "0" | "1" | "4" | "22" | "24" | "39" => true,
            "38" => {
                let color = (parts.next() == Some("5")).then(|| parts.next()?.parse::<u8>().ok()).flatten();
                color.is_some_and(|color| Tone::ALL.into_iter().any(|tone| tone.color() == color))
            }
            _ => false,
        };
        if !known {
            return None;
        }
    }
    Some("\u{1b}[".len() + end + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        let plain = "größer → 5\n\tend";
        assert_eq!(harmless(plain, false), plain);
        assert_eq!(
            harmless("a\u{1b}]0;title\x07b\rc\u{9b}2Jd\u{202e}e\x7f", true),
            r"a\u001b]0;title\u0007b\u000dc\u009b2Jd\u202ee\u007f"
        );
        assert_eq!(harmless("\u{e0041}", false), r"\udb40\udc41");
        // Hidden, blinking, in the first sixteen colours, over another line.
        for sequence in [
            "\u{1b}[8m",
            "\u{1b}[5m",
            "\u{1b}[31m",
            "\u{1b}[2A",
            "\u{1b}[38;5;16m",
            "\u{1b}[38;5m",
            "\u{1b}[m",
            "\u{1b}[",
        ] {
            assert!(!harmless(sequence, true).contains('\u{1b}'), "{sequence:?}");
        }
    }

    #[test]
    fn our_own_styles_stay_where_there_are_colours() {
        for tone in Tone::ALL {
            let styled = tone.style().style("word").to_string();
            assert_eq!(harmless(&styled, true), styled);
            assert!(!harmless(&styled, false).contains('\u{1b}'));
            let cell = tone.cell(comfy_table::Cell::new("x"));
            let mut table = comfy_table::Table::new();
            table.enforce_styling().add_row([cell]);
            let table = table.to_string();
            assert_eq!(harmless(&table, true), table);
        }
    }

    proptest! {
        #[test]
        fn json_stays_the_same_json(text in any::<String>()) {
            let json = serde_json::to_string(&text).unwrap();
            let printed = harmless(&json, false);
            prop_assert!(!printed.contains(obeyed));
            prop_assert_eq!(serde_json::from_str::<String>(&printed).unwrap(), text);
        }
    }
}
