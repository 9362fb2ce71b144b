//! Any text after the beginning of a heredoc, of each instruction that has them.

#![cfg_attr(not(test), no_main)]

use dockerfile::Options;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for start in [
        "RUN <<E",
        "RUN <<-\"E\" cat <<'F' ",
        "COPY <<E ",
        "ADD <<E <<-F ",
    ] {
        let text = format!("FROM scratch\nARG a=b\n{start}{text}\nE\nF\n");
        fuzz::lower(text.as_bytes(), Options::default(), None);
    }
});
