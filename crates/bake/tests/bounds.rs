//! However hostile a bake file is, it comes to an end and takes bounded room.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bake::{File, Given};

/// What a file comes to: nothing, or the error without its place.
fn outcome(name: &str, text: String, target: &str) -> String {
    let files = [File {
        name: name.to_owned(),
        text,
    }];
    let given = Given {
        environment: BTreeMap::from([("BIG".to_owned(), "x".repeat(60_000))]),
        ..Given::default()
    };
    let selected = bake::read(&files, &given)
        .and_then(|definitions| definitions.select(&[target.to_owned()], &[]));
    match selected {
        Ok(_) => String::new(),
        Err(error) => error.problem.to_string(),
    }
}

fn hcl(text: String) -> String {
    outcome("docker-bake.hcl", text, "default")
}

/// So many blocks, each of which is made of its number and that of the one before.
fn chain(count: usize, block: impl Fn(usize, usize) -> String) -> String {
    let mut text = String::new();
    for number in 1..=count {
        let _ = writeln!(text, "{}", block(number, number - 1));
    }
    text
}

const TOO_LARGE: &str = "its values take more than 67108864 bytes";

#[test]
fn targets_lead_to_others_in_many_ways() {
    let inherits = |count| {
        let targets = chain(count, |number, before| {
            format!("target \"t{number}\" {{ inherits = [\"t{before}\", \"t{before}\"] }}")
        });
        let first = "target \"t0\" { args = { A = \"a\" } }";
        let last = format!("target \"default\" {{ inherits = [\"t{count}\"] }}");
        hcl(format!("{targets}\n{first}\n{last}"))
    };
    assert_eq!(inherits(60), "");
    assert!(inherits(3000).contains("inherits through more than 100 others"));
    let contexts = |count| {
        let targets = chain(count, |number, before| {
            let contexts = format!("a = \"target:t{before}\", b = \"target:t{before}\"");
            format!("target \"t{number}\" {{\n contexts = {{ {contexts} }}\n}}")
        });
        let last = format!("target \"default\" {{\n contexts = {{ a = \"target:t{count}\" }}\n}}");
        hcl(format!("target \"t0\" {{}}\n{targets}\n{last}"))
    };
    assert_eq!(contexts(60), "");
    assert!(contexts(3000).contains("is needed through more than 100 others"));
    let groups = chain(3000, |number, before| {
        format!("group \"t{number}\" {{ targets = [\"t{before}\", \"t{before}\"] }}")
    });
    let text = format!("target \"t0\" {{}}\n{groups}");
    assert_eq!(outcome("docker-bake.hcl", text, "t3000"), "");
}

#[test]
fn values_grow() {
    let long = "x".repeat(2000);
    let of = |value: &str| hcl(format!("a = {value}\ntarget \"default\" {{ tags = a }}"));
    for value in [
        format!("[for i in range(1024): [for j in range(1024): \"{long}\"]]"),
        "[for i in range(1024): [for j in range(1024): [for k in range(1024): i if false]]]"
            .to_owned(),
        "\"%{ for i in range(1024) }%{ for j in range(1024) }%{ for k in range(1024) }\
         %{ endfor }%{ endfor }%{ endfor }\""
            .to_owned(),
    ] {
        assert_eq!(of(&value), TOO_LARGE, "{value:.60}");
    }
    let items = format!("[for i in range(200): \"${{i}}{long}\"]");
    let product = of(&format!("setproduct({items}, {items})"));
    assert!(product.contains("too much room"), "{product}");
    let list = of(&format!(
        "formatlist(\"%s {long}\", [for i in flatten([for i in range(64): range(1024)]): i])"
    ));
    assert!(list.contains("the result has more than"), "{list}");
    let format = format!("format(\"{}\", 1)", "%[1]1000d".repeat(5000));
    assert!(of(&format).contains("the result has more than"));
}

#[test]
fn work_is_done_over_and_over() {
    let functions = chain(40, |number, before| {
        let result = format!("f{before}(x) + f{before}(x)");
        format!("function \"f{number}\" {{\n params = [x]\n result = {result}\n}}")
    });
    let first = "function \"f0\" {\n params = [x]\n result = x\n}";
    let calls = format!("{first}\n{functions}\ntarget \"default\" {{ tags = [f40(1)] }}");
    assert_eq!(hcl(calls), TOO_LARGE);
    let axis = format!("[for i in range(60): \"${{i}}{}\"]", "x".repeat(10_000));
    let matrix =
        format!("target \"default\" {{\n matrix = {{ a = {axis}, b = {axis} }}\n name = \"x\"\n}}");
    assert_eq!(hcl(matrix), TOO_LARGE);
    let secrets = "[for i in flatten([for i in range(20): range(1000)]): { id = i }]";
    let secrets = hcl(format!("target \"default\" {{ secret = {secrets} }}"));
    assert_eq!(secrets, "");
}

#[test]
fn compose_files_grow() {
    let labels = chain(1000, |number, _| format!("      l{number}: \"$BIG$BIG\""));
    let text = format!("services:\n  default:\n   build:\n    labels:\n{labels}");
    assert_eq!(outcome("compose.yaml", text, "default"), TOO_LARGE);
}

#[test]
fn expressions_look_at_a_text_for_long() {
    let of = |value: &str| hcl(format!("a = {value}\ntarget \"default\" {{ tags = [a] }}"));
    let began = std::time::Instant::now();
    let longer =
        "variable \"BIG\" {}\nb = join(\"\", [BIG, BIG, BIG, BIG, BIG, BIG, BIG, BIG, BIG, BIG])\n";
    for value in [
        "regex(\"(x+x+)+y\", b)",
        "regexall(\"(x{1,8}){1,8}y\", b)",
        "[for i in range(1024): [for j in range(1024): regexall(\"(x|y)*z\", b)]]",
        "regex_replace(b, \"x\", b)",
        // Each match is short, and each is looked for to the end.
        "regexall(\"x.*z|x\", b)",
        "regex_replace(b, \"x.*z|x\", \"\")",
    ] {
        let found = hcl(format!(
            "{longer}a = {value}\ntarget \"default\" {{ tags = [a] }}"
        ));
        assert_ne!(found, "", "{value}");
    }
    let words = "[for word in range(1000): \"a b c\"]";
    let found = format!("length(regexall(\"[a-z]+\", join(\" \", {words})))");
    assert_eq!(of(&format!("\"is-${{{found}}}\"")), "");
    assert!(of("regex(\"((((x{1000}){1000}){1000}){1000}){1000}\", \"x\")").contains("invalid"));
    assert!(began.elapsed() < std::time::Duration::from_secs(60));
}
