//! Any text as each kind of bake file: what can be read of it is selected, and printed as JSON.

#![cfg_attr(not(test), no_main)]

use bake::{File, Given};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let given = Given::default();
    for name in ["docker-bake.hcl", "docker-bake.json", "compose.yaml"] {
        let files = [File {
            name: name.to_owned(),
            text: text.to_owned(),
        }];
        let _ = bake::variable_files(&files, &given);
        let Ok(definitions) = bake::read(&files, &given) else {
            continue;
        };
        let Ok(selection) = definitions.select(&["*".to_owned()], &[]) else {
            continue;
        };
        let printed = selection.to_json();
        assert!(serde_json::from_str::<serde_json::Value>(&printed).is_ok());
    }
    let _ = bake::dot_env(text, &given.environment);
});
