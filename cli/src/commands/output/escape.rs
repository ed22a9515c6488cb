//! Text from a server, shown without what a terminal would obey: control characters (ESC and the C1 bytes begin
//! commands), and marks that turn the direction of text or end its line.

use std::borrow::Cow;
use std::fmt::Write;

/// Whether a terminal may do something else with a character than show it.
pub fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{feff}')
        || ('\u{202a}'..='\u{202e}').contains(&letter)
        || ('\u{2066}'..='\u{2069}').contains(&letter)
}

/// Text in one line, with each hidden character as Rust writes it: `\n`, `\u{1b}`.
pub fn printable(text: &str) -> Cow<'_, str> {
    printable_but(text, |_| false)
}

/// Text with its lines and tabs left as they are.
pub fn printable_lines(text: &str) -> Cow<'_, str> {
    printable_but(text, |letter| matches!(letter, '\n' | '\t'))
}

fn printable_but(text: &str, keep: impl Fn(char) -> bool) -> Cow<'_, str> {
    let is_shown = |letter: char| !is_hidden(letter) || keep(letter);
    if text.chars().all(is_shown) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match letter {
            _ if is_shown(letter) => shown.push(letter),
            '\n' | '\r' | '\t' => shown.extend(letter.escape_default()),
            // Writing to a string can't fail.
            _ => {
                let _ = write!(shown, "\\u{{{:x}}}", u32::from(letter));
            }
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_that_it_would_obey() {
        let text = "a\x1b]0;t\x07\u{9b}2J\u{7f}\u{202e}\u{2066}\u{2028}\r\n\tü";
        assert_eq!(
            printable(text),
            "a\\u{1b}]0;t\\u{7}\\u{9b}2J\\u{7f}\\u{202e}\\u{2066}\\u{2028}\\r\\n\\tü"
        );
        assert!(printable_lines(text).ends_with("\\r\n\tü"));
        assert!(matches!(printable("plain ünï 😀"), Cow::Borrowed(_)));
    }
}
