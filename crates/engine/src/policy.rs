//! Whoever decides about the sources of builds: which they may have, and which they have others in
//! place of.
//!
//! A source is decided about before anything of it is fetched, under the name that the build has for
//! it. What it turned out to be, a commit or a digest in place of a name, is not decided about again.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use graph::{Graph, GraphError, ImageSource, LocalSource, Op, PullPolicy, SourceOp, VertexId};
use oci::{Platform, Reference};
use registry::BoxFuture;

use crate::engine::{Engine, Inner};
use crate::error::EngineError;
use crate::image::ResolvedImage;
use crate::session::{CONTEXT, context_name, named};
use crate::source::LAYOUTS;

/// Why a source may not be had.
pub type Refusal = Arc<dyn Error + Send + Sync>;

/// Why a build may not have a source.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// Whoever decides about sources says so.
    #[error("{0}")]
    Refused(Refusal),
    /// What is to take the place of a source cannot.
    #[error("a source policy puts {to} in the place of {from}, which is not provided by kiln")]
    Kind {
        /// What the build wanted.
        from: &'static str,
        /// What it is to have.
        to: &'static str,
    },
}

/// Decides about sources.
pub trait SourceJudge: fmt::Debug + Send + Sync {
    /// What a build has in place of `source`, which may be the same. A directory of the client's has
    /// the name that clients have for it.
    fn judge<'a>(&'a self, source: &'a SourceOp) -> BoxFuture<'a, Result<SourceOp, Refusal>>;
}

/// Who decides for an engine, and what builds may have.
#[derive(Debug, Default)]
pub(crate) struct Policy {
    judge: OnceLock<Arc<dyn SourceJudge>>,
    accepted: Mutex<Vec<SourceOp>>,
}

impl Policy {
    pub(crate) fn is_judged(&self) -> bool {
        self.judge.get().is_some()
    }

    fn accepted(&self) -> MutexGuard<'_, Vec<SourceOp>> {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(&self, source: &SourceOp) {
        let mut accepted = self.accepted();
        if !accepted.contains(source) {
            accepted.push(source.clone());
        }
    }
}

impl Engine {
    /// Has `judge` decide about sources from now on. Whoever is first decides.
    pub fn use_judge(&self, judge: Arc<dyn SourceJudge>) {
        drop(self.0.policy.judge.set(judge));
    }

    /// Whether somebody decides about sources.
    #[must_use]
    pub fn is_judged(&self) -> bool {
        self.0.policy.is_judged()
    }

    /// The sources of `graph` have been decided about.
    pub fn accept_sources(&self, graph: &Graph) {
        if self.is_judged() {
            let ops = graph.iter().map(|(_, vertex)| &vertex.op);
            ops.filter_map(source)
                .for_each(|source| self.0.policy.accept(source));
        }
    }

    /// Decides about the client's directory `name`.
    ///
    /// # Errors
    /// The build may not have it.
    pub async fn admit_directory(&self, name: &str) -> Result<(), EngineError> {
        let local = LocalSource {
            name: name.to_owned(),
            include: Vec::new(),
            exclude: Vec::new(),
            follow: Vec::new(),
        };
        self.0.admit(&SourceOp::Local(local)).await.map(drop)
    }
}

impl Inner {
    /// What the build has in place of `wanted`, which may be the same.
    ///
    /// # Errors
    /// The build may not have it, or what is to take its place is of a kind that cannot.
    pub(crate) async fn admit(&self, wanted: &SourceOp) -> Result<SourceOp, EngineError> {
        let policy = &self.policy;
        let Some(judge) = policy.judge.get() else {
            return Ok(wanted.clone());
        };
        if policy.accepted().contains(wanted) {
            return Ok(wanted.clone());
        }
        let judged = judge.judge(wanted).await;
        let had = judged.map_err(PolicyError::Refused)?;
        if let (Some(from), Some(to)) = (unlike(wanted, &had), unlike(&had, wanted)) {
            return Err(PolicyError::Kind { from, to }.into());
        }
        policy.accept(&had);
        Ok(had)
    }

