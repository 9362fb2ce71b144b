//! What a remote says about its references.

/// Where a reference leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) commit: String,
    /// The annotated tag on the way, which has a name of its own.
    pub(super) tag: Option<String>,
    /// The reference in full.
    pub(super) name: String,
}

impl Found {
    /// It begins with this.
    pub(super) fn matches(&self, checksum: &str) -> bool {
        let begins = |name: &String| name.starts_with(checksum);
        begins(&self.commit) || self.tag.as_ref().is_some_and(begins)
    }
}

/// The full name of a commit.
pub(super) fn is_commit(text: &str) -> bool {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    matches!(text.len(), 40 | 64) && text.bytes().all(is_hex)
}

/// The commit of a repository whose objects are named by SHA-256, and not by SHA-1.
pub(super) const fn is_sha256(commit: &str) -> bool {
    commit.len() == 64
}

/// As `git init` is to be told of it.
pub(super) const fn object_format(commit: &str) -> &'static str {
    match is_sha256(commit) {
        true => "--object-format=sha256",
        false => "--object-format=sha1",
    }
}

/// What `reference` means among the lines of `git ls-remote`. As for `git checkout`, a branch wins
/// over a tag.
pub(super) fn find(lines: &str, reference: &str) -> Option<Found> {
    let named = |name: &str| {
        let lines = lines.lines().filter_map(|line| line.split_once('\t'));
        lines
            .filter(|(_, there)| *there == name)
            .map(|(object, _)| object.to_owned())
            .next()
    };
    let short = reference.strip_prefix("refs/").unwrap_or(reference);
    let candidates = [
        reference.to_owned(),
        format!("refs/heads/{reference}"),
        format!("refs/tags/{reference}"),
        format!("refs/{short}"),
    ];
    candidates.iter().find_map(|name| {
        let object = named(name)?;
        Some(match named(&format!("{name}^{{}}")) {
            Some(commit) => Found {
                commit,
                tag: Some(object),
                name: name.clone(),
            },
            None => Found {
                commit: object,
                tag: None,
                name: name.clone(),
            },
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references() {
        let lines = "1\tHEAD\n2\trefs/heads/main\n3\trefs/heads/feature/main\n4\trefs/tags/main\n\
                     5\trefs/tags/v1\n6\trefs/tags/v1^{}\n7\trefs/pull/3/head\n";
        for (reference, expected) in [
            ("HEAD", "1 HEAD"),
            ("main", "2 refs/heads/main"),
            ("refs/tags/main", "4 refs/tags/main"),
            ("tags/main", "4 refs/tags/main"),
            ("v1", "6 tag 5 refs/tags/v1"),
            ("feature/main", "3 refs/heads/feature/main"),
            ("feature", "nothing"),
            ("refs/pull/3/head", "7 refs/pull/3/head"),
            ("pull/3/head", "7 refs/pull/3/head"),
        ] {
            let shown = match find(lines, reference) {
                None => "nothing".to_owned(),
                Some(Found { commit, tag, name }) => {
                    let tag = tag.map_or(String::new(), |tag| format!(" tag {tag}"));
                    format!("{commit}{tag} {name}")
                }
            };
            assert_eq!(shown, expected, "{reference}");
        }
        assert!(find(lines, "v1").unwrap().matches("5"));
        assert!(is_commit(&"0a".repeat(20)));
        assert!(!is_commit("0a"));
    }
}
