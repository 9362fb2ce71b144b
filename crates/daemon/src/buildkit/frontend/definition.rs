//! Builds that a client defines step by step, in LLB.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use bollard_buildkit_proto::pb;
use engine::{About, Build, BuildRequest, CacheFrom, Definition, Dockerfile, NamedContext};
use graph::{Edge, Graph, LocalSource, MountSource, Op, SourceOp};
use llb::{FileQuestion, LoadError, Loaded, Loading, Problem, Step};
use tonic::{Code, Status};

use super::prepare::{agents, plain_request};
use super::{Copied, Directory, Made};
use crate::buildkit::builds::{Job, Ref};
use crate::buildkit::options::Options;
use crate::buildkit::session::files::Selection;
use crate::buildkit::{caches, errors};

/// What the history calls it.
const NAME: &str = "definition";

/// Makes what a client defined; blocks while it reads.
///
/// # Errors
/// The definition is wrong, has something that kiln does not do, or names what cannot be had.
pub(in crate::buildkit) async fn definition(
    job: &Arc<Job>,
    definition: &pb::Definition,
    mut options: Options,
) -> Result<Made, Status> {
    let cache_from = match options.one("cache-imports") {
        Some(json) => caches::imports(&json)?,
        None => Vec::new(),
    };
    options.end()?;
    let cache_from = caches::bring_in(job, cache_from).await?;
    let build = job
        .build(about)
        .map_err(|error| errors::status(&error, None))?;
    let allowed = llb::Options {
        allow_host_network: job.terms.host_network,
        session: job.session.as_ref().map(|session| session.id.clone()),
        ..llb::Options::default()
    };
    let mut loading = Loading::new(definition, allowed).map_err(|error| refused(&error))?;
    let loaded = loop {
        match loading.step().map_err(|error| refused(&error))? {
            Step::Done(loaded) => break *loaded,
            Step::NeedFile(question) => {
                let file = file(job, &build, loading.graph(), &question).await?;
                loading.answer(&file).map_err(|error| refused(&error))?;
            }
        }
    };
    let shown = shown(&loaded);
    let definition = Definition {
        graph: loaded.graph,
        root: loaded.root,
        required: loaded.required,
    };
    Ok(Made {
        result: Some(plan(job, &build, definition, (shown, cache_from)).await?),
        metadata: HashMap::new(),
    })
}

fn about() -> About {
    About {
        name: NAME.to_owned(),
        ..About::default()
    }
}

/// The file that people are shown the lines of.
fn shown(loaded: &Loaded) -> Dockerfile {
    let first = loaded.sources.first();
    Dockerfile {
        name: first.map_or(NAME.to_owned(), |file| file.name.clone()),
        path: None,
        text: first.map_or(String::new(), |file| {
            String::from_utf8_lossy(&file.data).into_owned()
        }),
    }
}

/// A file that the definition goes on with.
async fn file(
    job: &Arc<Job>,
    build: &Build,
    graph: &Graph,
    question: &FileQuestion,
) -> Result<Vec<u8>, Status> {
    let failed = |error| errors::status(&error, None);
    let definition = Definition {
        graph: graph.clone(),
        root: Some(question.edge),
        required: Vec::new(),
    };
    let about = (shown(&Loaded::default()), Vec::new());
    let made = plan(job, build, definition, about).await?;
    let evaluated = made.evaluate(job).await?;
    let files = build.files(&evaluated).await.map_err(failed)?;
    files.read(&question.path, None).map_err(failed)
}

async fn plan(
    job: &Arc<Job>,
    build: &Build,
    mut definition: Definition,
    (dockerfile, cache_from): (Dockerfile, Vec<CacheFrom>),
) -> Result<Arc<Ref>, Status> {
    let mut locals = Locals::default();
    let edges = [&definition.root].into_iter().flatten();
    let edges: Vec<Edge> = edges.chain(&definition.required).copied().collect();
    let wanted = reached(&definition.graph, &edges);
    definition.graph = locals.name(&definition.graph, &wanted)?;
    let mut request = BuildRequest {
        dockerfile,
        cache_from,
        ssh: agents(job, offered(&definition.graph)).await?,
        ..plain_request(job)
    };
    let copies = locals.copies(job, &mut request)?;
    let planned = build.plan_definition(&request, &definition).await;
    let planned = planned.map_err(|error| errors::status(&error, Some(&request.dockerfile)))?;
    Ok(Ref::new(planned, copies))
}

