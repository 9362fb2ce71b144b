//! Sources in, findings out.

use super::check;

fn found(path: &str, text: &str) -> Vec<String> {
    check(path, text).iter().map(ToString::to_string).collect()
}

#[test]
fn a_clean_file() {
    let text = "\
//! What it is for.

fn f() {
    // SAFETY: nothing is touched.
    let x = unsafe { g() };
    // SAFETY: the value outlives the call,
    // and nothing else holds it.
    let long = with_a_name_so_long_that_it_breaks(1)
        .unwrap_or_else(|| unsafe { g() });
}
";
    assert_eq!(found("crates/sys/src/a.rs", text), [""; 0]);
}

#[test]
fn each_rule_of_the_source() {
    let text = include_str!("each_rule.txt");
    assert_eq!(
        found("crates/oci/src/a.rs", text),
        [
            "crates/oci/src/a.rs: header: the file does not start with a `//!` header",
            "crates/oci/src/a.rs:2: allow-attribute: `allow` goes stale; use `expect` with a reason",
            "crates/oci/src/a.rs:7: unsafe: unsafe block outside of crates/sys/",
            "crates/oci/src/a.rs:7: safety-comment: unsafe block without a `// SAFETY:` comment above it",
            "crates/oci/src/a.rs:8: unfinished: `todo!` says that this is not done",
            "crates/oci/src/a.rs:11: unsafe: unsafe impl outside of crates/sys/",
        ]
    );
}

#[test]
fn a_comment_of_an_earlier_statement_does_not_count() {
    let text = "\
//! H.
fn f() {
    // SAFETY: the first only.
    unsafe { g() };
    unsafe { h() };
}
";
    assert_eq!(
        found("crates/sys/src/a.rs", text),
        [
            "crates/sys/src/a.rs:5: safety-comment: unsafe block without a `// SAFETY:` comment above it"
        ]
    );
}

#[test]
fn lengths() {
    let body = "    x();\n".repeat(99);
    let text = format!("//! H.\nfn just() {{\n{}}}\n", "    x();\n".repeat(98));
    assert_eq!(found("a.rs", &text), [""; 0]);

    let text = format!("//! H.\nimpl X {{\n    fn long() {{\n{body}    }}\n}}\n");
    assert_eq!(
        found("a.rs", &text),
        ["a.rs:3: function-length: `long` has 101 lines, of 100 at most"]
    );

    let text = format!("//! H.\n{}", "\n".repeat(800));
    assert_eq!(
        found("a.rs", &text),
        ["a.rs: file-length: 801 lines, of 800 at most"]
    );
}

#[test]
fn text_that_is_not_rust() {
    assert_eq!(
        found("a.rs", "//! H.\nfn ();\n"),
        ["a.rs:2: syntax: expected identifier"]
    );
}
