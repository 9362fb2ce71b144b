//! Any word with variables, expanded where both escape characters are in force.

#![cfg_attr(not(test), no_main)]

use dockerfile::Options;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|word: &str| {
    let word: String = word
        .chars()
        .filter(|char| !matches!(char, '\n' | '\r'))
        .collect();
    for escape in ["\\", "`"] {
        let text = format!(
            "# escape={escape}\nFROM scratch\nARG a=one\nARG b=\"t*o\" c\n\
             ENV A={word}\nLABEL l={word}\nWORKDIR /{word}\nSTOPSIGNAL {word}\n"
        );
        fuzz::lower(text.as_bytes(), Options::default(), None);
    }
});