    /// The same for an image: its name, and when its registry is asked.
    pub(crate) async fn admit_image(
        &self,
        reference: &Reference,
        platform: &Platform,
        pull: PullPolicy,
    ) -> Result<(Reference, PullPolicy), EngineError> {
        // Layouts were decided about where they were brought in.
        if !self.policy.is_judged() || reference.domain() == LAYOUTS {
            return Ok((reference.clone(), pull));
        }
        let wanted = SourceOp::Image(ImageSource {
            reference: reference.clone(),
            platform: platform.clone(),
            pull,
        });
        match self.admit(&wanted).await? {
            SourceOp::Image(image) => Ok((image.reference, image.pull)),
            _ => Ok((reference.clone(), pull)),
        }
    }

    /// Finds what the build has in place of an image that a Dockerfile names. It is decided about under
    /// its name, and once more when its digest is known, as BuildKit's front end has it.
    pub(crate) async fn find_admitted(
        self: &Arc<Self>,
        reference: &Reference,
        platform: &Platform,
        pull: PullPolicy,
    ) -> Result<ResolvedImage, EngineError> {
        let (reference, pull) = self.admit_image(reference, platform, pull).await?;
        let found = self.resolve_image(&reference, platform, pull).await?;
        let (pinned, pull) = self.admit_image(&found.reference, platform, pull).await?;
        if pinned == found.reference {
            return Ok(found);
        }
        self.resolve_image(&pinned, platform, pull).await
    }

    /// What `found` was found for has been decided about.
    pub(crate) fn accept(&self, found: &SourceOp) {
        if self.policy.is_judged() {
            self.policy.accept(found);
        }
    }

    /// The graph of a Dockerfile with what it has in place of its sources, and where its vertices are
    /// there. Images were decided about when they were asked for.
    ///
    /// # Errors
    /// As [`Self::admit`].
    pub(crate) async fn admit_graph(
        &self,
        graph: Graph,
        directories: &[&str],
    ) -> Result<(Graph, Vec<VertexId>), EngineError> {
        let refused = |error: GraphError| EngineError::Solve(error.to_string());
        let mut admitted = Graph::with_capacity(graph.len());
        let mut places: Vec<VertexId> = Vec::with_capacity(graph.len());
        for (_, vertex) in graph.iter() {
            let op = match source(&vertex.op) {
                Some(source) => Op::Source(self.admit_of_graph(source, directories).await?),
                None => vertex.op.clone(),
            };
            let mut inputs = vertex.inputs.clone();
            for input in &mut inputs {
                input.vertex = places[input.vertex.index()];
            }
            let added = admitted.add(op, inputs, vertex.meta.clone());
            places.push(added.map_err(refused)?);
        }
        Ok((admitted, places))
    }

    async fn admit_of_graph(
        &self,
        source: &SourceOp,
        directories: &[&str],
    ) -> Result<SourceOp, EngineError> {
        match source {
            SourceOp::Git(_) | SourceOp::Http(_) => self.admit(source).await,
            SourceOp::Local(local) => {
                let is_own = |name: &&&str| local.name == named(name);
                let name = match local.name == CONTEXT {
                    true => Some(CONTEXT),
                    false => directories.iter().find(is_own).copied(),
                };
                // Others are of definitions, whose sources were decided about.
                if name.is_some() {
                    let mut known = local.clone();
                    if local.name != CONTEXT {
                        known.name = context_name(&local.name).to_owned();
                    }
                    self.admit(&SourceOp::Local(known)).await?;
                }
                Ok(source.clone())
            }
            SourceOp::Image(_) | SourceOp::Archive(_) => Ok(source.clone()),
        }
    }
}

fn source(op: &Op) -> Option<&SourceOp> {
    match op {
        Op::Source(source) => Some(source),
        _ => None,
    }
}

/// The kind of `source`, if it cannot stand where `other` does: images are looked at before anything
/// is planned, and directories are the client's.
fn unlike(source: &SourceOp, other: &SourceOp) -> Option<&'static str> {
    let kind = |source: &SourceOp| match source {
        SourceOp::Image(_) => "an image",
        SourceOp::Local(_) => "a directory of the client's",
        SourceOp::Git(_) | SourceOp::Http(_) | SourceOp::Archive(_) => "a remote source",
    };
    let is_same = match (source, other) {
        (SourceOp::Local(one), SourceOp::Local(other)) => one.name == other.name,
        _ => kind(source) == kind(other),
    };
    (!is_same).then(|| kind(source))
}
