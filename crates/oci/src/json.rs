//! JSON as Go's `encoding/json` writes it, so that documents look like those of other builders.
//!
//! Go escapes `<`, `>`, `&`, U+2028 and U+2029 inside strings; serde does not.

use serde::Serialize;

/// The bytes of `value`, without white space.
///
/// # Errors
/// `value` has a map whose keys are not strings.
pub fn to_canonical_json<T: Serialize>(value: &T) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = Vec::with_capacity(512);
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, GoEscapes);
    value.serialize(&mut serializer)?;
    Ok(bytes)
}

/// The JSON `compact`, which has no white space, over several lines: as Go's `MarshalIndent` has it
/// with two spaces.
#[must_use]
pub fn indented(compact: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(compact.len() * 2);
    let (mut depth, mut opened) = (0usize, false);
    let (mut in_string, mut is_escaped) = (false, false);
    for &byte in compact {
        if in_string {
            bytes.push(byte);
            in_string = is_escaped || byte != b'"';
            is_escaped = !is_escaped && byte == b'\\';
            continue;
        }
        let closes = matches!(byte, b'}' | b']');
        depth = depth.saturating_sub(usize::from(closes));
        // What is empty stays on one line.
        if opened != closes {
            break_line(&mut bytes, depth);
        }
        opened = matches!(byte, b'{' | b'[');
        depth += usize::from(opened);
        in_string = byte == b'"';
        bytes.push(byte);
        match byte {
            b':' => bytes.push(b' '),
            b',' => break_line(&mut bytes, depth),
            _ => {}
        }
    }
    bytes
}

fn break_line(bytes: &mut Vec<u8>, depth: usize) {
    bytes.push(b'\n');
    bytes.extend(std::iter::repeat_n(b' ', depth * 2));
}

struct GoEscapes;

impl serde_json::ser::Formatter for GoEscapes {
    fn write_string_fragment<W: ?Sized + std::io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> std::io::Result<()> {
        let mut plain = 0;
        for (at, character) in fragment.char_indices() {
            let escape = match character {
                '<' => "\\u003c",
                '>' => "\\u003e",
                '&' => "\\u0026",
                '\u{2028}' => "\\u2028",
                '\u{2029}' => "\\u2029",
                _ => continue,
            };
            writer.write_all(&fragment.as_bytes()[plain..at])?;
            writer.write_all(escape.as_bytes())?;
            plain = at + character.len_utf8();
        }
        writer.write_all(&fragment.as_bytes()[plain..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_as_go_does() {
        let bytes = to_canonical_json(&["a<b>&c\u{2028}é\n"]).unwrap();
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            r#"["a\u003cb\u003e\u0026c\u2028é\n"]"#
        );
    }

    #[test]
    fn indents_as_go_does() {
        let compact = br#"{"a":[],"b":{},"c":[1,"x,\"{y}\\"],"d":{"e":null}}"#;
        let expected = r#"{
  "a": [],
  "b": {},
  "c": [
    1,
    "x,\"{y}\\"
  ],
  "d": {
    "e": null
  }
}"#;
        assert_eq!(String::from_utf8(indented(compact)).unwrap(), expected);
    }
}
