//! `build --check`, `--call` and `--fix`.

use std::fs;
use std::path::Path;

use crate::kiln::{Kiln, Project, finish};

fn ask(kiln: &Kiln, project: &Project, arguments: &[&str]) -> (i32, String, String) {
    let path = project.path().to_str().unwrap();
    let ran = kiln.run(["build"].iter().chain(arguments).chain([&path]));
    (ran.code, ran.stdout, ran.stderr)
}

#[test]
fn a_check_needs_neither_store_nor_network() {
    let kiln = Kiln::with_mirror("127.0.0.1:1");
    let project = Project::of("FROM alpine:3.22\nMAINTAINER me\nENV A=$HOME\n");
    let (code, stdout, stderr) = ask(&kiln, &project, &["--check"]);
    let expected = "Check complete, 1 warning has been found!\n\n\
        WARNING: MaintainerDeprecated - https://docs.docker.com/go/dockerfile/rule/maintainer-deprecated/\n\
        Maintainer instruction is deprecated in favor of using label\n\
        fix: use LABEL org.opencontainers.image.authors=…\n\
        Dockerfile:2\n--------------------\n   1 |     FROM alpine:3.22\n   2 | >>> MAINTAINER me\n   \
        3 |     ENV A=$HOME\n   4 |     \n--------------------\n";
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (1, expected, ""));
    assert!(!kiln.root().exists());

    let project = Project::of("FROM alpine:3.22\n");
    for arguments in [&["--check"][..], &["--call=check"], &["--call", "lint"]] {
        let clean = "Check complete, no warnings found.\n".to_owned();
        assert_eq!(ask(&kiln, &project, arguments), (0, clean, String::new()));
    }
}

#[test]
fn what_the_store_knows_of_a_base_counts() {
    let kiln = Kiln::new();
    let project = Project::of("FROM alpine\nENV A=$NOPE\n");
    let found = |arguments: &[&str]| {
        let (_, stdout, _) = ask(&kiln, &project, arguments);
        stdout.contains("Usage of undefined variable '$NOPE'")
    };
    assert!(!found(&["--check"]));
    assert!(found(&["--check", "--pull=missing"]));
    assert!(found(&["--check"]), "the image is in the store by now");
}

#[test]
fn every_platform_is_looked_at() {
    let kiln = Kiln::new();
    let project = Project::of(
        "FROM scratch AS base-amd64\nENV A=$BOTH\n\
         FROM scratch AS base-arm64\nARG MORE\nENV A=$BOTH$ARM\n\
         FROM base-$TARGETARCH AS out\nARG TARGETARCH\nENV A=$OUT\n",
    );
    let found = |platforms: &str| {
        let check = ["--check", "--target=out", "--platform", platforms];
        let (_, stdout, _) = ask(&kiln, &project, &check);
        ["$BOTH", "$ARM", "$OUT"].map(|name| {
            let text = format!("Usage of undefined variable '{name}'");
            stdout.matches(&text).count()
        })
    };
    assert_eq!(found("linux/amd64"), [1, 0, 1]);
    assert_eq!(found("linux/amd64,linux/arm64"), [2, 1, 1]);
    let outline = |platforms: &str| {
        let outline = ["--call=outline", "--target=out", "--platform", platforms];
        ask(&kiln, &project, &outline)
    };
    assert!(outline("linux/arm64").1.contains("MORE"));
    let (code, _, stderr) = outline("linux/amd64,linux/arm64");
    assert_eq!(code, 1);
    assert!(stderr.contains("name one of them"), "{stderr}");
    // An argument that every platform has is told without the value of one.
    let project = Project::of("FROM scratch\nARG TARGETARCH\nARG A=1\n");
    let platforms = "linux/amd64,linux/arm64";
    let outline = ["--call=outline", "--platform", platforms];
    let (code, stdout, _) = ask(&kiln, &project, &outline);
    assert_eq!(code, 0);
    assert!(
        stdout.contains("A ") && !stdout.contains("amd64"),
        "{stdout}"
    );
}

