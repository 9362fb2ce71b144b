//! Any text as the URL of a file, with a checksum or without.

#![cfg_attr(not(test), no_main)]

use dockerfile::Options;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (checksum, rest) = text.split_once('\n').unwrap_or(("", text));
    let url = rest.replace(['\n', '\0', '\\'], "");
    let flag = match checksum {
        "" => String::new(),
        checksum => format!("--checksum={checksum} "),
    };
    let dockerfile = format!("FROM scratch\nADD {flag}https://{url} /x/\n");
    fuzz::lower(dockerfile.as_bytes(), Options::default(), None);
});
