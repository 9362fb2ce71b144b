//! What clients are told that kiln can do, so that they ask for nothing else.

use bollard_buildkit_proto::moby::buildkit::v1::apicaps::ApiCap;

/// What the bridge answers.
const FRONTEND: [&str; 21] = [
    "solve.base",
    "return",
    "returnmap",
    "importcaches",
    "resolveimage",
    "resolveimage.resolvemode",
    "readfile",
    "readdir",
    "statfile",
    "proto.refarray",
    "reference.output",
    "frontend.caps",
    "frontend.inputs",
    "gateway.exec",
    "gateway.exec.extrahosts",
    "gateway.exec.secretenv",
    "gateway.exec.signals",
    "gateway.exec.filesystem",
    "gateway.solve.evaluate",
    "gateway.evaluate",
    "gateway.warnings",
];

/// What steps may rely on only with an entitlement that no build is granted here.
const NOT_GRANTED: &str = "exec.meta.cdi";

/// The calls of the bridge.
pub(super) fn frontend() -> Vec<ApiCap> {
    FRONTEND.map(enabled).into()
}

/// What steps that clients define themselves may rely on, and exporters.
pub(super) fn definitions() -> Vec<ApiCap> {
    let steps = llb::capabilities().iter().copied();
    let steps = steps.filter(|id| *id != NOT_GRANTED);
    let others = [
        "exporter.multiple",
        "exporter.image.attestations",
        "source.policy",
        "source.policy.session",
    ];
    steps.chain(others).map(enabled).collect()
}

fn enabled(id: &str) -> ApiCap {
    ApiCap {
        id: id.to_owned(),
        enabled: true,
        ..ApiCap::default()
    }
}