/// By vertex, whether one of `edges` needs it.
fn reached(graph: &Graph, edges: &[Edge]) -> Vec<bool> {
    let mut reached = vec![false; graph.len()];
    for edge in edges {
        reached[edge.vertex.index()] = true;
    }
    let vertices: Vec<_> = graph.iter().collect();
    for (id, vertex) in vertices.into_iter().rev() {
        if reached[id.index()] {
            for input in &vertex.inputs {
                reached[input.vertex.index()] = true;
            }
        }
    }
    reached
}

/// Which files of the client's directories a definition reads: each choice is a copy of its own.
#[derive(Default)]
struct Locals(Vec<LocalSource>);

impl Locals {
    /// The graph with numbers for names. The client chooses the files, so nothing is left to choose.
    fn name(&mut self, graph: &Graph, wanted: &[bool]) -> Result<Graph, Status> {
        let mut named = Graph::with_capacity(graph.len());
        for (id, vertex) in graph.iter() {
            let mut op = vertex.op.clone();
            if let Op::Source(SourceOp::Local(local)) = &mut op {
                *local = LocalSource {
                    name: match wanted[id.index()] {
                        true => self.number(local).to_string(),
                        // It is not read, and stays what it is.
                        false => format!("unused {}", id.index()),
                    },
                    include: Vec::new(),
                    exclude: Vec::new(),
                    follow: Vec::new(),
                };
            }
            let added = named.add(op, vertex.inputs.clone(), vertex.meta.clone());
            added.map_err(|error| Status::internal(error.to_string()))?;
        }
        Ok(named)
    }

    fn number(&mut self, local: &LocalSource) -> usize {
        let known = self.0.iter().position(|known| known == local);
        known.unwrap_or_else(|| {
            self.0.push(local.clone());
            self.0.len() - 1
        })
    }

    /// The copies, which are further contexts of the request.
    fn copies(self, job: &Job, request: &mut BuildRequest) -> Result<Vec<Arc<Copied>>, Status> {
        let mut copies = Vec::with_capacity(self.0.len());
        for (number, local) in self.0.into_iter().enumerate() {
            let session = Arc::clone(job.session()?);
            let directory = Directory {
                name: local.name.clone(),
                shared_key: session.shared_key.clone(),
                session,
            };
            let copy = job.copy_of(
                directory,
                Selection {
                    directory: local.name,
                    include: local.include,
                    exclude: local.exclude,
                    follow: local.follow,
                },
            )?;
            let context = NamedContext::Directory(copy.path().to_owned());
            request.named_contexts.insert(number.to_string(), context);
            copies.push(copy);
        }
        Ok(copies)
    }
}

/// Names of the agents that steps and repositories ask for.
fn offered(graph: &Graph) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (_, vertex) in graph.iter() {
        match &vertex.op {
            Op::Exec(exec) => {
                names.extend(exec.mounts.iter().filter_map(|mount| match &mount.source {
                    MountSource::Ssh { id, .. } => Some(id.clone()),
                    _ => None,
                }));
            }
            Op::Source(SourceOp::Git(_)) => {
                names.insert("default".to_owned());
            }
            _ => {}
        }
    }
    names
}

fn refused(error: &LoadError) -> Status {
    Status::new(code(&error.problem), format!("failed to load LLB: {error}"))
}

/// What a client is told that asks for something that makes no sense, or not to kiln.
pub(in crate::buildkit) const fn code(problem: &Problem) -> Code {
    match problem {
        Problem::Unsupported { .. } | Problem::Capability(_) | Problem::UnknownField { .. } => {
            Code::Unimplemented
        }
        Problem::NotAllowed(_) | Problem::Device(_) => Code::PermissionDenied,
        _ => Code::InvalidArgument,
    }
}
