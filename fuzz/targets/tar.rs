//! Any bytes as a layer, unpacked beneath a directory beside which nothing may change.

#![cfg_attr(not(test), no_main)]

use libfuzzer_sys::fuzz_target;
use snapshot::apply::{self, Below, Options};

fuzz_target!(|archive: &[u8]| {
    let place = fuzz::Place::new();
    let options = Options {
        below: Below::Unknown,
        limits: fuzz::LIMITS,
        hash: true,
        ..Options::default()
    };
    if let Ok(applied) = apply::tar(archive, &place.inside(), &options) {
        assert!(applied.size <= fuzz::LIMITS.size);
    }
    place.check();
});
