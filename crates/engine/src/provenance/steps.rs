//! The steps of a build in the words of BuildKit's definitions, as readers of its provenance know
//! them. Of each it says what it does; limits, times and owners are left out.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use graph::{
    Edge, ExecOp, FileAction, FileActionKind, FileInput, Graph, Location, Mount, MountSource,
    NetworkMode, Op, SecretTarget, SecurityMode, SourceOp, Vertex, VertexId,
};
use serde_json::{Value, json};

use crate::session::context_name;
use crate::source::without_password;

/// Steps, inputs first, and where they stand in the Dockerfile.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Steps {
    /// With the digests that progress knows them by.
    pub(super) config: Value,
    pub(super) locations: Value,
}

/// The steps of `graph` that are `reached`, and the one that stands for the result.
pub(super) fn steps(graph: &Graph, reached: &BTreeSet<VertexId>, target: Option<Edge>) -> Steps {
    let place = |id: VertexId| reached.iter().position(|one| *one == id);
    let name = |id: VertexId| place(id).map(|place| format!("step{place}"));
    let input = |edge: &Edge| name(edge.vertex).map(|name| format!("{name}:{}", edge.output));
    let (mut all, mut digests, mut locations) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
    for id in reached {
        let (Some(vertex), Some(name)) = (graph.get(*id), name(*id)) else {
            continue;
        };
        let mut step = json!({"id": name, "op": op(vertex)});
        let inputs: Vec<String> = vertex.inputs.iter().filter_map(input).collect();
        if !inputs.is_empty() {
            step["inputs"] = json!(inputs);
        }
        all.push(step);
        digests.insert(vertex.digest.to_string(), name.clone());
        let in_dockerfile = |lines: &&Location| lines.file.is_none();
        let lines = vertex.meta.locations.iter().filter(in_dockerfile);
        let lines = lines.map(|lines| {
            let (first, last) = (lines.first_line, lines.last_line);
            json!({"ranges": [{"start": {"line": first}, "end": {"line": last}}]})
        });
        let lines: Vec<Value> = lines.collect();
        if !lines.is_empty() {
            locations.insert(name, json!({"locations": lines}));
        }
    }
    if let Some(result) = target.as_ref().and_then(input) {
        let id = format!("step{}", all.len());
        all.push(json!({"id": id, "op": {"Op": {}}, "inputs": [result]}));
    }
    Steps {
        config: json!({"llbDefinition": all, "digestMapping": digests}),
        locations: json!(locations),
    }
}

fn op(vertex: &Vertex) -> Value {
    match &vertex.op {
        Op::Source(source) => json!({"Op": {"source": {"identifier": identifier(source)}}}),
        Op::Exec(op) => json!({"Op": {"exec": exec(op)}}),
        Op::File(op) => {
            let inputs = vertex.inputs.len();
            let actions = op.actions.iter().map(|one| action(one, inputs));
            json!({"Op": {"file": {"actions": actions.collect::<Vec<_>>()}}})
        }
        Op::Merge(_) => json!({"Op": {"merge": {}}}),
        Op::Diff(_) => json!({"Op": {"diff": {}}}),
    }
}

fn identifier(source: &SourceOp) -> String {
    match source {
        SourceOp::Image(image) => format!("docker-image://{}", image.reference),
        SourceOp::Local(local) => match context_name(&local.name) {
            "" => format!("local://{}", local.name),
            name => format!("local://{name}"),
        },
        SourceOp::Git(git) => {
            let url = without_password(&git.url);
            let url = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
            let reference = git.reference.as_ref().map(|name| format!("#{name}"));
            format!("git://{url}{}", reference.unwrap_or_default())
        }
        SourceOp::Http(http) => without_password(&http.url),
        SourceOp::Archive(archive) => format!("archive://{}", archive.digest),
    }
}

fn exec(op: &ExecOp) -> Value {
    let process = &op.process;
    let mut meta = json!({"args": process.args, "env": *process.env, "cwd": process.cwd});
    if !process.user.is_empty() {
        meta["user"] = json!(process.user);
    }
    let in_files = |mount: &&Mount| variable(mount).is_none();
    let mounts: Vec<Value> = op.mounts.iter().filter(in_files).map(mount).collect();
    let variables: Vec<Value> = op.mounts.iter().filter_map(variable).collect();
    let mut exec = json!({"meta": meta, "mounts": mounts});
    if !variables.is_empty() {
        exec["secretenv"] = json!(variables);
    }
    match op.network {
        NetworkMode::Default => {}
        NetworkMode::Host => exec["network"] = json!(1),
        NetworkMode::None => exec["network"] = json!(2),
    }
    if op.security == SecurityMode::Insecure {
        exec["security"] = json!(1);
    }
    exec
}

/// The variable that a secret becomes.
fn variable(mount: &Mount) -> Option<Value> {
    match &mount.source {
        MountSource::Secret {
            id,
            at: SecretTarget::Env(name),
            required,
            ..
        } => Some(json!({"ID": id, "name": name, "optional": !required})),
        _ => None,
    }
}

fn mount(mount: &Mount) -> Value {
    let index = |index: Option<u32>| index.map_or(-1, i64::from);
    let mut shown = match &mount.source {
        MountSource::Bind {
            input,
            selector,
            output,
        } => json!({"input": index(*input), "selector": selector, "output": index(*output)}),
        MountSource::Secret { id, required, .. } => json!({
            "input": -1, "output": -1, "mountType": 1,
            "secretOpt": {"ID": id, "optional": !required},
        }),
        MountSource::Ssh { id, required, .. } => json!({
            "input": -1, "output": -1, "mountType": 2,
            "SSHOpt": {"ID": id, "optional": !required},
        }),
        MountSource::Cache {
            id,
            input,
            selector,
            ..
        } => json!({
            "input": index(*input), "selector": selector, "output": -1, "mountType": 3,
            "cacheOpt": {"ID": id},
        }),
        MountSource::Tmpfs { .. } => json!({"input": -1, "output": -1, "mountType": 4}),
    };
    shown["dest"] = json!(mount.target);
    if mount.read_only {
        shown["readonly"] = json!(true);
    }
    shown
}

fn action(action: &FileAction, inputs: usize) -> Value {
    let index = |input: FileInput| match input {
        FileInput::Scratch => -1,
        FileInput::Input(index) => i64::from(index),
        FileInput::Action(index) => i64::from(index) + i64::try_from(inputs).unwrap_or_default(),
    };
    let (second, shown) = match &action.kind {
        FileActionKind::Copy(copy) => {
            let shown = json!({"src": copy.source, "dest": copy.destination});
            (copy.from, json!({"copy": shown}))
        }
        FileActionKind::Mkfile(file) => {
            let data = STANDARD.encode(&file.data);
            let shown = json!({"path": file.path, "mode": file.mode, "data": data});
            (FileInput::Scratch, json!({"mkfile": shown}))
        }
        FileActionKind::Mkdir(directory) => {
            let shown = json!({"path": directory.path, "mode": directory.mode});
            (FileInput::Scratch, json!({"mkdir": shown}))
        }
        FileActionKind::Remove(removed) => {
            let shown = json!({"path": removed.path});
            (FileInput::Scratch, json!({"rm": shown}))
        }
        FileActionKind::Symlink(link) => {
            let shown = json!({"oldpath": link.target, "newpath": link.path});
            (FileInput::Scratch, json!({"symlink": shown}))
        }
    };
    json!({
        "input": index(action.input),
        "secondaryInput": index(second),
        "output": action.output.map_or(-1, i64::from),
        "Action": shown,
    })
}

#[cfg(test)]
mod tests;
