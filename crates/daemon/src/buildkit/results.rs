//! What a build came to, as clients and front ends hand it about: one result, or one for each
//! platform with metadata that says which.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bollard_buildkit_proto::moby::buildkit::v1::frontend::result::Result as Refs;
use bollard_buildkit_proto::moby::buildkit::v1::frontend::{
    Ref as RefName, RefMap, RefMapDeprecated, Result as Returned,
};
use engine::{Evaluated, Planned};
use oci::{ImageConfig, Platform};
use serde::{Deserialize, Serialize};
use tonic::Status;

use super::builds::{Job, Ref};
use super::frontend::Contexts;

/// What is known of a result's image; of one of several, with `/` and its platform behind.
pub(super) const CONFIG: &str = "containerimage.config";
/// Which result is for which platform, and their order.
pub(super) const PLATFORMS: &str = "refs.platforms";

/// What front ends say of their results.
pub(super) type Metadata = HashMap<String, Vec<u8>>;

/// What a front end came to.
#[derive(Debug, Default)]
pub(super) enum Results {
    /// It is no build, or made nothing.
    #[default]
    Nothing,
    /// One for one platform.
    One(Arc<Ref>),
    /// By the IDs of their platforms.
    Each(BTreeMap<String, Arc<Ref>>),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Platforms {
    platforms: Vec<Entry>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "Platform")]
    platform: Platform,
}

impl Results {
    /// What comes of `planned`, with what clients read of it.
    ///
    /// # Errors
    /// Something cannot be written as JSON.
    pub(super) fn of(planned: &Planned, copies: &Contexts) -> Result<(Self, Metadata), Status> {
        let mut metadata = Metadata::new();
        let mut entries = Vec::new();
        for (platform, config) in planned.configs() {
            let platform = platform.normalised();
            let id = platform.to_string();
            let name = match planned.is_indexed() {
                true => format!("{CONFIG}/{id}"),
                false => CONFIG.to_owned(),
            };
            metadata.insert(name, json(config)?);
            entries.push(Entry { id, platform });
        }
        let refs = Ref::each(planned, copies);
        if !planned.is_indexed() {
            let one = refs.into_iter().next();
            return Ok((one.map_or(Self::Nothing, Self::One), metadata));
        }
        let ids = entries.iter().map(|entry| entry.id.clone());
        let each = Self::Each(ids.zip(refs).collect());
        let platforms = Platforms { platforms: entries };
        metadata.insert(PLATFORMS.to_owned(), json(&platforms)?);
        Ok((each, metadata))
    }

    /// Those that a client or a front end names.
    ///
    /// # Errors
    /// There is none of a name, or there is more than kiln has.
    pub(super) fn named(job: &Job, result: &Returned) -> Result<Self, Status> {
        if !result.attestations.is_empty() {
            return Err(Status::unimplemented(
                "attestations of a client are not provided by kiln",
            ));
        }
        let several: BTreeMap<&String, &String> = match &result.result {
            None => return Ok(Self::Nothing),
            Some(Refs::Ref(RefName { id, .. }) | Refs::RefDeprecated(id)) => {
                return match id.as_str() {
                    "" => Ok(Self::Nothing),
                    id => job.find(id).map(Self::One),
                };
            }
            Some(Refs::Refs(refs)) => {
                let refs = refs.refs.iter();
                refs.map(|(platform, named)| (platform, &named.id))
                    .collect()
            }
            Some(Refs::RefsDeprecated(refs)) => refs.refs.iter().collect(),
        };
        let find = |(platform, id): (&String, &String)| Ok((platform.clone(), job.find(id)?));
        let each: BTreeMap<_, _> = several
            .into_iter()
            .map(find)
            .collect::<Result<_, Status>>()?;
        match each.is_empty() {
            true => Ok(Self::Nothing),
            false => Ok(Self::Each(each)),
        }
    }

