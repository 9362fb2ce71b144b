//! Which files of the client's directories the steps of a plan read, so that no others are needed.

use std::collections::{BTreeMap, BTreeSet};

use graph::{Edge, Graph, InputKey, Op, SelectedPath, SourceOp};

use super::results::Planned;
use crate::session::context_name;

/// What is read of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reads {
    /// It may be any of its files.
    All,
    /// What is at these paths, where links are followed; the last part of one may be a pattern.
    Paths(BTreeSet<String>),
}

impl Reads {
    /// Nothing yet.
    #[must_use]
    pub const fn nothing() -> Self {
        Self::Paths(BTreeSet::new())
    }

    /// What either reads.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Paths(one), Self::Paths(other)) => Self::Paths(one | other),
            _ => Self::All,
        }
    }
}

impl Planned {
    /// What the steps read of the directories that the client must offer, by the names of their
    /// contexts; the main one's name is empty.
    #[must_use]
    pub fn reads(&self) -> BTreeMap<&str, Reads> {
        let plan = self.plan();
        let edges: Vec<Edge> = plan.wanted().collect();
        let mut reads = BTreeMap::new();
        for (name, read) in read(&plan.graph, &edges) {
            reads
                .entry(context_name(name))
                .and_modify(|known: &mut Reads| *known = known.and(&read))
                .or_insert(read);
        }
        reads
    }
}

/// What those edges need, directory by directory.
fn read<'a>(graph: &'a Graph, edges: &[Edge]) -> Vec<(&'a str, Reads)> {
    let local = |edge: &Edge| match &graph.get(edge.vertex)?.op {
        Op::Source(SourceOp::Local(local)) => Some(local.name.as_str()),
        _ => None,
    };
    let results = edges.iter().filter_map(local);
    let mut found: Vec<_> = results.map(|name| (name, Reads::All)).collect();
    let steps = graph.iter().zip(graph.reached(edges));
    for ((_, step), _) in steps.filter(|(_, reached)| *reached) {
        let keys = step.op.input_keys(step.inputs.len());
        for (input, key) in step.inputs.iter().zip(keys) {
            if let Some(name) = local(input) {
                found.push((name, reads_of(&key)));
            }
        }
    }
    found
}

fn reads_of(key: &InputKey) -> Reads {
    let InputKey::Content(selection) = key else {
        return Reads::All;
    };
    let paths: Option<BTreeSet<String>> = selection.paths.iter().map(path).collect();
    paths.map_or(Reads::All, Reads::Paths)
}

/// The path from the top of the directory; none when it may be anything.
fn path(selected: &SelectedPath) -> Option<String> {
    let parts = selected.path.split('/');
    let parts: Vec<&str> = parts.filter(|part| !matches!(*part, "" | ".")).collect();
    // Clients take all paths for patterns, and do not understand the same by all of them.
    let is_pattern = |part: &str| part.contains(['*', '?', '[']);
    let (last, way) = parts.split_last()?;
    let is_known = match is_pattern(last) {
        true => selected.wildcard && !last.contains("**"),
        false => true,
    };
    let is_plain = |part: &&str| !is_pattern(part) && *part != "..";
    let is_known = is_known && way.iter().all(is_plain) && *last != "..";
    (is_known && !selected.path.contains('\\')).then(|| parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_clients_understand() {
        for (written, wildcard, expected) in [
            ("/a", false, Some("a")),
            ("/a/b/", false, Some("a/b")),
            ("/a/./b", false, Some("a/b")),
            ("/*.txt", true, Some("*.txt")),
            ("/a/[bc]", true, Some("a/[bc]")),
            ("/a/*", false, None),
            ("/a\\b", true, None),
            ("/", false, None),
            ("/*/b", true, None),
            ("/a/**", true, None),
            ("/a/../b", false, None),
        ] {
            let selected = SelectedPath {
                path: written.to_owned(),
                wildcard,
                follow_links: true,
                directory_contents: false,
                parents: false,
                include: Vec::new(),
                exclude: Vec::new(),
            };
            assert_eq!(path(&selected).as_deref(), expected, "{written}");
        }
    }

    #[test]
    fn what_either_reads() {
        let paths = |names: &[&str]| {
            let names = names.iter().map(|name| (*name).to_owned());
            Reads::Paths(names.collect())
        };
        let one = Reads::nothing().and(&paths(&["a"]));
        assert_eq!(one.and(&paths(&["b"])), paths(&["a", "b"]));
        assert_eq!(one.and(&Reads::All), Reads::All);
    }
}
