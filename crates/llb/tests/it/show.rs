//! What comes of a definition, as text.

use std::fmt::Write as _;

use graph::{Edge, Graph, Op};
use llb::Loaded;

pub(crate) fn loaded(loaded: &Loaded) -> String {
    let mut out = String::new();
    graph(&mut out, &loaded.graph);
    writeln!(
        out,
        "root {}",
        loaded.root.map_or("scratch".to_owned(), place)
    )
    .unwrap();
    for edge in &loaded.required {
        writeln!(out, "requires {}", place(*edge)).unwrap();
    }
    for vertex in &loaded.vertices {
        let at = vertex
            .vertex
            .map_or("-".to_owned(), |id| id.index().to_string());
        write!(out, "{} is {at}", vertex.digest).unwrap();
        let inputs: Vec<String> = vertex.inputs.iter().map(ToString::to_string).collect();
        if !inputs.is_empty() {
            write!(out, " of {}", inputs.join(" ")).unwrap();
        }
        for place in &vertex.places {
            write!(out, " {place:?}").unwrap();
        }
        if let Some(group) = &vertex.group {
            write!(out, " {group:?}").unwrap();
        }
        writeln!(out, ": {}", vertex.name).unwrap();
    }
    for source in &loaded.sources {
        writeln!(out, "{source:?}").unwrap();
    }
    out
}

fn graph(out: &mut String, graph: &Graph) {
    for (id, vertex) in graph.iter() {
        let inputs: Vec<String> = vertex.inputs.iter().map(|edge| place(*edge)).collect();
        let cache = if vertex.meta.ignore_cache {
            " (no cache)"
        } else if vertex.meta.unexported {
            " (in no cache that is exported)"
        } else {
            ""
        };
        let (name, inputs) = (&vertex.meta.name, inputs.join(" "));
        writeln!(out, "{} [{inputs}] {name}{cache}", id.index()).unwrap();
        match &vertex.op {
            Op::Exec(exec) => {
                writeln!(out, "    {:?}", exec.process).unwrap();
                for mount in &exec.mounts {
                    writeln!(out, "    {mount:?}").unwrap();
                }
                let rest = graph::ExecOp {
                    process: graph::Process {
                        args: Vec::new(),
                        env: [].into_iter().collect(),
                        cwd: String::new(),
                        user: String::new(),
                    },
                    mounts: Vec::new(),
                    ..exec.clone()
                };
                writeln!(out, "    {rest:?}").unwrap();
            }
            Op::File(file) => {
                for action in &file.actions {
                    writeln!(out, "    {action:?}").unwrap();
                }
            }
            op => writeln!(out, "    {op:?}").unwrap(),
        }
    }
}

fn place(edge: Edge) -> String {
    match edge.output {
        0 => edge.vertex.index().to_string(),
        output => format!("{}.{output}", edge.vertex.index()),
    }
}
