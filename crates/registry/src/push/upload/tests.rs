//! Where uploads go on.

use super::*;

#[test]
fn ranges() {
    for (range, offset) in [
        ("0-0", Some(0)),
        ("0-4", Some(5)),
        ("bytes=0-4", Some(5)),
        ("1-4", None),
        ("0-", None),
        ("0-18446744073709551615", Some(u64::MAX)),
    ] {
        assert_eq!(received(range), offset, "{range}");
    }
}

#[test]
fn a_registry_does_not_lead_to_plain_http() {
    for (location, from, expected) in [
        (
            "http://r.test/x?a=b",
            "https://r.test/v2/",
            "https://r.test/x?a=b",
        ),
        (
            "http://other.test/x",
            "https://r.test/v2/",
            "http://other.test/x",
        ),
        ("http://r.test/x", "http://r.test/v2/", "http://r.test/x"),
    ] {
        let (location, from) = (location.parse().unwrap(), from.parse().unwrap());
        assert_eq!(not_downgraded(location, &from).as_str(), expected);
    }
}
