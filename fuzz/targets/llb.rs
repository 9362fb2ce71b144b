//! Any bytes as a definition. A file that a build op asks for holds the same bytes again.

#![cfg_attr(not(test), no_main)]

use libfuzzer_sys::fuzz_target;
use llb::{Loading, Options, Step};

fuzz_target!(|bytes: &[u8]| {
    let Ok(definition) = llb::decode(bytes) else {
        return;
    };
    let options = Options {
        ask_sources: true,
        ..Options::default()
    };
    let Ok(mut loading) = Loading::new(&definition, options) else {
        return;
    };
    while let Ok(step) = loading.step() {
        match step {
            Step::NeedSources(questions) => {
                for question in questions {
                    loading.decide(&question, question.source.clone());
                }
            }
            Step::NeedFile(_) if loading.answer(bytes).is_ok() => {}
            Step::NeedFile(_) | Step::Done(_) => return,
        }
    }
});
