//! Policies of collection, written and by default.

use super::*;
use crate::Config;

const DISK: Disk = Disk {
    total: 1_000_000_000_000,
    free: 500_000_000_000,
};

/// The rules in one line each.
fn rules(text: &str, disk: Disk) -> Vec<String> {
    let config = Config::parse(text).unwrap();
    let told = |name: &str, told: &Option<Told<u64>>| match told {
        Some(told) => format!(" {name} {} = {}", told.text, told.value),
        None => String::new(),
    };
    let line = |rule: &Rule| {
        let filters: Vec<String> = rule.filters.iter().map(ToString::to_string).collect();
        format!(
            "{}:{}{}{}{}{}{}",
            rule.name,
            if rule.all { " all" } else { "" },
            filters
                .iter()
                .map(|filter| format!(" {filter}"))
                .collect::<String>(),
            rule.unused_for
                .as_ref()
                .map_or_else(String::new, |age| format!(" unused for {}", age.text)),
            told("reserved", &rule.reserved),
            told("max used", &rule.max_used),
            told("min free", &rule.min_free),
        )
    };
    config.gc.rules(disk).iter().map(line).collect()
}

#[test]
fn the_default_policy_follows_the_disk() {
    let large =
        " reserved 10GB = 10000000000 max used 100GB = 100000000000 min free 20% = 200000000000";
    assert_eq!(
        rules("", DISK),
        [
            "gc rule 1: type==\"exec.cachemount\" type==\"source.git.checkout\" unused for 7d max used 512MB = 512000000".to_owned(),
            format!("gc rule 2: unused for 60d{large}"),
            format!("gc rule 3:{large}"),
            format!("gc rule 4: all{large}"),
            "gc rule 5: all type==\"internal\" unused for 30d".to_owned(),
        ]
    );
    let small = Disk {
        total: 50_000_000_000,
        free: 1,
    };
    assert_eq!(
        rules("", small)[2],
        "gc rule 3: reserved 10% = 5000000000 max used 80% = 40000000000 min free 20% = 10000000000"
    );
    assert_eq!(
        rules("[gc]\nmax-used-space = \"2GB\"\n", DISK)[2],
        "gc rule 3: max used 2GB = 2147483648"
    );
}

#[test]
fn a_policy_of_ones_own() {
    let text = "[[gc.policy]]\nall = true\nfilters = [\"type==regular,id~=ab\"]\n\
         keep-duration = \"48h\"\nreserved-space = 1000\n\
         [[gc.policy]]\nkeep-duration = 60\nmin-free-space = \"5%\"\n";
    assert_eq!(
        rules(text, DISK),
        [
            "gc rule 1: all type==\"regular\",id~=\"ab\" unused for 48h reserved 1000 = 1000",
            "gc rule 2: unused for 60 min free 5% = 50000000000",
        ]
    );
    let config = Config::parse("[gc]\nenabled = false\ninterval = \"10m\"\n").unwrap();
    assert!(!config.gc.enabled);
    assert_eq!(config.gc.interval, Duration::from_secs(600));
}

#[test]
fn errors_name_the_key_and_the_line() {
    for (text, line, message) in [
        (
            "[gc]\nmax-used-space = \"10GX\"\n",
            "2 | max-used-space = \"10GX\"",
            "invalid size \"10GX\"",
        ),
        (
            "[gc]\nmin-free-space = \"120%\"\n",
            "2 | min-free-space",
            "invalid size \"120%\"",
        ),
        (
            "[[gc.policy]]\n\nkeep-duration = \"2x\"\n",
            "3 | keep-duration = \"2x\"",
            "invalid duration \"2x\"",
        ),
        (
            "[[gc.policy]]\nfilters = [\"label==x\"]\n",
            "2 | filters = [\"label==x\"]",
            "unknown field \"label\"",
        ),
        (
            "[[gc.policy]]\nkeep-bytes = 1\n",
            "2 | keep-bytes = 1",
            "unknown field `keep-bytes`",
        ),
        ("[gc]\nenabled = 1\n", "2 | enabled = 1", "invalid type"),
    ] {
        let error = Config::parse(text).unwrap_err().to_string();
        assert!(error.contains(line) && error.contains(message), "{error}");
    }
    let text = "[[gc.policy]]\nmax-used-space = 1\n[gc]\nenabled = true\nmax-used-space = 2\n";
    assert_eq!(
        Config::parse(text).unwrap_err().to_string(),
        "invalid configuration: `max-used-space` of [gc] in line 5 has no effect, since \
         gc.policy takes the place of the default policy that it bounds: set it in a rule of \
         gc.policy"
    );
}
