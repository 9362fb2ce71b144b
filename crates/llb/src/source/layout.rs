//! `oci-layout://name@digest`: an image in a content store of the client's. It is brought in before
//! the definition is loaded, and from then on is an image like others.

use std::collections::{BTreeMap, BTreeSet};

use bollard_buildkit_proto::pb;
use graph::{ImageSource, PullPolicy, SourceOp};
use oci::{Digest, Platform};
use prost::Message as _;

use super::image::{normalised, platform};
use super::unknown;
use crate::error::Problem;
use crate::load::Given;

pub(super) const SCHEME: &str = "oci-layout";
/// What the client calls the store.
const STORE: &str = "oci.store";
/// The client.
const SESSION: &str = "oci.session";

/// An image in a store of the client's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Layout {
    /// What the client calls the store.
    pub store: String,
    /// What is wanted of it.
    pub digest: Digest,
}

/// The images in stores of the client's that a definition names, each with the platforms that are
/// asked of it; none stands for that of ops that name none.
#[must_use]
pub fn layouts_in(definition: &pb::Definition) -> BTreeMap<Layout, BTreeSet<Option<Platform>>> {
    let mut found: BTreeMap<Layout, BTreeSet<Option<Platform>>> = BTreeMap::new();
    let ops = definition.def.iter();
    for op in ops.filter_map(|bytes| pb::Op::decode(bytes.as_slice()).ok()) {
        let Some(pb::op::Op::Source(source)) = &op.op else {
            continue;
        };
        let prefixed = source.identifier.strip_prefix(SCHEME);
        let Some(rest) = prefixed.and_then(|rest| rest.strip_prefix("://")) else {
            continue;
        };
        if let Ok(layout) = layout(rest, &source.attrs) {
            let platform = op.platform.as_ref().map(normalised);
            found.entry(layout).or_default().insert(platform);
        }
    }
    found
}

pub(super) fn convert(
    rest: &str,
    attrs: &BTreeMap<String, String>,
    given: &Given<'_>,
) -> Result<SourceOp, Problem> {
    let layout = layout(rest, attrs)?;
    for (key, value) in attrs {
        match key.as_str() {
            STORE => {}
            SESSION if value.is_empty() || given.options.session.as_ref() == Some(value) => {}
            SESSION => {
                return Err(Problem::unsupported(
                    format!("a store of session {value:?}"),
                    "offer it in the session of the build",
                ));
            }
            _ => return Err(unknown(key)),
        }
    }
    let missing = || {
        Problem::Invalid(format!(
            "{SCHEME}://{rest}, which the client does not offer"
        ))
    };
    let reference = given.options.layouts.get(&layout).ok_or_else(missing)?;
    Ok(SourceOp::Image(ImageSource {
        reference: reference.clone(),
        platform: platform(given),
        pull: PullPolicy::Missing,
    }))
}

fn layout(rest: &str, attrs: &BTreeMap<String, String>) -> Result<Layout, Problem> {
    let digest = rest.rsplit_once('@').map(|(_, digest)| digest.parse());
    let store = attrs.get(STORE).filter(|store| !store.is_empty());
    match (digest, store) {
        (Some(Ok(digest)), Some(store)) => Ok(Layout {
            store: store.clone(),
            digest,
        }),
        (Some(Ok(_)), None) => Err(Problem::Invalid(format!(
            "{SCHEME}://{rest} without {STORE}"
        ))),
        _ => Err(Problem::Invalid(format!(
            "{SCHEME}://{rest}: expected a digest"
        ))),
    }
}
