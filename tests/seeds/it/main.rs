//! The fuzz targets, each over the seeds that are committed for it: what no input may do is seen of
//! these without a fuzzer. The targets' own files are compiled here, and the macro in them is that of
//! `testkit`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "test code, and what is a library for the fuzzer"
)]

// By these names the targets know what they share, and what runs them.
extern crate self as fuzz;
extern crate testkit as libfuzzer_sys;

#[path = "../../../fuzz/src/lib.rs"]
mod shared;

use shared::{LIMITS, Place, connection, lower};

/// Targets by the names of their files.
macro_rules! targets {
    ($($name:ident = $path:literal),* $(,)?) => {
        $(#[path = $path] mod $name;)*

        #[test]
        fn all_are_here() {
            let files = std::fs::read_dir("../../fuzz/targets").unwrap();
            let names = files.map(|file| file.unwrap().path().file_stem().unwrap().to_owned());
            let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
            names.sort();
            assert_eq!(names, [$(stringify!($name)),*]);
        }
    };
}

targets! {
    bake = "../../../fuzz/targets/bake.rs",
    cache = "../../../fuzz/targets/cache.rs",
    docker = "../../../fuzz/targets/docker.rs",
    documents = "../../../fuzz/targets/documents.rs",
    git = "../../../fuzz/targets/git.rs",
    heredoc = "../../../fuzz/targets/heredoc.rs",
    http = "../../../fuzz/targets/http.rs",
    ignore = "../../../fuzz/targets/ignore.rs",
    llb = "../../../fuzz/targets/llb.rs",
    lower = "../../../fuzz/targets/lower.rs",
    parse = "../../../fuzz/targets/parse.rs",
    sync = "../../../fuzz/targets/sync.rs",
    tar = "../../../fuzz/targets/tar.rs",
    upgrade = "../../../fuzz/targets/upgrade.rs",
    upload = "../../../fuzz/targets/upload.rs",
    word = "../../../fuzz/targets/word.rs",
}
