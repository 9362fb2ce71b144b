//! Platforms of nodes as buildx shows them.

use std::collections::{BTreeMap, BTreeSet};

use oci::Platform;

/// How many groups a table shows.
const GROUPS: usize = 4;
/// What is shown before others.
const MAJOR: [&str; 7] = [
    "linux/amd64",
    "linux/arm64",
    "linux/arm",
    "linux/ppc64le",
    "linux/s390x",
    "linux/riscv64",
    "linux/mips64",
];

/// Each once: those that were set with a star, then those that were found.
pub(super) fn grouped(set: &[Platform], found: &[Platform]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let set = set.iter().map(|platform| (platform, "*"));
    let found = found.iter().map(|platform| (platform, ""));
    let mut all = Vec::new();
    for (platform, star) in set.chain(found) {
        let text = platform.normalised().to_string();
        if seen.insert(text.clone()) {
            all.push(format!("{text}{star}"));
        }
    }
    all
}

/// A few of them, by architecture: `linux/amd64 (+3), linux/arm64, (2 more)`.
pub(super) fn shortened(all: &[String]) -> String {
    let mut groups: BTreeMap<String, Vec<&String>> = BTreeMap::new();
    let group = |text: &String| {
        let mut parts = text.trim_end_matches('*').splitn(3, '/');
        let (os, architecture) = (parts.next(), parts.next());
        format!(
            "{}/{}",
            os.unwrap_or_default(),
            architecture.unwrap_or_default()
        )
    };
    for text in all {
        groups.entry(group(text)).or_default().push(text);
    }
    let is_major = |name: &&str| groups.contains_key(*name);
    let others = groups.keys().map(String::as_str);
    let others = others.filter(|name| !MAJOR.contains(name));
    let major = MAJOR.into_iter().filter(is_major);
    let (mut shown, mut count) = (Vec::new(), 0);
    for name in major.chain(others).take(GROUPS) {
        let members = &groups[name];
        count += members.len();
        shown.push(match members.as_slice() {
            [one] => (*one).clone(),
            many => {
                let star = many.iter().any(|text| text.ends_with('*'));
                let star = if star { "*" } else { "" };
                format!("{name}{star} (+{})", many.len())
            }
        });
    }
    if count < all.len() {
        shown.push(format!("({} more)", all.len() - count));
    }
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platforms(texts: &str) -> Vec<Platform> {
        let texts = texts.split_whitespace();
        texts.map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn as_buildx_shows_them() {
        let set = platforms("linux/arm64 linux/arm/v7");
        let all = grouped(&set, &platforms("linux/arm64/v8 linux/arm/v6 linux/386"));
        assert_eq!(
            all,
            ["linux/arm64*", "linux/arm/v7*", "linux/arm/v6", "linux/386"]
        );
        assert_eq!(shortened(&all), "linux/arm64*, linux/arm* (+2), linux/386");
        let many = grouped(
            &[],
            &platforms(
                "linux/386 linux/amd64 linux/amd64/v2 linux/arm64 linux/riscv64 linux/ppc64le \
                 linux/s390x linux/mips64",
            ),
        );
        assert_eq!(
            shortened(&many),
            "linux/amd64 (+2), linux/arm64, linux/ppc64le, linux/s390x, (3 more)"
        );
        assert_eq!(shortened(&[]), "");
    }
}
