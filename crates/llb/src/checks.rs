//! What is said of an op beside what it does.

use bollard_buildkit_proto::pb;
use pb::op::Op;

use crate::caps;
use crate::error::Problem;
use crate::wire::RawOp;

/// Inputs, mounts and actions, of which the work depends.
pub(crate) fn parts(raw: &RawOp) -> usize {
    raw.op.inputs.len()
        + match &raw.op.op {
            Some(Op::Exec(exec)) => exec.mounts.len() + exec.secretenv.len(),
            Some(Op::File(file)) => file.actions.len(),
            Some(Op::Merge(merge)) => merge.inputs.len(),
            _ => raw.passthrough.as_ref().map_or(0, |p| p.outputs.len()),
        }
}

pub(crate) fn metadata(metadata: Option<&pb::OpMetadata>) -> Result<(), Problem> {
    let Some(metadata) = metadata else {
        return Ok(());
    };
    if let Some(capability) = metadata.caps.keys().find(|name| !caps::is_known(name)) {
        return Err(Problem::Capability(capability.clone()));
    }
    Ok(())
}

pub(crate) fn constraints(raw: &RawOp) -> Result<(), Problem> {
    let constraints = raw.op.constraints.as_ref();
    if constraints.is_some_and(|constraints| !constraints.filter.is_empty()) {
        return Err(Problem::unsupported(
            "a worker constraint",
            "leave it out, there is one worker",
        ));
    }
    let platform = raw.op.platform.as_ref();
    if platform.is_some_and(|platform| !platform.os_features.is_empty()) {
        return Err(Problem::unsupported(
            "OSFeatures of a platform",
            "leave them out",
        ));
    }
    Ok(())
}
