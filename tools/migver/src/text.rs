// SPDX-License-Identifier: GPL-2.0-only

//! Text from elsewhere, such as names of files and hosts, fit to be shown: it can neither drive a terminal nor
//! end a line of a log, nor look like something else.

/// Whether a character moves the cursor, ends a line, changes the direction of the text, or has no shape: text with
/// it could show something other than what it says.
pub fn is_hidden(character: char) -> bool {
    // Nearly all of them.
    if matches!(character, ' '..='~') {
        return false;
    }
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Returns the text with every [hidden](is_hidden) character escaped as in a Rust string.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_hidden(character) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Returns the text as one word of a command that a person can give to a shell; [`None`] if it has a
/// [hidden](is_hidden) character.
pub fn shell_word(text: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._:+,=@%-".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        return Some(text.to_owned());
    }
    (!text.chars().any(is_hidden)).then(|| format!("'{}'", text.replace('\'', "'\\''")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_stays_one_in_a_shell() {
        let word = |text| shell_word(text).unwrap();
        assert_eq!(word("/sys/bus/0000:00:05.0"), "/sys/bus/0000:00:05.0");
        assert_eq!(word(""), "''");
        assert_eq!(word("a b;$(c)"), "'a b;$(c)'");
        assert_eq!(word("it's"), "'it'\\''s'");
        assert_eq!(shell_word("a\nb"), None);
    }

    #[test]
    fn what_could_deceive_is_escaped_and_nothing_else() {
        assert_eq!(printable("node7 \"ä\" \\"), "node7 \"ä\" \\");
        assert_eq!(printable("a\n\t\r\u{1b}[2J"), "a\\n\\t\\r\\u{1b}[2J");
        assert_eq!(
            printable("\u{202e}b\u{2028}c\u{85}"),
            "\\u{202e}b\\u{2028}c\\u{85}"
        );
    }
}