#[test]
fn errors_are_shown_together() {
    let project = Project::of("FROM scratch\nFOO x\nCOPY --form=a /b /c\nMAINTAINER me\n");
    let kiln = Kiln::new();
    let (code, stdout, stderr) = ask(&kiln, &project, &["--check"]);
    assert_eq!(code, 1);
    assert!(stdout.contains("WARNING: MaintainerDeprecated"), "{stdout}");
    let expected = "ERROR: dockerfile parse error on line 2: unknown instruction: FOO (did you mean FROM?)\n\
        Dockerfile:2\n--------------------\n   1 |     FROM scratch\n   2 | >>> FOO x\n     |     ^^^\n   \
        3 |     COPY --form=a /b /c\n   4 |     MAINTAINER me\n--------------------\n\n\
        ERROR: dockerfile parse error on line 3: unknown flag: --form (did you mean from?)\n\
        Dockerfile:3\n--------------------\n   1 |     FROM scratch\n   2 |     FOO x\n   \
        3 | >>> COPY --form=a /b /c\n     |          ^^^^^^\n   4 |     MAINTAINER me\n   5 |     \n\
        --------------------\n";
    assert_eq!(stderr, expected);

    let (code, stdout, stderr) = ask(&kiln, &project, &["--check", "--format", "json"]);
    assert_eq!((code, stderr.as_str()), (1, ""));
    let answer: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(answer["errors"].as_array().unwrap().len(), 2);
    assert_eq!(answer["buildError"], answer["errors"][0]);
    let place = &answer["errors"][1]["place"];
    assert_eq!(place["start"]["character"], 5);
    assert_eq!(place["end"]["character"], 11);
    assert_eq!(answer["warnings"][0]["ruleName"], "MaintainerDeprecated");
    assert_eq!(answer["warnings"][0]["fixable"], true);
}

#[test]
fn questions() {
    let project = Project::of(
        "ARG TAG=3.22\n# base has everything\nFROM alpine:$TAG AS base\n# NAME of it\nARG NAME=x\n\
         FROM base AS app\nRUN --mount=type=secret,id=key,required=true --mount=type=ssh x\n",
    );
    let kiln = Kiln::with_mirror("127.0.0.1:1");
    let of = |arguments: &[&str]| {
        let (code, stdout, stderr) = ask(&kiln, &project, arguments);
        assert_eq!((code, stderr.as_str()), (0, ""));
        stdout
    };
    assert_eq!(
        of(&["--call=targets"]),
        "TARGET        DESCRIPTION\nbase          has everything\napp (default) \n"
    );
    assert_eq!(
        of(&["--call=outline", "--build-arg", "NAME=y"]),
        "TARGET: app\n\nBUILD ARG   VALUE   DESCRIPTION\nTAG         3.22    \nNAME        y       of it\n\n\
         SECRET   REQUIRED\nkey      true\n\nSSH       REQUIRED\ndefault   \n\n"
    );
    let outline: serde_json::Value =
        serde_json::from_str(&of(&["--call=outline,format=json", "--target=base"])).unwrap();
    assert_eq!(outline["name"], "base");
    assert_eq!(outline["description"], "has everything");
    assert_eq!(outline["args"][1]["name"], "NAME");
    assert_eq!(
        outline["args"][1]["location"]["ranges"][0]["start"]["line"],
        5
    );

    let ran = kiln.run(["build", "--call=x", "."]);
    let expected = "ERROR: invalid argument \"x\" for \"--call\" flag: expected build, check, context, outline, targets or subrequests.describe";
    assert_eq!(ran.error(), expected);
}

#[test]
fn fixes() {
    let kiln = Kiln::new();
    let project = Project::of("from alpine:3.22 as Base\nENV A b c\nRUN echo $A\nCMD [\"x\"]\n");
    let (code, stdout, _) = ask(&kiln, &project, &["--check", "--fix"]);
    let expected = "4 faults have been fixed.\n \
        - Dockerfile:1: ConsistentInstructionCasing: `from` is now `FROM`\n \
        - Dockerfile:1: StageNameCasing: `Base` is now `base`\n \
        - Dockerfile:2: LegacyKeyValueFormat: `A b c` is now `A=\"b c\"`\n \
        - Dockerfile:1: FromAsCasing: `as` is now `AS`\n\n\
        Check complete, no warnings found.\n";
    assert_eq!((code, stdout.as_str()), (0, expected));
    let fixed = fs::read_to_string(project.join("Dockerfile")).unwrap();
    assert_eq!(
        fixed,
        "FROM alpine:3.22 AS base\nENV A=\"b c\"\nRUN echo $A\nCMD [\"x\"]\n"
    );
    let (_, stdout, _) = ask(&kiln, &project, &["--check", "--fix"]);
    assert_eq!(stdout, "Check complete, no warnings found.\n");
    let ran = kiln.run_with(
        &["build", "--check", "--fix", "-"],
        b"from scratch\nENV A=1\nENV B=1\n",
    );
    assert!(
        ran.error()
            .starts_with("ERROR: --fix has no file to rewrite")
    );
}

