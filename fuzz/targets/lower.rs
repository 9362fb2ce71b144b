//! Any Dockerfile, lowered: the part after a zero byte is a trigger of every base image.

#![cfg_attr(not(test), no_main)]

use dockerfile::Options;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let mut parts = text.splitn(2, |byte| *byte == 0);
    let text = parts.next().unwrap_or_default();
    let trigger = parts
        .next()
        .and_then(|trigger| std::str::from_utf8(trigger).ok());
    fuzz::lower(text, Options::default(), trigger);
});
