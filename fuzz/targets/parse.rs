//! Any bytes as a Dockerfile.

#![cfg_attr(not(test), no_main)]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let parsed = dockerfile::parse(text);
    for finding in &parsed.diagnostics {
        assert!(finding.render(&parsed.source).ends_with('\n'));
    }
});
