//! Any text as the name of a repository, as a context and in `ADD`.

#![cfg_attr(not(test), no_main)]

use dockerfile::Options;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let source = dockerfile::git_context(text, None);
    if let Ok(Some(source)) = source {
        let subdirectory = source.subdirectory.unwrap_or_default();
        assert!(!subdirectory.split('/').any(|part| part == ".."));
    }
    if !text.contains(['\n', '\0']) {
        let dockerfile = format!("FROM scratch\nADD {text} /x\n");
        fuzz::lower(dockerfile.as_bytes(), Options::default(), None);
    }
});
