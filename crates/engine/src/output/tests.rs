//! What an ignore file costs a walk: `cargo test --release -p engine ignore_file -- --ignored
//! --nocapture`. The files stay in the directory for temporary files and are found there again.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use graph::LocalSource;
use snapshot::{Dir, Kind};

use super::LocalTree;

const FILES: usize = 100_000;

const EXTENSIONS: [&str; 14] = [
    "rs", "ts", "tsx", "js", "json", "md", "css", "py", "go", "txt", "html", "svg", "yaml", "d.ts",
];

/// 100,000 files, 40 to a directory; of each fifty, one is left out.
fn files() -> PathBuf {
    let root = std::env::temp_dir().join("kiln-100000-files");
    let mut made = 0;
    for service in 0.. {
        for part in ["src", "src/net", "src/net/http", "test", "docs/guide"] {
            let directory = root.join(format!("services/service-{service}/{part}"));
            if made == FILES || service == 0 && directory.exists() {
                return root;
            }
            fs::create_dir_all(&directory).unwrap();
            for number in made..made + 40 {
                let extension = match number % 50 {
                    0 => ["log", "o", "tmp"][number / 50 % 3],
                    other => EXTENSIONS[other % EXTENSIONS.len()],
                };
                let name = directory.join(format!("module_{number}.{extension}"));
                fs::write(name, "").unwrap();
            }
            made += 40;
        }
    }
    root
}

/// 200 patterns: names at the root, directories and all beneath, names and extensions anywhere,
/// globs, and some that take back.
fn patterns() -> Vec<String> {
    let mut patterns: Vec<String> = [".git", "node_modules", "target", "dist/**", "**/.DS_Store"]
        .map(str::to_owned)
        .into();
    for n in 0..5 {
        patterns.push(format!("**/*~{n}"));
        patterns.push(format!("services/*/cache-{n}"));
        patterns.push(format!("services/**/generated-{n}/*.rs"));
    }
    for n in 0..29 {
        patterns.push(format!("build-{n}"));
        patterns.push(format!("packages/package-{n}/out/**"));
        patterns.push(format!("**/cache-{n}"));
        patterns.push(format!("**/*.x{n}"));
        patterns.push(format!("services/service-{n}/secret.env"));
        patterns.push(format!("!build-{n}/keep.txt"));
    }
    patterns.extend(
        [
            "**/Thumbs.db",
            "**/*.log",
            "**/*.o",
            "**/*.tmp",
            "!**/keep.log",
            "**/test_*_old*",
        ]
        .map(str::to_owned),
    );
    assert_eq!(patterns.len(), 200);
    patterns
}

/// How many files there are, and whether each is looked at besides.
fn walk(dir: &Dir, stat: bool) -> usize {
    let entries = dir.entries().unwrap();
    let mut files = 0;
    for entry in &entries {
        if entry.kind == Kind::Directory {
            files += walk(&dir.enter(entry).unwrap(), stat);
            continue;
        }
        if stat {
            dir.stat(entry).unwrap();
        }
        files += 1;
    }
    files
}

fn fastest(root: &Path, patterns: &[String], stat: bool, expected: usize) -> Duration {
    let tree = LocalTree::new(
        root.to_owned(),
        &LocalSource {
            name: String::new(),
            include: Vec::new(),
            exclude: patterns.to_vec(),
            follow: Vec::new(),
        },
    );
    let once = || {
        let start = Instant::now();
        let files = walk(tree.tree().unwrap().root(), stat);
        let taken = start.elapsed();
        assert_eq!(files, expected);
        taken
    };
    (0..15).map(|_| once()).min().unwrap()
}

#[test]
#[ignore = "measures time: needs an optimised build and a quiet machine"]
#[expect(clippy::print_stdout, reason = "the times are what it is run for")]
fn an_ignore_file_adds_less_than_a_third_to_a_walk() {
    let root = files();
    let patterns = patterns();
    for (what, stat) in [("names", false), ("names and stat", true)] {
        let plain = fastest(&root, &[], stat, FILES);
        let filtered = fastest(&root, &patterns, stat, FILES - FILES / 50);
        println!("{what} of {FILES} files: {plain:.1?}, with 200 patterns {filtered:.1?}");
        assert!(filtered < plain * 4 / 3, "{what}: {plain:?}, {filtered:?}");
    }
}
