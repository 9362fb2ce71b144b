//! Configs of caches: chains, and what leads nowhere.

use super::*;

#[test]
fn refuses_what_leads_nowhere() {
    let blob = Digest::of(b"");
    for (text, expected) in [
        ("{}", "ok"),
        ("7", "invalid cache config"),
        (
            r#"{"layers":[{"blob":"B","parent":0}]}"#,
            "invalid cache config: layer 0 does not exist or leads to itself",
        ),
        (
            r#"{"layers":[{"blob":"B","parent":7}]}"#,
            "invalid cache config: layer 7 does not exist or leads to itself",
        ),
        (
            r#"{"records":[{"digest":"B","layers":[{"layer":3}]}]}"#,
            "invalid cache config: layer 3 does not exist or leads to itself",
        ),
        (
            r#"{"records":[{"digest":"B","inputs":[[{"link":9}]]}]}"#,
            "invalid cache config: record 9 does not exist or leads to itself",
        ),
    ] {
        let text = text.replace('B', &blob.to_string());
        let found = match CacheConfig::parse(text.as_bytes()) {
            Ok(_) => "ok".to_owned(),
            Err(error) => error.to_string(),
        };
        assert_eq!(found, expected, "{text}");
    }
}

/// Many layers on top of a long chain are checked in one look at each, and no chain is too long.
#[test]
fn chains_are_bounded() {
    let blob = Digest::of(b"");
    let config = |length: usize| {
        let below = (0..length).map(|place| index_of(place) - 1);
        let top = std::iter::repeat_n(index_of(length) - 1, 100_000);
        CacheConfig {
            layers: below
                .chain(top)
                .map(|parent| CacheLayer { blob, parent })
                .collect(),
            records: Vec::new(),
        }
    };
    assert!(config(MAX_CHAIN - 1).check().is_ok());
    assert_eq!(
        config(MAX_CHAIN).check().unwrap_err().to_string(),
        "invalid cache config: layer 4096 does not exist or leads to itself"
    );
}

#[test]
fn own_keys_read_as_they_were_written() {
    let keys = OwnKeys::new([7; 32], Some([9; 32]));
    assert_eq!(keys.read(), Some(([7; 32], Some([9; 32]))));
    let later = OwnKeys { version: 2, ..keys };
    assert_eq!(later.read(), None);
}