    /// Keeps them for the client; what it is told, in the form that it knows.
    ///
    /// # Errors
    /// There are too many.
    pub(super) fn keep(&self, job: &Job, has_message: bool) -> Result<Refs, Status> {
        let named = |id: String| RefName {
            def: (!id.is_empty()).then(|| llb::of_result(&job.terms.id, &id)),
            id,
        };
        let of_one = |id: String| match has_message {
            true => Refs::Ref(named(id)),
            false => Refs::RefDeprecated(id),
        };
        let refs = match self {
            Self::Nothing => return Ok(of_one(String::new())),
            Self::One(result) => return Ok(of_one(job.keep(Arc::clone(result))?)),
            Self::Each(each) => each,
        };
        let kept = refs.iter();
        let kept = kept.map(|(id, result)| Ok((id.clone(), job.keep(Arc::clone(result))?)));
        let kept: HashMap<String, String> = kept.collect::<Result<_, Status>>()?;
        Ok(match has_message {
            true => Refs::Refs(RefMap {
                refs: kept
                    .into_iter()
                    .map(|(id, kept)| (id, named(kept)))
                    .collect(),
            }),
            false => Refs::RefsDeprecated(RefMapDeprecated { refs: kept }),
        })
    }

    /// Makes them now.
    ///
    /// # Errors
    /// A step failed.
    pub(super) async fn evaluate(&self, job: &Arc<Job>) -> Result<(), Status> {
        for result in self.iter() {
            result.evaluate(job).await?;
        }
        Ok(())
    }

    /// Each of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Ref>> {
        let (one, each) = match self {
            Self::Nothing => (None, None),
            Self::One(one) => (Some(one), None),
            Self::Each(each) => (None, Some(each.values())),
        };
        one.into_iter().chain(each.into_iter().flatten())
    }

    /// What is to be exported, made now if it was not; the images are as `metadata` says.
    ///
    /// # Errors
    /// A step failed, or the metadata makes no sense.
    pub(super) async fn made(
        &self,
        job: &Arc<Job>,
        metadata: &Metadata,
    ) -> Result<Option<Evaluated>, Status> {
        let each = match self {
            Self::Nothing => return Ok(None),
            Self::One(result) => {
                let config = config(result, metadata, None)?;
                let evaluated = result.evaluate(job).await?;
                return Ok(Some(match config {
                    Some(config) => evaluated.with_config(config),
                    None => evaluated,
                }));
            }
            Self::Each(each) => each,
        };
        let mut images = Vec::with_capacity(each.len());
        for entry in platforms(metadata)? {
            let missing = || {
                let message = format!("failed to find ref for ID {}", entry.id);
                Status::invalid_argument(message)
            };
            let result = each.get(&entry.id).ok_or_else(missing)?;
            let config = config(result, metadata, Some(&entry))?;
            images.push((result.evaluate(job).await?, config));
        }
        Ok(Some(Evaluated::index(images)))
    }
}

/// Which results are wanted, in their order.
fn platforms(metadata: &Metadata) -> Result<Vec<Entry>, Status> {
    let missing = "unable to export multiple refs, missing platforms mapping";
    let json = metadata.get(PLATFORMS);
    let json = json.ok_or_else(|| Status::invalid_argument(missing))?;
    let parsed: Result<Platforms, _> = serde_json::from_slice(json);
    let invalid = |error| Status::invalid_argument(format!("invalid {PLATFORMS}: {error}"));
    let entries = parsed.map_err(invalid)?.platforms;
    match entries.is_empty() {
        true => Err(Status::invalid_argument(format!("{PLATFORMS} is empty"))),
        false => Ok(entries),
    }
}

/// The config of a result's image, if it is not the one that the Dockerfile makes. A result without
/// one is for the platform that it is handed about as.
fn config(
    result: &Ref,
    metadata: &Metadata,
    entry: Option<&Entry>,
) -> Result<Option<ImageConfig>, Status> {
    let own = entry.and_then(|entry| metadata.get(&format!("{CONFIG}/{}", entry.id)));
    let config = match (own.or_else(|| metadata.get(CONFIG)), entry) {
        (Some(json), _) => {
            let parsed: Result<ImageConfig, _> = serde_json::from_slice(json);
            let invalid =
                |error| Status::invalid_argument(format!("invalid image config: {error}"));
            parsed.map_err(invalid)?
        }
        (None, Some(Entry { platform, .. })) => {
            let platform = platform.normalised();
            ImageConfig {
                architecture: platform.architecture,
                os: platform.os,
                os_version: platform.os_version,
                variant: platform.variant,
                ..result.config().clone()
            }
        }
        (None, None) => return Ok(None),
    };
    Ok(Some(config).filter(|config| config != result.config()))
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, Status> {
    serde_json::to_vec(value).map_err(|error| Status::internal(error.to_string()))
}
