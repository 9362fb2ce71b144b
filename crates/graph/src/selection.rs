//! How each input of a vertex enters its keys: whole, by its own key, or by the content of the
//! paths that the op reads from it.

use std::collections::BTreeMap;

use crate::content_hash::content_hash_struct;
use crate::{FileActionKind, FileInput, FileOp, Mount, MountSource, Op};

/// How an input enters the content key of a vertex.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InputKey {
    /// By its own key: the op may depend on all of it.
    Whole,
    /// By the checksum of what the op reads from it.
    Content(Selection),
}

/// The paths that an op reads from an input.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// In the order of the actions that read them.
    pub paths: Vec<SelectedPath>,
}

/// A path or pattern that an op reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectedPath {
    /// Absolute.
    pub path: String,
    /// It is a pattern.
    pub wildcard: bool,
    /// A link at the path is followed.
    pub follow_links: bool,
    /// Of a directory at the path only what is in it counts, not its own mode and owner.
    pub directory_contents: bool,
    /// The path is a pattern whose directories matter too (`--parents`).
    pub parents: bool,
    /// Patterns, relative to a directory at the path, of what alone is read; everything when there
    /// are none.
    pub include: Vec<String>,
    /// Patterns, relative to a directory at the path, of what is not read.
    pub exclude: Vec<String>,
}

content_hash_struct!(Selection { paths });
content_hash_struct!(SelectedPath {
    path,
    wildcard,
    follow_links,
    directory_contents,
    parents,
    include,
    exclude,
});

impl Op {
    /// How each of `inputs` inputs enters the content key.
    #[must_use]
    pub fn input_keys(&self, inputs: usize) -> Vec<InputKey> {
        let mut selections = match self {
            Self::File(op) => file_selections(op),
            Self::Exec(op) => exec_selections(&op.mounts),
            Self::Source(_) | Self::Merge(_) | Self::Diff(_) => BTreeMap::new(),
        };
        (0u32..)
            .take(inputs)
            .map(|index| match selections.remove(&index).flatten() {
                Some(selection) => InputKey::Content(selection),
                None => InputKey::Whole,
            })
            .collect()
    }
}

/// Selections by input; `None` for an input that is also used in a way that needs all of it.
type Selections = BTreeMap<u32, Option<Selection>>;

fn file_selections(op: &FileOp) -> Selections {
    let mut selections = Selections::new();
    for action in &op.actions {
        if let FileInput::Input(index) = action.input {
            selections.insert(index, None);
        }
        let FileActionKind::Copy(copy) = &action.kind else {
            continue;
        };
        let FileInput::Input(index) = copy.from else {
            continue;
        };
        let path = SelectedPath {
            path: copy.source.clone(),
            wildcard: copy.wildcard,
            follow_links: copy.follow_links,
            directory_contents: copy.directory_contents,
            parents: copy.parents,
            include: copy.include.clone(),
            exclude: copy.exclude.clone(),
        };
        select(&mut selections, index, path);
    }
    selections
}

/// Only what is bound beside the root and becomes no output is read by content: a process may look
/// at all of its root, and what it writes elsewhere is dropped.
fn exec_selections(mounts: &[Mount]) -> Selections {
    let mut selections = Selections::new();
    for mount in mounts {
        let (MountSource::Bind {
            input: Some(index), ..
        }
        | MountSource::Cache {
            input: Some(index), ..
        }) = &mount.source
        else {
            continue;
        };
        match &mount.source {
            MountSource::Bind {
                selector,
                output: None,
                ..
            } if mount.target != "/" => {
                let path = SelectedPath {
                    path: format!("/{}", selector.trim_start_matches('/')),
                    wildcard: false,
                    follow_links: true,
                    directory_contents: false,
                    parents: false,
                    include: Vec::new(),
                    exclude: Vec::new(),
                };
                select(&mut selections, *index, path);
            }
            _ => {
                selections.insert(*index, None);
            }
        }
    }
    selections
}

fn select(selections: &mut Selections, index: u32, path: SelectedPath) {
    if let Some(selection) = selections
        .entry(index)
        .or_insert_with(|| Some(Selection::default()))
    {
        selection.paths.push(path);
    }
}
