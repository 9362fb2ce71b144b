//! Any bytes as a definition. A file that a build op asks for holds the same bytes again.

#![cfg_attr(not(test), no_main)]

use libfuzzer_sys::fuzz_target;
use llb::{Loading, Options, Step};

fuzz_target!(|bytes: &[u8]| {
    let Ok(definition) = llb::decode(bytes) else {
        return;
    };
    let Ok(mut loading) = Loading::new(&definition, Options::default()) else {
        return;
    };
    while let Ok(Step::NeedFile(_)) = loading.step() {
        if loading.answer(bytes).is_err() {
            return;
        }
    }
});
