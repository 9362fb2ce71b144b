//! What was built in each place, by digest: it is to be the same in all of them.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::ui;

/// Digests by what was built.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Digests(BTreeMap<String, String>);

impl Digests {
    /// Those that tests have noted in a file; none when there is no file.
    pub(super) fn read(path: &Path) -> Result<Self> {
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        Self::parse(&text)
    }

    fn parse(text: &str) -> Result<Self> {
        let mut found = BTreeMap::new();
        for line in text.lines() {
            let (digest, name) = line.split_once(' ').context("a line without a digest")?;
            let earlier = found.insert(name.to_owned(), digest.to_owned());
            if earlier.is_some_and(|earlier| earlier != digest) {
                bail!("{name} has several digests in one place");
            }
        }
        Ok(Self(found))
    }

    /// What has another digest here than there; and how much was compared.
    fn differing<'a>(&'a self, other: &Self) -> (Vec<&'a str>, usize) {
        let common = self.0.iter().filter_map(|(name, digest)| {
            let theirs = other.0.get(name)?;
            Some((name.as_str(), digest == theirs))
        });
        let common: Vec<(&str, bool)> = common.collect();
        let differ = common.iter().filter(|(_, is_same)| !is_same);
        (differ.map(|(name, _)| *name).collect(), common.len())
    }

    /// Fails when something that both have has two digests.
    pub(super) fn compare(&self, place: &str, root: &Self) -> Result<()> {
        let (differ, count) = self.differing(root);
        if !differ.is_empty() {
            let names = differ.join(", ");
            bail!("other images than root's in the place {place:?}: {names}");
        }
        ui::step(format_args!(
            "{count} digests in the place {place:?} are root's"
        ));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Digests;

    #[test]
    fn what_both_have_is_compared() {
        let root = Digests::parse("sha256:1 a\nsha256:2 b c\nsha256:3 d\n").unwrap();
        let here = Digests::parse("sha256:1 a\nsha256:9 b c\nsha256:4 e\n").unwrap();
        assert_eq!(here.differing(&root), (vec!["b c"], 2));
        assert!(here.compare("single", &root).is_err());
        assert!(Digests::parse("sha256:1 a\nsha256:2 a\n").is_err());
    }
}
