//! Names of images as package URLs.

use oci::{Platform, Reference};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What stands for itself in a part of a package URL.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The package URL of `reference`, of this type: `docker` where a registry has it.
pub(crate) fn purl(kind: &str, reference: &Reference, platform: Option<&Platform>) -> String {
    let reference = reference.clone().with_default_tag();
    let name = reference.familiar_name();
    let name: Vec<String> = name.split('/').map(escape).collect();
    let mut purl = format!("pkg:{kind}/{}", name.join("/"));
    if let Some(tag) = reference.tag() {
        purl = format!("{purl}@{tag}");
    }
    let digest = reference.digest().map(|digest| format!("digest={digest}"));
    let platform = platform.map(|platform| {
        let text = platform.normalised().to_string();
        format!("platform={}", escape(&text))
    });
    let qualifiers: Vec<String> = digest.into_iter().chain(platform).collect();
    match qualifiers.is_empty() {
        true => purl,
        false => format!("{purl}?{}", qualifiers.join("&")),
    }
}

fn escape(part: &str) -> String {
    utf8_percent_encode(part, ESCAPED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let digest = oci::Digest::of(b"test");
        let linux: Platform = "linux/amd64".parse().unwrap();
        for (name, platform, expected) in [
            (
                "alpine".to_owned(),
                None,
                "pkg:docker/alpine@latest".to_owned(),
            ),
            (
                format!("docker.io/library/alpine:3.15@{digest}"),
                None,
                format!("pkg:docker/alpine@3.15?digest={digest}"),
            ),
            (
                format!("alpine@{digest}"),
                Some(&linux),
                format!("pkg:docker/alpine?digest={digest}&platform=linux%2Famd64"),
            ),
            (
                "localhost:5000/a/b_c:v2".to_owned(),
                Some(&linux),
                "pkg:docker/localhost%3A5000/a/b_c@v2?platform=linux%2Famd64".to_owned(),
            ),
        ] {
            let reference: Reference = name.parse().unwrap();
            assert_eq!(purl("docker", &reference, platform), expected);
        }
    }
}