#[test]
fn the_examples_are_clean() {
    let kiln = Kiln::with_mirror("127.0.0.1:1");
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut open = vec![examples];
    let mut checked = 0;
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() {
                open.push(path);
            } else if name.starts_with("Dockerfile") {
                let (file, context) = (path.to_str().unwrap(), directory.to_str().unwrap());
                let stdout = kiln.ok(["build", "--check", "-f", file, context]);
                assert_eq!(stdout, "Check complete, no warnings found.\n", "{file}");
                checked += 1;
            }
        }
    }
    assert!(checked >= 6, "only {checked} files were found");
}

#[test]
fn what_can_be_asked() {
    let kiln = Kiln::new();
    assert_eq!(
        kiln.ok(["build", "--call=subrequests.describe", "."]),
        "NAME                 VERSION DESCRIPTION\n\
         outline              1.0.0   List all parameters current build target supports\n\
         targets              1.0.0   List all targets current build supports\n\
         lint                 1.0.0   Lint a Dockerfile\n\
         subrequests.describe 1.0.0   List available subrequest types\n"
    );
    let json = kiln.ok(["build", "--call=subrequests.describe,format=json", "."]);
    let list: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(list[0]["name"], "frontend.outline");
    assert_eq!(list[0]["opts"][0]["name"], "target");
}

#[test]
fn files_of_a_context() {
    let kiln = Kiln::with_mirror("127.0.0.1:1");
    let project = Project::new(&[
        ("Dockerfile", "FROM scratch\n"),
        ("src/main.c", "int main;\n"),
        ("src/main.o", &"o".repeat(1500)),
        ("node_modules/a/index.js", "12345"),
        ("node_modules/b/index.js", "12345"),
        ("logs/keep.log", "k"),
        ("logs/old.log", "oo"),
        (
            ".dockerignore",
            "# comment\n**/*.o\nnode_modules/\n*/*.log\n!logs/keep.log\n.dockerignore\n",
        ),
    ]);
    std::os::unix::fs::symlink("main.c", project.join("src/link.c")).unwrap();
    let answer = "\
        SIZE      FILE\n\
        13B       Dockerfile\n\
        1B        logs/keep.log\n\
        6B        src/link.c\n\
        10B       src/main.c\n\
        \n\
        SIZE      FILES     EXCLUDED        PATTERN\n\
        68B       1         .dockerignore   .dockerignore\n\
        2B        1         logs/old.log    */*.log\n\
        10B       2         node_modules/   node_modules\n\
        1.5kB     1         src/main.o      **/*.o\n\
        \n\
        4 files, 30B; left out: 5 files, 1.58kB\n";
    let (code, stdout, stderr) = ask(&kiln, &project, &["--call=context"]);
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (0, answer, ""));
    let (_, json, _) = ask(&kiln, &project, &["--call=context,format=json"]);
    for part in [
        "\"totalFiles\": 4",
        "\"excludedSize\": 1580",
        "\"pattern\": \"**/*.o\"",
        "\"type\": \"symlink\"",
    ] {
        assert!(json.contains(part), "{part}: {json}");
    }
    assert!(!kiln.root().exists());
    // What the list says is what a copy reads.
    project.write("Dockerfile", "FROM scratch\nCOPY . /\n");
    let copied = kiln.files(&project, &[]);
    let paths: Vec<&str> = copied
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    for path in ["Dockerfile", "logs/keep.log", "src/link.c", "src/main.c"] {
        assert!(paths.contains(&path), "{copied}");
    }
    assert!(
        !copied.contains(".o ") && !copied.contains("node_modules"),
        "{copied}"
    );
    let url = kiln.run(["build", "--call=context", "https://127.0.0.1:1/r.git"]);
    assert!(url.error().ends_with(
        "a list of the files of a context that is no directory of this machine is not \
             supported by kiln: name a directory"
    ));
}

/// However many directories are in one, few are open at a time.
#[test]
fn a_context_of_many_directories() {
    let kiln = Kiln::with_mirror("127.0.0.1:1");
    let project = Project::new(&[("Dockerfile", "FROM scratch\n"), (".dockerignore", "out\n")]);
    for number in 0..100 {
        project.write(&format!("in/{number}/file"), "1");
        project.write(&format!("out/{number}/file"), "12");
    }
    let mut shell = kiln.shell("ulimit -n 64; exec \"$0\" build --call=context .");
    let listed = finish(shell.current_dir(project.path())).ok();
    let sums = "\n102 files, 117B; left out: 100 files, 200B\n";
    assert!(listed.ends_with(sums), "{listed}");
}
