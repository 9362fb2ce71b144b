//! Accounts of ordinary users, and what they lack.

use super::*;

fn account() -> Account {
    let passwd = "root:x:0:0::/:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n";
    Account {
        uid: 1000,
        gid: 1000,
        name: name_of(1000, passwd),
    }
}

#[test]
fn lines_of_an_account() {
    let text = "bob:100000:65536\nann:200000:10\n1000:300000:20\nann:x:1\nann:400000:0\n\
                1000:200009:10\n";
    let found = ranges(&account(), text);
    let starts: Vec<_> = found
        .iter()
        .map(|range| (range.start, range.count))
        .collect();
    assert_eq!(starts, [(200_000, 10), (300_000, 20)]);
    let nameless = Account {
        name: None,
        ..account()
    };
    assert_eq!(ranges(&nameless, text).len(), 2);
}

#[test]
fn what_lacks_is_named_with_what_to_do() {
    let lines = "ann:100000:65536\n";
    let program = || Some(PathBuf::from("/usr/bin/x"));
    let check = |users, groups, first: Option<PathBuf>, expected: &[&str]| {
        let mapping = Mapping::from(&account(), (users, groups), (first, program()));
        let lacks = match mapping {
            Mapping::Subordinate(_) => Vec::new(),
            Mapping::Single(lacks) => lacks,
        };
        let told = lacks
            .iter()
            .map(|lack| format!("{lack}; {}", lack.remedy()));
        assert_eq!(told.collect::<Vec<_>>(), expected);
    };
    check(lines, lines, program(), &[]);
    check(
        lines,
        "",
        None,
        &[
            "newuidmap is not installed; install newuidmap and newgidmap (package uidmap, or \
             shadow-utils)",
            "/etc/subgid has no line for ann; as root: echo ann:100000:65536 >> /etc/subgid",
        ],
    );
    // Nobody is told to take what others have.
    check(
        "bob:165536:65536\neve:100000:65536\n",
        lines,
        program(),
        &["/etc/subuid has no line for ann; as root: echo ann:231072:65536 >> /etc/subuid"],
    );
}
