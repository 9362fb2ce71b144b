//! Text in quotes as Go's `%q` writes it, which is what error texts and history entries have.

use std::fmt::Write as _;

/// `text` in double quotes.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{b}' => quoted.push_str("\\v"),
            ' '..='~' => quoted.push(character),
            _ => push_rare(&mut quoted, character),
        }
    }
    quoted.push('"');
    quoted
}

/// `["a" "b"]`, as Go's `%q` writes a list.
pub(crate) fn quote_list(texts: &[String]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| quote(text)).collect();
    format!("[{}]", quoted.join(" "))
}

/// `[a b]`, as Go's `%v` writes a list.
pub(crate) fn plain_list(texts: &[String]) -> String {
    format!("[{}]", texts.join(" "))
}

fn push_rare(quoted: &mut String, character: char) {
    let code = u32::from(character);
    // A leading letter, since only at the start of a text are combining marks escaped.
    let shown: String = format!("a{character}").escape_debug().collect();
    let printable = !shown.contains("\\u{");
    let _never_fails = match code {
        _ if printable => {
            quoted.push(character);
            Ok(())
        }
        0..0x80 => write!(quoted, "\\x{code:02x}"),
        0x80..0x1_0000 => write!(quoted, "\\u{code:04x}"),
        _ => write!(quoted, "\\U{code:08x}"),
    };
}
