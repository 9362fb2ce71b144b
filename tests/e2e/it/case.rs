//! A case of `cases/*.txt`: what is given, a Dockerfile, and all that is to come of it.
//!
//! ```text
//! ## a heading that states the behaviour
//! + lib/x 0600 = text\n
//! pack lib.tar.gz lib
//! env TOKEN=t
//! --build-arg A=1
//! ```dockerfile
//! FROM scratch
//! ```
//! x 0644 0:0 = text\n
//! Env ["A=1"]
//! ```
//!
//! The context of every case has `a`, `b` and `dir/c`. `+` adds to it, in the form of
//! `testkit::tree`; `pack` replaces paths by an archive of them. `{context}` is its path, `{url}`
//! a server of its files. A Dockerfile before the last one is built first; a line `again` builds
//! the last one twice, with the flags below it only the second time, and the outcome says what
//! ran then.

use testkit::Scratch;

use crate::kiln::{Kiln, Ran, tool};
use crate::matrix::EPOCH;

/// What every context has.
const FILES: &str = "a = A\\n\nb = B\\n\ndir/c = C\\n\n";
const OPEN: &str = "```dockerfile\n";
const CLOSE: &str = "```\n";

/// One case.
#[derive(Debug)]
pub(crate) struct Case<'a> {
    /// Its heading.
    pub(crate) title: &'a str,
    /// All of it.
    pub(crate) text: &'a str,
    /// All before what is to come.
    given: &'a str,
    builds: Vec<Build<'a>>,
}

/// A Dockerfile, and the lines above it.
#[derive(Debug)]
struct Build<'a> {
    lines: &'a str,
    dockerfile: &'a str,
}

/// The last build of a case.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) ran: Ran,
    /// Whether what ran is part of the outcome.
    pub(crate) is_again: bool,
    /// Holds what the build wrote, and all that it was given.
    pub(crate) scratch: Scratch,
}

/// Takes a file of cases apart.
pub(crate) fn split(text: &str) -> Vec<Case<'_>> {
    let is_start = |at: &usize| *at == 0 || text.as_bytes()[at - 1] == b'\n';
    let starts = text.match_indices("## ").map(|(at, _)| at).filter(is_start);
    let starts: Vec<usize> = starts.chain([text.len()]).collect();
    let cases = starts.windows(2);
    cases
        .map(|pair| Case::new(&text[pair[0]..pair[1]]))
        .collect()
}

impl<'a> Case<'a> {
    fn new(text: &'a str) -> Self {
        let (title, mut rest) = text.split_once('\n').unwrap();
        let mut builds = Vec::new();
        while let Some((lines, after)) = rest.split_once(OPEN) {
            let end = after.find(&format!("\n{CLOSE}")).unwrap() + 1;
            let dockerfile = &after[..end];
            builds.push(Build { lines, dockerfile });
            rest = &after[end + CLOSE.len()..];
        }
        Self {
            title: title.trim_start_matches("## "),
            text,
            given: &text[..text.len() - rest.len()],
            builds,
        }
    }

    /// Whether files of its context belong to others than root, which only root can arrange.
    pub(crate) fn has_others(&self) -> bool {
        let files = self.given.lines().filter(|line| line.starts_with("+ "));
        let words = files.flat_map(|line| line.split(' ').take_while(|word| *word != "="));
        let is_owner = |word: &str| {
            let ids = word.split_once(':');
            ids.is_some_and(|(user, group)| {
                user.parse::<u32>().is_ok() && group.parse::<u32>().is_ok()
            })
        };
        words
            .into_iter()
            .any(|word| is_owner(word) && word != "0:0")
    }

    /// Whether its image is the same every time: no address is in it.
    pub(crate) fn is_repeatable(&self) -> bool {
        !self.text.contains("{url}") && !self.text.contains("{context}")
    }

    /// The case with `outcome` as what is to come.
    pub(crate) fn with(&self, outcome: &str) -> String {
        format!("{}{outcome}\n", self.given)
    }

