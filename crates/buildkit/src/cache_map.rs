//! What BuildKit's solver asks an op for (`solver.CacheMap`): the digest of the op, and for each input
//! what selects the part that matters and which files count by content.

use graph::{Edge, Op};
use oci::{Digest, Platform};

use crate::{exec, file, json};

/// What an op is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheMap {
    /// Of the op alone.
    pub digest: Digest,
    /// In the order in which BuildKit has them; equal inputs are one.
    pub inputs: Vec<InputMap>,
}

/// How one input enters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputMap {
    /// What it is.
    pub source: InputSource,
    /// Stands beside the key of the input when only a part of it matters.
    pub selector: Option<Digest>,
    /// The paths whose content is a key too; none when the input never counts by content.
    pub content: Option<Vec<Selector>>,
}

/// What an input is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InputSource {
    /// An input of the vertex.
    Edge(Edge),
    /// A vertex that BuildKit has and kiln has not.
    Made(Box<CacheMap>),
}

/// Paths that are read by content.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Selector {
    /// Absolute; empty is the root.
    pub path: String,
    /// It is a pattern.
    pub wildcard: bool,
    /// A link at its end is followed.
    pub follow_links: bool,
    /// Patterns of what counts, relative to the path; all of it when empty.
    pub include: Vec<String>,
    /// Patterns of what does not.
    pub exclude: Vec<String>,
}

impl CacheMap {
    /// What BuildKit knows `op` by, whose vertex has `inputs`. Sources are known by what they lead to,
    /// and some of kiln's ops BuildKit has no equal of: then there is none.
    #[must_use]
    pub fn of(op: &Op, inputs: &[Edge], platform: &Platform) -> Option<Self> {
        match op {
            Op::Exec(op) => exec::cache_map(op, inputs, platform),
            Op::File(op) => file::cache_map(op, inputs),
            Op::Merge(_) => merge(inputs),
            Op::Source(_) | Op::Diff(_) => None,
        }
    }
}

impl InputMap {
    pub(crate) const fn whole(source: InputSource) -> Self {
        Self {
            source,
            selector: None,
            content: None,
        }
    }
}

impl Selector {
    /// It needs a walk, and not only the digest of what is at the path.
    #[must_use]
    pub const fn is_filtered(&self) -> bool {
        self.wildcard || !self.include.is_empty() || !self.exclude.is_empty()
    }
}

/// What an output of an op is known by (`rootKey`); -1 stands for content.
#[must_use]
pub fn output_key(digest: &Digest, output: i64) -> Digest {
    Digest::of(format!("{digest}@{output}").as_bytes())
}

/// Inputs in BuildKit's order, each once.
#[derive(Debug, Default)]
pub(crate) struct Inputs(pub(crate) Vec<InputMap>);

impl Inputs {
    /// The place of an input, which is added when it is new.
    pub(crate) fn place(&mut self, source: InputSource) -> i64 {
        let known = self.0.iter().position(|input| input.source == source);
        let place = known.unwrap_or_else(|| {
            self.0.push(InputMap::whole(source));
            self.0.len() - 1
        });
        i64::try_from(place).unwrap_or(i64::MAX)
    }

    pub(crate) fn get(&mut self, place: i64) -> Option<&mut InputMap> {
        self.0.get_mut(usize::try_from(place).ok()?)
    }
}

/// Of nested paths only the outermost, sorted.
pub(crate) fn outermost(paths: &[&str]) -> Vec<String> {
    let is_beneath = |path: &str, other: &str| {
        path != other
            && (path.strip_prefix(other))
                .is_some_and(|rest| other.ends_with('/') || rest.starts_with('/'))
    };
    let mut kept: Vec<String> = paths
        .iter()
        .filter(|path| !paths.iter().any(|other| is_beneath(path, other)))
        .map(|path| (*path).to_owned())
        .collect();
    if paths.len() > 1 {
        kept.sort();
        kept.dedup();
    }
    kept
}

fn merge(inputs: &[Edge]) -> Option<CacheMap> {
    #[derive(serde::Serialize)]
    struct Keyed {
        #[serde(rename = "Type")]
        kind: &'static str,
        #[serde(rename = "Merge")]
        merge: Merge,
    }
    #[derive(serde::Serialize)]
    struct Merge {
        inputs: Vec<Input>,
    }
    #[derive(serde::Serialize)]
    struct Input {
        #[serde(skip_serializing_if = "json::is_empty")]
        input: usize,
    }
    let merge = Merge {
        inputs: (0..inputs.len()).map(|input| Input { input }).collect(),
    };
    let kind = "buildkit.merge.v0";
    let whole = |edge: &Edge| InputMap::whole(InputSource::Edge(*edge));
    Some(CacheMap {
        digest: json::digest(&Keyed { kind, merge })?,
        inputs: inputs.iter().map(whole).collect(),
    })
}
