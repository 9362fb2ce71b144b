//! What ops are called, where the client gives them no name of its own; as BuildKit calls them.

use bollard_buildkit_proto::pb;
use pb::file_action::Action;
use pb::op::Op;

use crate::limits;
use crate::wire::RawOp;

/// The client's own name for an op.
const CUSTOM: &str = "llb.customname";

/// The name of an op whose inputs have these.
pub(crate) fn of(raw: &RawOp, metadata: Option<&pb::OpMetadata>, inputs: &[&str]) -> String {
    let custom = metadata.and_then(|metadata| metadata.description.get(CUSTOM));
    if let Some(custom) = custom {
        return custom.clone();
    }
    match &raw.op.op {
        Some(Op::Source(source)) => source.identifier.clone(),
        Some(Op::Exec(exec)) => exec
            .meta
            .as_ref()
            .map_or(String::new(), |m| m.args.join(" ")),
        Some(Op::File(file)) => file_op(&file.actions),
        Some(Op::Build(_)) => "build".to_owned(),
        Some(Op::Merge(_)) => format!("merge ({})", clipped(&inputs.join(", "))),
        Some(Op::Diff(diff)) => {
            let side = |input: Option<i64>| {
                let name = input.and_then(|input| inputs.get(usize::try_from(input).ok()?));
                name.map_or("scratch".to_owned(), |name| format!("({})", clipped(name)))
            };
            let lower = side(diff.lower.map(|lower| lower.input));
            let upper = side(diff.upper.map(|upper| upper.input));
            format!("diff {lower} -> {upper}")
        }
        None => match &raw.passthrough {
            Some(passthrough) => format!("passthrough {}", passthrough.id),
            None => "unknown".to_owned(),
        },
    }
}

fn file_op(actions: &[pb::FileAction]) -> String {
    let names = actions.iter().filter_map(|action| {
        Some(match action.action.as_ref()? {
            Action::Mkdir(mkdir) => format!("mkdir {}", mkdir.path),
            Action::Mkfile(mkfile) => format!("mkfile {}", mkfile.path),
            Action::Symlink(link) => format!("symlink {} -> {}", link.newpath, link.oldpath),
            Action::Rm(rm) => format!("rm {}", rm.path),
            Action::Copy(copy) => format!("copy {} {}", copy.src, copy.dest),
        })
    });
    names.collect::<Vec<_>>().join(", ")
}

/// Names of names would double with each op.
fn clipped(name: &str) -> String {
    let mut clipped: String = name.chars().take(limits::NAME).collect();
    if clipped.len() < name.len() {
        clipped.push('…');
    }
    clipped
}
