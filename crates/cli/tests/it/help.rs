//! Help pages.

use cli::args::{self, Parsed};

use crate::arguments::words;

fn page(line: &str) -> String {
    match args::parse(&words(line), 100) {
        Ok(Parsed::Print(text)) => text,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn pages() {
    let lines = [
        "kiln --help",
        "kiln build --help",
        "kiln buildx build -h",
        "kiln run --help",
        "kiln create --help",
        "kiln cp --help",
        "kiln container cp --help",
        "kiln ps --help",
        "kiln rm --help",
        "kiln images --help",
        "kiln image ls --help",
        "kiln inspect --help",
        "kiln history --help",
        "kiln history ls --help",
        "kiln history inspect --help",
        "kiln history logs --help",
        "kiln history why --help",
        "kiln history rm --help",
        "kiln tag --help",
        "kiln rmi --help",
        "kiln pull --help",
        "kiln push --help",
        "kiln save --help",
        "kiln load --help",
        "kiln du --help",
        "kiln prune --help",
        "kiln version --help",
        "kiln completion --help",
        "kiln image",
        "kiln container",
        "kiln builder",
        "kiln imagetools",
        "kiln imagetools create --help",
        "kiln buildx imagetools inspect --help",
        "kiln system",
        "kiln store",
        "kiln store fsck --help",
        "kiln store gc --help",
        "kiln builder create --help",
        "kiln builder use --help",
        "kiln builder ls --help",
        "kiln builder inspect --help",
        "kiln builder rm --help",
        "kiln builder stop --help",
        "kiln builder prune --help",
        "kiln image prune --help",
        "kiln cache mounts",
        "kiln cache mounts ls --help",
        "kiln cache mounts show --help",
        "kiln cache mounts du --help",
        "kiln cache mounts rm --help",
        "kiln cache mounts export --help",
        "kiln cache mounts import --help",
        "kiln cache mounts limit --help",
    ];
    let pages = lines.map(|line| format!("$ {line}\n{}", page(line)));
    golden!(pages.join("\n"));
}

#[test]
fn nothing_typed_is_a_question_for_help() {
    assert_eq!(page("kiln"), page("kiln --help"));
}
