//! The words of a line at the prompt.

/// Words as a Unix shell splits them, with '…', "…" and \, and without all its other meanings.
pub fn split(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            ' ' | '\t' => words.extend(word.take()),
            '\'' | '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match letters.next() {
                        None => return Err(format!("a {letter} is not closed")),
                        Some(end) if end == letter => break,
                        Some('\\') if letter == '"' => match letters.next() {
                            Some(escaped @ ('"' | '\\')) => word.push(escaped),
                            Some(other) => word.extend(['\\', other]),
                            None => return Err(format!("a {letter} is not closed")),
                        },
                        Some(other) => word.push(other),
                    }
                }
            }
            '\\' => word.get_or_insert_default().extend(letters.next()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    Ok(words)
}

/// A word as it must be typed.
pub fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || "-_./:=@%+,".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_split_as_in_a_shell() {
        assert_eq!(
            split(r#"a  'b "c' "d \"e\\ \n" f\ g '' --x=y"#).unwrap(),
            ["a", "b \"c", "d \"e\\ \\n", "f g", "", "--x=y"]
        );
        assert!(split("a 'b").unwrap_err().contains("not closed"));
        for word in ["plain", "a b", "\"q\" \\", ""] {
            assert_eq!(split(&quoted(word)).unwrap(), [word]);
        }
    }
}
