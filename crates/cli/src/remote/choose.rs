//! Which nodes of a builder build which platforms.

use oci::Platform;

/// How far a 32 bit platform is from one of 64 bits that runs it: further than all of its own kind.
const OTHER_WIDTH: u32 = 100;

/// A node's share of the platforms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Share {
    /// Which node.
    pub(crate) node: usize,
    /// What it builds for.
    pub(crate) platforms: Vec<Platform>,
}

/// The shares where what is said of each node settles it; none where nodes have to be asked.
pub(crate) fn by_what_is_said(nodes: &[&[Platform]], wanted: &[Platform]) -> Option<Vec<Share>> {
    let is_for = |platform: &Platform| {
        let mut all = nodes.iter();
        all.position(|said| said.iter().any(|one| one.normalised() == *platform))
    };
    let wanted = wanted.iter().map(Platform::normalised);
    let each = wanted.map(|platform| Some((is_for(&platform)?, platform)));
    each.collect::<Option<Vec<_>>>().map(shares)
}

/// The shares by what is said of each node and what it says: each platform is the share of whom it is
/// nearest to. What no node is for is the first one's, which may build it all the same.
pub(crate) fn by_all(nodes: &[Vec<Platform>], wanted: &[Platform]) -> Vec<Share> {
    let each = wanted.iter().map(Platform::normalised).map(|platform| {
        let nearest = |all: &Vec<Platform>| {
            let all = all.iter();
            all.filter_map(|own| distance(&platform, &own.normalised()))
                .min()
        };
        let far = nodes.iter().map(nearest).enumerate();
        let far = far.filter_map(|(node, far)| Some((far?, node)));
        let node = far.min().map_or(0, |(_, node)| node);
        (node, platform)
    });
    shares(each.collect())
}

/// What each node has of it, in the order in which they come first.
fn shares(each: Vec<(usize, Platform)>) -> Vec<Share> {
    let mut shares: Vec<Share> = Vec::new();
    for (node, platform) in each {
        match shares.iter_mut().find(|share| share.node == node) {
            Some(share) => share.platforms.push(platform),
            None => shares.push(Share {
                node,
                platforms: vec![platform],
            }),
        }
    }
    shares
}

/// How far `wanted` is from what `own` runs first; none if it runs no such thing.
fn distance(wanted: &Platform, own: &Platform) -> Option<u32> {
    if wanted.os != own.os {
        return None;
    }
    let (older, newer) = (version(wanted), version(own));
    let down = newer.checked_sub(older);
    match (wanted.architecture.as_str(), own.architecture.as_str()) {
        (one, other) if one == other && wanted.variant == own.variant => Some(0),
        ("amd64", "amd64") | ("arm", "arm") | ("arm64", "arm64") => down,
        ("386", "amd64") => Some(OTHER_WIDTH),
        // All of them have what the eighth has.
        ("arm", "arm64") => 80_u32.checked_sub(older).map(|down| OTHER_WIDTH + down),
        _ => None,
    }
}

/// A variant in tenths: `v8.2` is 82, and none is the oldest.
fn version(platform: &Platform) -> u32 {
    let oldest = match platform.architecture.as_str() {
        "arm64" => 80,
        _ => 10,
    };
    let number = platform.variant.strip_prefix('v');
    let parsed = number.and_then(|number| {
        let (major, minor) = number.split_once('.').unwrap_or((number, "0"));
        let (major, minor): (u32, u32) = (major.parse().ok()?, minor.parse().ok()?);
        major.checked_mul(10)?.checked_add(minor)
    });
    parsed.unwrap_or(oldest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platforms(text: &str) -> Vec<Platform> {
        let parse = |text: &str| text.parse::<Platform>().unwrap();
        text.split_whitespace().map(parse).collect()
    }

    fn shown(shares: &[Share]) -> String {
        let one = |share: &Share| {
            let platforms: Vec<String> = share.platforms.iter().map(Platform::to_string).collect();
            format!("{}: {}", share.node, platforms.join(" "))
        };
        shares.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    fn said(nodes: &[&str], wanted: &str) -> Option<String> {
        let nodes: Vec<Vec<Platform>> = nodes.iter().map(|text| platforms(text)).collect();
        let nodes: Vec<&[Platform]> = nodes.iter().map(Vec::as_slice).collect();
        by_what_is_said(&nodes, &platforms(wanted)).map(|shares| shown(&shares))
    }

    fn all(nodes: &[&str], wanted: &str) -> String {
        let nodes: Vec<Vec<Platform>> = nodes.iter().map(|text| platforms(text)).collect();
        shown(&by_all(&nodes, &platforms(wanted)))
    }

    #[test]
    fn what_is_said_settles_it() {
        let two = ["linux/amd64", "linux/arm64 linux/arm/v7"];
        let both = "0: linux/amd64, 1: linux/arm64 linux/arm/v7";
        let found = said(&two, "linux/amd64 linux/arm64/v8 linux/arm");
        assert_eq!(found.as_deref(), Some(both));
        let turned = said(&two, "linux/arm64 linux/amd64 linux/arm");
        let turned = turned.unwrap();
        assert_eq!(turned, "1: linux/arm64 linux/arm/v7, 0: linux/amd64");
        // Who is of the same kind is not meant.
        assert_eq!(said(&two, "linux/amd64 linux/arm/v6"), None);
        assert_eq!(said(&["", "linux/amd64"], "linux/arm64"), None);
        let first = said(&["linux/amd64", "linux/amd64"], "linux/amd64");
        assert_eq!(first.as_deref(), Some("0: linux/amd64"));
    }

    #[test]
    fn the_nearest_of_all() {
        assert_eq!(
            all(&["linux/amd64", "linux/arm64"], "linux/arm64"),
            "1: linux/arm64"
        );
        // An exact one before one that can too, wherever it is.
        let arms = ["linux/arm64", "linux/arm/v7", "linux/arm/v6"];
        assert_eq!(
            all(
                &arms,
                "linux/arm/v5 linux/arm/v6 linux/arm/v7 linux/arm/v8 linux/386"
            ),
            "2: linux/arm/v5 linux/arm/v6, 1: linux/arm/v7, 0: linux/arm/v8 linux/386"
        );
        assert_eq!(
            all(
                &["linux/arm64", "linux/amd64/v3"],
                "linux/386 linux/amd64/v2"
            ),
            "1: linux/386 linux/amd64/v2"
        );
        assert_eq!(
            all(&["linux/amd64", "linux/amd64/v3"], "linux/amd64/v4"),
            "0: linux/amd64/v4",
            "nobody is for it"
        );
        assert_eq!(
            all(&["linux/arm64/v9.2"], "linux/arm64/v8.5"),
            "0: linux/arm64/v8.5"
        );
        assert_eq!(
            all(&["linux/x", "windows/amd64"], "linux/amd64"),
            "0: linux/amd64"
        );
        assert_eq!(all(&["linux/amd64"], ""), "");
    }
}
