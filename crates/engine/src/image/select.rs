//! Which manifest of an index is for a platform.

use oci::{Descriptor, Index, Platform, annotation};

/// The images of an index. What is none (attestations) is passed over.
pub(crate) fn images(index: &Index) -> impl Iterator<Item = &Descriptor> {
    index.manifests.iter().filter(|manifest| {
        manifest.media_type.is_manifest()
            && !manifest
                .annotations
                .contains_key(annotation::REFERENCE_TYPE)
    })
}

/// The manifest for `platform`: the first that is for exactly it, else the first that runs on it.
pub(crate) fn select<'a>(index: &'a Index, platform: &Platform) -> Option<&'a Descriptor> {
    let wanted = platform.normalised();
    let exact = |manifest: &&Descriptor| {
        manifest
            .platform
            .as_ref()
            .is_some_and(|platform| platform.normalised() == wanted)
    };
    let runs = |manifest: &&Descriptor| {
        manifest
            .platform
            .as_ref()
            .is_some_and(|platform| platform.runs_on(&wanted))
    };
    let only = || {
        let mut all = images(index);
        all.next()
            .filter(|one| one.platform.is_none() && all.next().is_none())
    };
    images(index)
        .find(exact)
        .or_else(|| images(index).find(runs))
        .or_else(only)
}

#[cfg(test)]
mod tests {
    use oci::{Digest, MediaType};

    use super::*;

    fn index(platforms: &[&str]) -> Index {
        let manifests = platforms
            .iter()
            .map(|text| Descriptor {
                platform: text.parse().ok(),
                ..Descriptor::of(MediaType::OciManifest, text.as_bytes())
            })
            .collect();
        let (schema_version, media_type, artifact_type, subject) = (2, None, None, None);
        let annotations = std::collections::BTreeMap::new();
        Index {
            schema_version,
            media_type,
            artifact_type,
            manifests,
            subject,
            annotations,
        }
    }

    #[test]
    fn the_exact_one_then_one_that_runs() {
        for (platforms, wanted, found) in [
            (
                &["linux/amd64", "linux/arm64"][..],
                "linux/arm64",
                Some("linux/arm64"),
            ),
            (
                &["linux/arm/v6", "linux/arm/v7"],
                "linux/arm/v7",
                Some("linux/arm/v7"),
            ),
            (&["linux/arm/v6"], "linux/arm/v7", Some("linux/arm/v6")),
            (&["linux/amd64"], "linux/arm64", None),
            (&["unknown"], "linux/arm64", Some("unknown")),
        ] {
            let index = index(platforms);
            let selected = select(&index, &wanted.parse().unwrap()).map(|found| found.digest);
            assert_eq!(
                selected,
                found.map(|text| Digest::of(text.as_bytes())),
                "{platforms:?}"
            );
        }
    }
}
