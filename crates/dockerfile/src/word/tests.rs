//! Words in, words out; `error` stands for any error.

use super::{Lex, Variables};

struct List(&'static [(&'static str, &'static str)]);

impl Variables for List {
    fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .rev()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| *value)
    }
}

const VARIABLES: List = List(&[
    ("PWD", "/home"),
    ("SHELL", "bash"),
    ("NULL", ""),
    ("FOO", "xxyy"),
    ("STAR", "a***yy*"),
    ("PATHS", "/foo*/*/*.txt"),
    ("LINES", "one\ntwo"),
    ("SPACE", "abc  def"),
    ("LEAD", "  ab c"),
]);

fn check(lex: Lex, word: &str, expected: &str) {
    let shown = match lex.expand(word, &VARIABLES) {
        Ok(expanded) => expanded.text.into_owned(),
        Err(error) => format!("error: {error}"),
    };
    assert_eq!(shown, expected, "{word}");
}

#[test]
fn quotes_and_escapes() {
    for (word, expected) in [
        ("hello", "hello"),
        ("he'll'o", "hello"),
        (r"he\'llo", "he'llo"),
        (r"abc\tdef", "abctdef"),
        (r#""abc\tdef""#, r"abc\tdef"),
        (r#""abc\\tdef""#, r"abc\tdef"),
        (r"'abc\tdef'", r"abc\tdef"),
        (r"hello\", "hello"),
        (r"hello\\", r"hello\"),
        (r#""hel'lo""#, "hel'lo"),
        (r"'hello\'", r"hello\"),
        (r#""he\$PWD""#, "he$PWD"),
        (r"\${}", "${}"),
        (r"안\'녕", "안'녕"),
        ("a<b<<c", "a<b<<c"),
    ] {
        check(Lex::new('\\'), word, expected);
    }
    check(Lex::new('`'), r"a`$b\n", r"a$b\n");
}

#[test]
fn variables() {
    for (word, expected) in [
        ("$.", "$."),
        ("he$1x", "hex"),
        ("he$.x", "he$.x"),
        ("he$PWD", "he/home"),
        ("he${hi}xx", "hexx"),
        ("he${PWD:-000}xx", "he/homexx"),
        ("he${GONE:-${YYY:-yyy}}xx", "heyyyxx"),
        ("he${GONE:-\\${PWD}z}xx", "he${PWDz}xx"),
        ("he${PWD:+${PWD}:}xx", "he/home:xx"),
        ("${NULL-a}|${NULL:-a}|${GONE-a}", "|a|a"),
        ("${NULL+a}|${NULL:+a}|${GONE+a}", "a||"),
        ("${NULL?a}|${PWD:?a}", "|/home"),
        ("$@@@|${*:-b}|$001a|${999}a", "@@|b|a|a"),
        ("${aaa}}", "}"),
        ("${aaa:-bbb {foo}", "bbb {foo"),
        ("\"he'$PWD'\"", "he'/home'"),
        ("'$PWD'", "$PWD"),
    ] {
        check(Lex::new('\\'), word, expected);
    }
}

#[test]
fn patterns() {
    for (word, expected) in [
        ("${FOO#*x*y}", "y"),
        ("${FOO##*x}", "yy"),
        ("${FOO#*}", "xxyy"),
        ("${FOO##*}", ""),
        ("${FOO#}", "xxyy"),
        ("${FOO%y}|${FOO%%y*}|${FOO%x}", "xxy|xx|xxyy"),
        (r"${STAR%%\**\*}", "a"),
        ("${LINES##*}", "\ntwo"),
        (
            r"${PATHS/\*\//.} - ${PATHS//\*\//.}",
            "/foo.*/*.txt - /foo..*.txt",
        ),
        ("${PWD/home/x}", "/x"),
        ("${PWD//o/00}", "/h00me"),
        (r"${PWD//\//\/}", r"\/home"),
        ("${FOO//y/}", "xx"),
        ("${FOO///-}", "-x-x-y-y-"),
        ("${FOO/z/-}", "xxyy"),
    ] {
        check(Lex::new('\\'), word, expected);
    }
}

#[test]
fn errors() {
    for (word, expected) in [
        (
            "he'llo",
            "unexpected end of statement while looking for matching single-quote",
        ),
        (
            "\"hello\\\"",
            "unexpected end of statement while looking for matching double-quote",
        ),
        ("${}", "syntax error: bad substitution"),
        ("${:-bbb}", "syntax error: bad substitution"),
        ("${{aaa}", "syntax error: bad substitution"),
        ("${", "syntax error: missing '}'"),
        ("${aaa", "syntax error: missing '}'"),
        ("${aaa:-bbb", "syntax error: missing '}'"),
        ("${aaa:-bbb ${foo}", "syntax error: missing '}'"),
        ("he${.}", "unsupported modifier (.) in substitution"),
        ("he${GONE:YYY}", "unsupported modifier (:Y) in substitution"),
        (
            "he${PWD:=000}xx",
            "unsupported modifier (:=) in substitution",
        ),
        ("${FOO:#}", "unsupported modifier (:#) in substitution"),
        ("${GONE?}", "GONE: is not allowed to be unset"),
        ("${NULL:?}", "NULL: is not allowed to be empty"),
        ("${GONE:?give it}", "GONE: give it"),
        ("${FOO//ww}", "syntax error: missing '/' in ${}"),
        (
            "${FOO#\\a}",
            "invalid pattern (\\a) in substitution: invalid escape '\\a'",
        ),
    ] {
        let expected = format!(
            "error: failed to process {}: {expected}",
            crate::quote::quote(word)
        );
        check(Lex::new('\\'), word, &expected);
    }
}

#[test]
fn unset_variables_can_stay() {
    let lex = Lex {
        keep_unset: true,
        raw_quotes: true,
        ..Lex::new('\\')
    };
    for (word, expected) in [
        (
            "echo \"$PWD\" '$PWD' $GONE ${GONE:-a} ${GONE/a/b}",
            "echo \"/home\" '$PWD' $GONE ${GONE:-a} ${GONE/a/b}",
        ),
        ("${GONE}", "${GONE}"),
    ] {
        check(lex, word, expected);
    }
}

#[test]
fn splits() {
    for (text, expected) in [
        ("hello${SPACE}bye", "helloabc,defbye"),
        ("hello\"${SPACE}\"bye", "helloabc  defbye"),
        ("hello${LEAD}def", "hello,ab,cdef"),
        ("hello\" there  \"", "hello there  "),
        ("hello there     ", "hello,there"),
        (r"hello\ there", "hello there"),
        ("a<< EOF b", "a<< EOF,b"),
        ("x${NOPE:-y}z", "xyz"),
    ] {
        let words = Lex::new('\\').words(text, &VARIABLES).unwrap();
        assert_eq!(words.join(","), expected, "{text}");
    }
}

#[test]
fn deep_and_long_words_are_refused() {
    let deep = format!("{}x{}", "${a:-".repeat(500), "}".repeat(500));
    let error = Lex::new('\\').expand(&deep, &VARIABLES).unwrap_err();
    assert!(
        error.to_string().ends_with("nested more than 64 deep"),
        "{error}"
    );
    let long = "$PWD".repeat(super::MAX_WORD / 4);
    let error = Lex::new('\\').expand(&long, &VARIABLES).unwrap_err();
    assert!(
        error.to_string().ends_with("has more than 1048576 bytes"),
        "{error}"
    );
}
