//! What stands below the options in `--help`, as sections of a manual page. Printed as it is, a manual page would run its
//! examples into each other.

use std::fmt::Write as _;

/// Commands of examples are indented by so much, what is said about them by more.
const INDENT: &str = "  ";

/// Headings of `--help` and of the manual.
const SECTIONS: [(&str, &str); 2] = [("Examples:", "EXAMPLES"), ("Exit codes:", "EXIT STATUS")];

/// As roff.
pub(super) fn sections(help: &str) -> String {
    let mut roff = String::new();
    let mut lines = help.lines().peekable();
    // Whether the last line was one of prose, which the next one goes on with.
    let mut prose = false;
    while let Some(line) = lines.next() {
        let heading = SECTIONS.iter().find(|(said, _)| *said == line);
        let text = line.trim();
        let is_example = line.starts_with(INDENT) && !line.starts_with("      ");
        // Writing to a string cannot fail.
        let _ = match heading {
            Some((_, heading)) => writeln!(roff, ".SH \"{heading}\""),
            None if text.is_empty() => Ok(()),
            None if is_example => match code_and_meaning(text) {
                Some((code, meaning)) => writeln!(roff, ".TP\n\\fB{code}\\fR\n{}", escaped(meaning)),
                None => {
                    let mut command = text.to_owned();
                    while let (Some(begun), Some(more)) = (command.strip_suffix('\\'), lines.peek()) {
                        command = format!("{}{}", begun, more.trim());
                        lines.next();
                    }
                    writeln!(roff, ".TP\n\\fB{}\\fR", escaped(&command))
                }
            },
            None if line.starts_with(INDENT) => writeln!(roff, "{}", escaped(text)),
            None if prose => writeln!(roff, ".br\n{}", escaped(text)),
            None => writeln!(roff, "{}{}", if roff.is_empty() { ".SH NOTES\n" } else { ".PP\n" }, escaped(text)),
        };
        prose = heading.is_none() && !text.is_empty() && !line.starts_with(' ');
    }
    roff
}

/// Of a line such as `  7  generator saturated`.
fn code_and_meaning(text: &str) -> Option<(u8, &str)> {
    let (code, meaning) = text.split_once("  ")?;
    Some((code.parse().ok()?, meaning))
}

/// Without meaning to roff; hyphens stay what can be copied into a shell.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-").replace('…', "...");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_become_tagged_paragraphs_and_codes_a_section_of_their_own() {
        let help = "\
Examples:
  fleetstorm run a.toml --set x=1 \\
        --set y=2
      what it does,
      in two lines
  .profile

A note.
Another.

Exit codes:
    0  done
  130  interrupted
";
        assert_eq!(
            sections(help),
            "\
.SH \"EXAMPLES\"
.TP
\\fBfleetstorm run a.toml \\-\\-set x=1 \\-\\-set y=2\\fR
what it does,
in two lines
.TP
\\fB\\&.profile\\fR
.PP
A note.
.br
Another.
.SH \"EXIT STATUS\"
.TP
\\fB0\\fR
done
.TP
\\fB130\\fR
interrupted
"
        );
        assert!(sections("Try it").starts_with(".SH NOTES\nTry it"));
    }
}
