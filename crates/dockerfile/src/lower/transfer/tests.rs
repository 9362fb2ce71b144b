//! Destinations and modes of copies.

use super::*;

#[test]
fn destinations() {
    for (directory, written, expected) in [
        ("/", ".", "/"),
        ("/app", ".", "/app/"),
        ("/app", "", "/app/"),
        ("/app", "..", "/"),
        ("/app", "x", "/app/x"),
        ("/app/", "x/", "/app/x/"),
        ("/app", "./x/.", "/app/x/"),
        ("/app", "/x", "/x"),
        ("/app", "/", "/"),
        ("/app", "/x/../y/", "/y/"),
        ("/app", "../../..", "/"),
    ] {
        assert_eq!(
            destination(directory, written),
            expected,
            "{directory} {written}"
        );
    }
}

#[test]
fn modes() {
    for (text, expected) in [
        ("", "None"),
        ("755", "Some(Octal(493))"),
        ("07777", "Some(Octal(4095))"),
        ("u=rwX,go=rX", "Some(Symbolic(\"u=rwX,go=rX\"))"),
        ("+x", "Some(Symbolic(\"+x\"))"),
        ("u+w-x", "Some(Symbolic(\"u+w-x\"))"),
        ("go=u-w", "Some(Symbolic(\"go=u-w\"))"),
        (
            "17777",
            "invalid chmod parameter: '17777'. it should be octal string and between 0 and 07777",
        ),
        (
            "8",
            "invalid chmod parameter: '8'. it should be octal string and between 0 and 07777",
        ),
        (
            "rwx",
            "invalid chmod parameter: 'rwx': invalid syntax: expected such as u=rwX,go=rX",
        ),
        (
            "u+w,",
            "invalid chmod parameter: 'u+w,': invalid syntax: expected such as u=rwX,go=rX",
        ),
        (
            "u",
            "invalid chmod parameter: 'u': invalid syntax: expected such as u=rwX,go=rX",
        ),
        (
            "z+w",
            "invalid chmod parameter: 'z+w': invalid syntax: expected such as u=rwX,go=rX",
        ),
    ] {
        let shown = match parse_mode(text) {
            Ok(mode) => format!("{mode:?}"),
            Err(error) => error.to_string(),
        };
        assert_eq!(shown, expected, "{text}");
    }
}