    /// Builds it; the result is in `out.tar` and `out.oci` of the scratch directory.
    pub(crate) fn run(&self, kiln: &Kiln) -> Done {
        let scratch = Scratch::new();
        testkit::tree::write(&scratch.dir("context"), FILES);
        let url = crate::server::serve(&scratch.join("context"));
        let mut last = None;
        let count = self.builds.len();
        for (number, build) in self.builds.iter().enumerate() {
            let step = Step {
                kiln,
                scratch: &scratch,
                url: &url,
                is_last: number + 1 == count,
            };
            last = Some(step.run(build));
        }
        let (mut ran, is_again) = last.unwrap_or_else(|| panic!("no Dockerfile: {}", self.title));
        let context = scratch.join("context").display().to_string();
        ran.stderr = ran.stderr.replace(&url, "{url}");
        ran.stderr = ran.stderr.replace(&context, "{context}");
        Done {
            ran,
            is_again,
            scratch,
        }
    }
}

/// One build of a case, and where it happens.
struct Step<'a> {
    kiln: &'a Kiln,
    scratch: &'a Scratch,
    url: &'a str,
    is_last: bool,
}

impl Step<'_> {
    fn run(&self, build: &Build<'_>) -> (Ran, bool) {
        let (lines, again) = match build.lines.split_once("again\n") {
            Some((lines, again)) => (lines, Some(again)),
            None => (build.lines, None),
        };
        let text = self.fill(build.dockerfile);
        let _written = self.scratch.file("Dockerfile", unescape(&text));
        let mut flags = self.give(lines);
        let mut ran = self.build(&flags);
        if let Some(again) = again {
            assert_eq!(ran.code, 0, "{}", ran.stderr);
            flags.extend(self.give(again));
            ran = self.build(&flags);
        }
        assert!(self.is_last || ran.code == 0, "{}", ran.stderr);
        (ran, again.is_some())
    }

    /// Does what the lines say; the flags among them, and variables of the environment.
    fn give(&self, lines: &str) -> Vec<Given> {
        let mut given = Vec::new();
        let context = self.scratch.join("context");
        for line in lines.lines().filter(|line| !line.is_empty()) {
            let line = self.fill(line);
            let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
            match word {
                "+" => testkit::tree::write(&context, rest),
                "pack" => pack(&context.display().to_string(), rest),
                "env" => {
                    let (name, value) = rest.split_once('=').unwrap();
                    given.push(Given::Variable(name.to_owned(), value.to_owned()));
                }
                flag if flag.starts_with("--") => {
                    given.push(Given::Flag(flag.to_owned()));
                    let value = (!rest.is_empty()).then(|| Given::Flag(rest.to_owned()));
                    given.extend(value);
                }
                other => panic!("{other:?} is nothing that a case has"),
            }
        }
        given
    }

    fn build(&self, given: &[Given]) -> Ran {
        let path = |name: &str| self.scratch.join(name).display().to_string();
        let mut command = self.kiln.command();
        command.env("SOURCE_DATE_EPOCH", EPOCH);
        command.args(["build", "--progress", "plain", "-f", &path("Dockerfile")]);
        for given in given {
            match given {
                Given::Flag(flag) => command.arg(flag),
                Given::Variable(name, value) => command.env(name, value),
            };
        }
        if self.is_last {
            command.args(["-o", &format!("type=tar,dest={}", path("out.tar"))]);
            command.args(["-o", &format!("type=oci,dest={}", path("out.oci"))]);
        }
        self.kiln.lend(self.scratch.path());
        crate::kiln::finish(command.arg(path("context")))
    }

    fn fill(&self, text: &str) -> String {
        let context = self.scratch.join("context").display().to_string();
        text.replace("{context}", &context)
            .replace("{url}", self.url)
    }
}

/// What a build is given on its command line.
enum Given {
    Flag(String),
    Variable(String, String),
}

/// Bytes that a text file cannot well hold.
fn unescape(text: &str) -> String {
    text.replace("<CR>", "\r")
        .replace("<TAB>", "\t")
        .replace("<BOM>", "\u{feff}")
}

/// Replaces paths by an archive of them; the name says how it is compressed.
fn pack(context: &str, line: &str) {
    let (archive, paths) = line.split_once(' ').unwrap();
    let mut arguments = vec!["-C", context, "--sort=name", "--mtime=@1", "--remove-files"];
    let archive = format!("{context}/{archive}");
    arguments.extend(["-caf", &archive]);
    arguments.extend(paths.split(' '));
    tool("tar", &arguments);
}
