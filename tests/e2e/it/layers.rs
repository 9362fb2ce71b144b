//! What a step leaves is one layer, over overlayfs and in a chroot: what differs afterwards.

use crate::kiln::{Kiln, Project, finish};
use crate::matrix::{self, EPOCH};

/// Each is done in a directory of its own, whose files have the time 1000000.
const STEPS: &[(&str, &str)] = &[
    ("nothing", "true"),
    ("a file is new", "echo new >n"),
    ("a file is written to", "echo more >>d/f"),
    ("a file is opened for writing", ": >>d/f"),
    (
        "a file gets what it has",
        "chmod 644 d/f && chown 0:0 d/f && touch -d @1000000 d/f",
    ),
    ("a file gets another mode", "chmod 600 d/f"),
    (
        "a file is written anew with what it had",
        "cp -p d/f t && mv t d/f && touch -d @1000000 d .",
    ),
    (
        "a directory gets what it has",
        "chmod 755 d && chown 0:0 d && touch -d @1000000 d",
    ),
    ("a directory gets another mode", "chmod 700 d"),
    ("a file comes and goes", "touch d/t && rm d/t"),
    (
        "a file comes and goes unseen",
        "touch d/t && rm d/t && touch -d @1000000 d",
    ),
    ("a directory goes", "rm -r d"),
    ("a directory is emptied", "rm -r d/*"),
    ("a directory is made anew", "rm -r d && mkdir d"),
    (
        "a directory is made anew with other files",
        "rm -r d/e && mkdir d/e && echo 2 >d/e/h",
    ),
    ("a directory becomes a file", "rm -r d && echo d >d"),
    (
        "a file becomes a directory",
        "rm d/f && mkdir d/f && touch d/f/x",
    ),
    ("a file becomes a link", "rm d/f && ln -s e d/f"),
    ("a link leads elsewhere", "ln -sfn e s"),
    ("a directory is renamed", "mv d/e d/E"),
    ("a directory is moved up", "mv d/e E"),
    (
        "a directory takes the place of another",
        "rm -r w && mv d/e w",
    ),
    ("a file is renamed", "mv d/f d/F"),
    ("a file takes the place of another", "mv w/w d/f"),
    ("one of two names goes", "rm d/one"),
    ("one of two names is renamed", "mv d/one w/one"),
    ("both names go", "rm d/one d/e/two"),
    ("a file gets another name", "ln d/f w/f"),
    (
        "a file gets another name for a while",
        "ln d/f t && rm t && touch -d @1000000 .",
    ),
    ("a pipe comes", "mkfifo d/p"),
    (
        "nothing is in a directory any more",
        "rm w/w && touch -d @1000000 w",
    ),
];

fn dockerfile() -> String {
    let mut text = "FROM alpine\nRUN ".to_owned();
    for number in 0..STEPS.len() {
        text += &format!(
            "mkdir -p /{number}/d/e /{number}/w && cd /{number} && echo 1 >d/f && echo 2 >d/one && \
             ln d/one d/e/two && echo g >d/e/g && echo w >w/w && ln -s d s && \
             find . ! -type l | xargs touch -d @1000000 && "
        );
    }
    text += "true\n";
    for (number, (name, script)) in STEPS.iter().enumerate() {
        text += &format!("# {name}\nRUN cd /{number} && {script}\n");
    }
    text
}

/// The layers, lowest first.
fn layers(project: &Project, isolation: &str) -> Vec<String> {
    let kiln = Kiln::new();
    let mut command = kiln.command();
    command
        .env("KILN_ISOLATION", isolation)
        .args(["build", "-t", "app:1", "--build-arg"])
        .arg(format!("SOURCE_DATE_EPOCH={EPOCH}"))
        .arg(project.path());
    let ran = finish(&mut command);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let format = "{{range .RootFS.Layers}}{{.}}\n{{end}}";
    let told = kiln.ok(["inspect", "--format", format, "app:1"]);
    told.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn a_step_leaves_what_differs() {
    let project = Project::of(&dockerfile());
    let [overlay, chroot] = ["namespaces", "chroot"].map(|name| layers(&project, name));
    for (number, layer) in overlay.iter().enumerate() {
        matrix::note(&format!("layer {number} of {}", module_path!()), layer);
    }
    let steps = STEPS.len();
    assert_eq!((overlay.len(), chroot.len()), (steps + 2, steps + 2));
    let last = |layers: &[String]| layers[layers.len() - steps - 1..].to_vec();
    let pairs = last(&overlay).into_iter().zip(last(&chroot));
    let names = ["what is changed"]
        .into_iter()
        .chain(STEPS.iter().map(|(name, _)| *name));
    let other: Vec<&str> = names
        .zip(pairs)
        .filter(|(_, (overlay, chroot))| overlay != chroot)
        .map(|(name, _)| name)
        .collect();
    assert!(other.is_empty(), "other layers: {other:?}");
}
