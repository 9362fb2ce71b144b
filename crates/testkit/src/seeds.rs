//! Fuzz targets without a fuzzer: each is a test, over the seeds that are committed for it.

use std::path::Path;

/// What a target takes.
pub trait Input<'a>: Sized {
    /// Of the bytes of a seed; nothing if a fuzzer would not give them to the target.
    fn of(bytes: &'a [u8]) -> Option<Self>;
}

impl<'a> Input<'a> for &'a [u8] {
    fn of(bytes: &'a [u8]) -> Option<Self> {
        Some(bytes)
    }
}

impl<'a> Input<'a> for &'a str {
    fn of(bytes: &'a [u8]) -> Option<Self> {
        std::str::from_utf8(bytes).ok()
    }
}

/// The seeds of the target in the module `module`, of which there are some.
#[must_use]
pub fn of(module: &str) -> Vec<Vec<u8>> {
    let target = module.rsplit("::").next().unwrap_or(module);
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let files = std::fs::read_dir(corpus.join(target)).expect("the target has a corpus");
    let seeds = files.map(|file| std::fs::read(file.expect("a seed").path()).expect("a seed"));
    let seeds: Vec<Vec<u8>> = seeds.collect();
    assert!(!seeds.is_empty(), "{target} has no seeds");
    seeds
}

/// In the place of the fuzzer's macro: a test that gives the target each of its seeds once.
#[macro_export]
macro_rules! fuzz_target {
    (|$input:ident: $kind:ty| $body:block) => {
        #[test]
        fn seeds() {
            fn target($input: $kind) $body
            for seed in $crate::seeds::of(module_path!()) {
                if let Some(input) = <$kind as $crate::seeds::Input<'_>>::of(&seed) {
                    target(input);
                }
            }
        }
    };
}
