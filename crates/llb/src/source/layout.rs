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
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Layout {
    /// What the client calls the store.
    pub store: String,
    /// What is wanted of it.
    pub digest: Digest,
}

impl Layout {
    /// What stands after `oci-layout://`, of an image in this store.
    ///
    /// # Errors
    /// It names no digest, or the store has no name.
    pub fn read(rest: &str, store: &str) -> Result<Self, Problem> {
        let digest = rest.rsplit_once('@').map(|(_, digest)| digest.parse());
        let why = match (digest, store) {
            (Some(Ok(_)), "") => format!(" without {STORE}: it names the client's store"),
            (Some(Ok(digest)), store) => {
                return Ok(Self {
                    store: store.to_owned(),
                    digest,
                });
            }
            _ => ": expected a digest, as in name@sha256:…".to_owned(),
        };
        Err(Problem::Invalid(format!("{SCHEME}://{rest}{why}")))
    }
}

/// The store that the attributes of a source name; nothing if they name none.
///
/// # Errors
/// One is unknown, or of another session than `session`.
pub fn layout_attributes<'a>(
    attrs: &'a BTreeMap<String, String>,
    session: Option<&str>,
) -> Result<&'a str, Problem> {
    for (key, value) in attrs {
        match key.as_str() {
            STORE => {}
            SESSION if value.is_empty() || session == Some(value) => {}
            SESSION => {
                return Err(Problem::unsupported(
                    format!("a store of session {value:?}"),
                    "offer it in the session of the build",
                ));
            }
            _ => return Err(unknown(key)),
        }
    }
    Ok(attrs.get(STORE).map_or("", String::as_str))
}

/// The images in stores of the client's that a definition names, each with the platforms that are
/// asked of it; none stands for that of ops that name none. What cannot be read is the error of
/// whoever loads it.
#[must_use]
pub fn layouts_in(
    definition: &pb::Definition,
    session: Option<&str>,
) -> BTreeMap<Layout, BTreeSet<Option<Platform>>> {
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
        if let Ok(layout) = layout(rest, &source.attrs, session) {
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
    let layout = layout(rest, attrs, given.options.session.as_deref())?;
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

fn layout(
    rest: &str,
    attrs: &BTreeMap<String, String>,
    session: Option<&str>,
) -> Result<Layout, Problem> {
    Layout::read(rest, layout_attributes(attrs, session)?)
}
