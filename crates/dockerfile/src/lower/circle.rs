//! Circles: stages that copy from each other.
//!
//! They are errors wherever they are, also among stages that nobody needs.

use super::error::LowerError;
use super::node::NodeId;
use super::table::Table;
use crate::Span;
use crate::diagnostic::Diagnostic;

/// The first circle among the nodes that instructions name, with the lines that make it.
pub(super) fn find_circle(table: &Table) -> Option<Diagnostic> {
    let mut visited = vec![false; table.nodes.len()];
    let mut on_path = vec![false; table.nodes.len()];
    for start in 0..table.nodes.len() {
        // Each entry: a node, the next of its needs to look at, and the line that led to it.
        let mut path: Vec<(NodeId, usize, Option<Span>)> = Vec::new();
        if !std::mem::replace(&mut visited[start], true) {
            on_path[start] = true;
            path.push((start, 0, None));
        }
        while let Some((id, next, _)) = path.last_mut() {
            let Some(&(needed, span)) = table.nodes[*id].needs.get(*next) else {
                on_path[*id] = false;
                path.pop();
                continue;
            };
            *next += 1;
            if on_path[needed] {
                let spans = path.iter().filter_map(|(_, _, span)| *span).chain([span]);
                let name = table.nodes[start].name.clone();
                return Some(Diagnostic::error(spans, &LowerError::Circle(name)));
            }
            if !std::mem::replace(&mut visited[needed], true) {
                on_path[needed] = true;
                path.push((needed, 0, Some(span)));
            }
        }
    }
    None
}
