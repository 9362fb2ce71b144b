//! Patterns and paths in, verdicts out.

use super::{Directory, Patterns, Verdict};

/// `pattern | path | whether it matches`, with patterns separated by commas.
const TABLE: &str = "
**            | file            | yes
**            | file/           | yes
**/           | file            | yes
**            | /               | yes
**/           | dir/file        | yes
**            | dir/file        | yes
**/**         | dir/file        | yes
dir/**        | dir/file        | yes
dir/**        | dir/dir2/file   | yes
dir/**        | dir             | no
**/dir        | dir             | yes
**/dir        | dir/file        | yes
**/dir2/*     | dir/dir2/file   | yes
**/dir2/*     | dir/dir2/d/file | yes
**/dir2/**    | dir/dir2/d/file | yes
**file        | file            | yes
**file        | dir/file        | yes
**/file       | dir/file        | yes
**file        | dir/dir/file    | yes
**/file*      | dir/dir/file    | yes
**/file*      | dir/dir/file.tx | yes
**/file*txt   | dir/dir/file.txt| yes
**/file*.txt* | dir/dir/file.txt| yes
**/**/*.txt   | dir/dir/file.txt| yes
**/**/*.txt2  | dir/dir/file.txt| no
**/*.txt      | file.txt        | yes
**/**/*.txt   | file.txt        | yes
a**/*.txt     | a/file.txt      | yes
a**/*.txt     | a/dir/file.txt  | yes
a**/*.txt     | a/dir/dir/f.txt | yes
a/*.txt       | a/dir/file.txt  | no
a/*.txt       | a/file.txt      | yes
a/*.txt**     | a/file.txt      | yes
a[b-d]e       | ae              | no
a[b-d]e       | ace             | yes
a[b-d]e       | aae             | no
a[^b-d]e      | aze             | yes
.*            | .foo            | yes
.*            | foo             | no
abc.def       | abcdef          | no
abc.def       | abc.def         | yes
abc.def       | abcZdef         | no
abc?def       | abcZdef         | yes
abc?def       | abcdef          | no
a\\*b         | a*b             | yes
a\\*b         | axb             | no
**/foo/bar    | foo/bar         | yes
**/foo/bar    | dir/foo/bar     | yes
**/foo/bar    | dir/dir2/foo/bar| yes
abc/**        | abc             | no
abc/**        | abc/def         | yes
abc/**        | abc/def/ghi     | yes
**/.foo       | .foo            | yes
**/.foo       | bar.foo         | no
./bar.*       | bar.txt         | yes
a(b)c/def     | a(b)c/def       | yes
a.|)$(}+{bc   | a.|)$(}+{bc     | yes
dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl | dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl | yes
dist/*.whl    | dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl | yes
fileutils.go  | fileutils.go    | yes
!fileutils.go | fileutils.go    | no
*,!fileutils.go | fileutils.go  | no
*,!x          | fileutils.go    | yes
docs,!docs/README.md | docs/README.md | no
docs/,!docs/README.md | docs/other | yes
docs/*,!docs/README.md | docs/README.md | no
docs/**,!docs/README.md | docs/a/README.md | yes
!docs,docs    | docs/x          | yes
foo,!foo/bar  | foo/bar/baz     | no
안녕?         | 안녕하           | yes
";

#[test]
fn table() {
    for line in TABLE.lines().filter(|line| !line.is_empty()) {
        let columns: Vec<&str> = line.split(" | ").map(str::trim).collect();
        let [list, path, expected] = columns[..] else {
            // Two columns run together when a path is long.
            let (list, rest) = line.split_once('|').unwrap();
            let (path, expected) = rest.rsplit_once('|').unwrap();
            check(list.trim(), path.trim(), expected.trim());
            continue;
        };
        check(list, path, expected);
    }
}

fn check(list: &str, path: &str, expected: &str) {
    let patterns = Patterns::new(list.split(',')).unwrap();
    assert_eq!(patterns.excludes(path), expected == "yes", "{list} {path}");
    if path.ends_with('/') {
        return;
    }
    // A walker that asks on the way down gets the same answer, and never skips too much.
    let (directories, file) = walk(&patterns, path);
    if directories.iter().any(|verdict| verdict.skip) {
        assert_eq!(expected, "yes", "{list} {path} was skipped");
    }
    assert_eq!(file.excluded, expected == "yes", "walking {list} {path}");
}

/// What is said of each directory on the way to `path`, and of the file there.
fn walk(patterns: &Patterns, path: &str) -> (Vec<Verdict>, Verdict) {
    let (directory, verdicts, name) = descend(patterns, path);
    (verdicts, directory.verdict(name, false))
}

/// The directory that `path` is in, what is said on the way to it, and the name there.
fn descend<'a>(patterns: &Patterns, path: &'a str) -> (Directory, Vec<Verdict>, &'a str) {
    let mut directory = patterns.root();
    let mut verdicts = Vec::new();
    let mut rest = path;
    while let Some((name, more)) = rest.split_once('/') {
        verdicts.push(directory.verdict(name, true));
        directory = directory.enter(name);
        rest = more;
    }
    (directory, verdicts, rest)
}

#[test]
fn an_exception_for_a_directory_counts_only_where_it_changes_something() {
    let patterns = Patterns::new(["docs/README.md", "!docs"]).unwrap();
    assert!(!patterns.excludes("docs/README.md"));
    // On the way down `!docs` takes nothing back, so it is not remembered for what is in it.
    let (_, readme) = walk(&patterns, "docs/README.md");
    assert!(readme.excluded);
}

#[test]
fn directories_are_skipped_when_nothing_beneath_is_wanted() {
    for (list, directory, skip) in [
        ("node_modules", "node_modules", true),
        ("*,!src", "target", true),
        ("*,!src", "src", false),
        ("*,!src/*.md", "src", false),
        ("*,!src/*.md", "src/deep", true),
        ("*,!**/*.md", "target", false),
        ("a,!a/b/c", "a", false),
        ("a,!a/b/c", "a/x", true),
        ("src", "lib", false),
    ] {
        let patterns = Patterns::new(list.split(',')).unwrap();
        let (above, _, name) = descend(&patterns, directory);
        let verdict = above.verdict(name, true);
        assert_eq!(verdict.skip, skip, "{list} {directory}");
    }
}

#[test]
fn files_are_read_line_by_line() {
    let text = "\u{feff}# comment\n  # not one\r\n\n/abs/./path/\n  !  /x/../y  \n.\n/\nfoo#bar\n";
    let patterns = Patterns::parse(text).unwrap();
    assert_eq!(
        patterns.to_lines(),
        ["# not one", "abs/path", "!y", ".", "/", "foo#bar"]
    );
}

#[test]
fn errors() {
    for (text, expected) in [
        ("!", "illegal exclusion pattern: \"!\""),
        ("  !  ", "illegal exclusion pattern: \"!\""),
        ("a[", "syntax error in pattern: \"a[\""),
        ("[]a]", "syntax error in pattern: \"[]a]\""),
        ("[-]", "syntax error in pattern: \"[-]\""),
        ("[^]", "syntax error in pattern: \"[^]\""),
        ("[z-a]", "syntax error in pattern: \"[z-a]\""),
        ("a\\", "syntax error in pattern: \"a\\\\\""),
    ] {
        let error = Patterns::parse(text).unwrap_err();
        assert_eq!(error.to_string(), expected, "{text}");
    }
}
