//! Builds that a client defines step by step, in LLB.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bollard_buildkit_proto::pb;
use engine::{
    About, Build, BuildRequest, CacheFrom, Definition, Dockerfile, NamedContext, Reads, Sbom,
};
use graph::{Edge, Graph, LocalSource, MountSource, Op, SourceOp};
use llb::{FileQuestion, KnownResult, LoadError, Loaded, Loading, Problem, Step};
use oci::{Platform, Reference};
use tonic::{Code, Status};

use super::prepare::{agents, plain_request};
use super::{Contexts, Directory, LocalFiles, Made};
use crate::buildkit::builds::{Job, Ref};
use crate::buildkit::layouts::{self, StoredImage};
use crate::buildkit::options::Options;
use crate::buildkit::session::files::Selection;
use crate::buildkit::{attestations, caches, errors, output, policy, results};

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
    let sbom = attestations::sbom(options.all())?;
    // The whole build was asked for them before.
    options.family(attestations::OPTION);
    options.any(output::EPOCH);
    options.end()?;
    let cache_from = caches::bring_in(job, cache_from).await?;
    let build = job
        .build(about)
        .map_err(|error| errors::status(&error, None))?;
    let defined = Defined {
        sbom,
        ..read(job, &build, definition, "").await?
    };
    Ok(Made {
        results: results::Results::One(defined.plan(job, &build, cache_from).await?),
        metadata: HashMap::new(),
    })
}

/// Steps that a client defined, and what they read of what it offers.
pub(super) struct Defined {
    pub(super) definition: Definition,
    /// Files of directories, by the names of the local sources among the steps.
    pub(super) copies: Contexts,
    /// The file that people are shown the lines of.
    shown: Dockerfile,
    /// By which scanner the result is scanned.
    sbom: Option<Sbom>,
}

/// Reads a definition; names of local sources in it then begin with `prefix`.
///
/// # Errors
/// It is wrong, has something that kiln does not do, or names what cannot be had.
pub(super) async fn read(
    job: &Arc<Job>,
    build: &Build,
    definition: &pb::Definition,
    prefix: &str,
) -> Result<Defined, Status> {
    let results = results(job, definition)?;
    let allowed = llb::Options {
        allow_host_network: job.terms.host_network,
        allow_insecure: job.terms.insecure,
        session: job.session.as_ref().map(|session| session.id.clone()),
        results: results.steps,
        ask_sources: job.terms.policy.is_some(),
        layouts: layouts(job, build, definition).await?,
        ..llb::Options::default()
    };
    let mut loading = Loading::new(definition, allowed).map_err(|error| refused(&error))?;
    let loaded = loop {
        match loading.step().map_err(|error| refused(&error))? {
            Step::Done(loaded) => break *loaded,
            Step::NeedSources(questions) => {
                let decided = policy::decide_all(job, &questions).await?;
                for (question, source) in questions.iter().zip(decided) {
                    loading.decide(question, source);
                }
            }
            Step::NeedFile(question) => {
                let graph = loading.graph().clone();
                let file = file(job, build, (graph, &question), &results.copies).await?;
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
    job.engine.accept_sources(&definition.graph);
    let (definition, copies) = name(job, definition, prefix, &results.copies)?;
    Ok(Defined {
        definition,
        copies,
        shown,
        sbom: None,
    })
}

/// Brings in what a definition names in stores of the client's.
async fn layouts(
    job: &Arc<Job>,
    build: &Build,
    definition: &pb::Definition,
) -> Result<BTreeMap<llb::Layout, Reference>, Status> {
    let session = job.session.as_ref().map(|session| session.id.as_str());
    let mut layouts = BTreeMap::new();
    for (layout, platforms) in llb::layouts_in(definition, session) {
        let own = |platform: Option<_>| platform.unwrap_or_else(Platform::host);
        let image = StoredImage {
            name: layouts::NAMELESS.to_owned(),
            layout: layout.clone(),
            platforms: platforms.into_iter().map(own).collect(),
        };
        layouts.insert(layout, job.stored_image(build, image).await?);
    }
    Ok(layouts)
}

/// Results of builds that a definition goes on from.
#[derive(Default)]
struct Results {
    steps: BTreeMap<String, Arc<KnownResult>>,
    /// Files of directories, by the names of the local sources among the steps.
    copies: BTreeMap<String, Arc<LocalFiles>>,
}

/// Finds the results that a definition names. One that is not there is an error of whoever needs it.
fn results(job: &Job, definition: &pb::Definition) -> Result<Results, Status> {
    let mut results = Results::default();
    for (identifier, build, name) in llb::results_in(definition) {
        let Some(result) = job.daemon.buildkit.builds.result(&build, &name) else {
            continue;
        };
        // No directory has the name of a result.
        let of_result = |context: &str| format!("{identifier} {context}");
        let defined = result.definition(of_result);
        let defined = defined.map_err(|error| errors::status(&error, None))?;
        let copies = result.copies.iter();
        let copies = copies.map(|(context, copy)| (of_result(context), Arc::clone(copy)));
        results.copies.extend(copies);
        let steps = KnownResult {
            graph: defined.graph,
            root: defined.root,
            required: defined.required,
        };
        results.steps.insert(identifier, Arc::new(steps));
    }
    Ok(results)
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
    (graph, question): (Graph, &FileQuestion),
    of_results: &BTreeMap<String, Arc<LocalFiles>>,
) -> Result<Vec<u8>, Status> {
    let failed = |error| errors::status(&error, None);
    let definition = Definition {
        graph,
        root: Some(question.edge),
        required: Vec::new(),
    };
    let (definition, copies) = name(job, definition, "", of_results)?;
    let defined = Defined {
        definition,
        copies,
        shown: shown(&Loaded::default()),
        sbom: None,
    };
    let made = defined.plan(job, build, Vec::new()).await?;
    let evaluated = made.evaluate(job).await?;
    let files = build.files(&evaluated).await.map_err(failed)?;
    files.read(&question.path, None).map_err(failed)
}

impl Defined {
    /// Asks for the images that the steps name.
    ///
    /// # Errors
    /// One cannot be had.
    pub(super) async fn plan(
        self,
        job: &Arc<Job>,
        build: &Build,
        cache_from: Vec<CacheFrom>,
    ) -> Result<Arc<Ref>, Status> {
        let contexts = self.copies.iter().map(|(name, copy)| {
            let context = NamedContext::Directory(copy.path().to_owned());
            (name.clone(), context)
        });
        let request = BuildRequest {
            named_contexts: contexts.collect(),
            cache_from,
            ssh: agents(job, self.agents()).await?,
            dockerfile: self.shown,
            sbom: self.sbom,
            ..plain_request(job)
        };
        let planned = build.plan_definition(&request, &self.definition).await;
        let planned = planned.map_err(|error| errors::status(&error, Some(&request.dockerfile)))?;
        Ok(Ref::new(planned, self.copies))
    }

    /// Names of the agents that steps and repositories ask for.
    pub(super) fn agents(&self) -> BTreeSet<String> {
        offered(&self.definition.graph)
    }
}

/// Gives the directories that a definition reads the names of their copies.
fn name(
    job: &Job,
    mut definition: Definition,
    prefix: &str,
    of_results: &BTreeMap<String, Arc<LocalFiles>>,
) -> Result<(Definition, Contexts), Status> {
    let edges = [&definition.root].into_iter().flatten();
    let edges: Vec<Edge> = edges.chain(&definition.required).copied().collect();
    let wanted = definition.graph.reached(&edges);
    let mut locals = Locals {
        prefix,
        of_results,
        read: Vec::new(),
    };
    definition.graph = locals.name(&definition.graph, &wanted)?;
    let copies = locals.copies(job)?;
    Ok((definition, copies))
}

/// Which files of the client's directories a definition reads: each choice is a copy of its own.
struct Locals<'a> {
    prefix: &'a str,
    of_results: &'a BTreeMap<String, Arc<LocalFiles>>,
    read: Vec<LocalSource>,
}

impl Locals<'_> {
    /// The graph with numbers for names. The client chooses the files, so nothing is left to choose
    /// but of those that a result reads in place.
    fn name(&mut self, graph: &Graph, wanted: &[bool]) -> Result<Graph, Status> {
        let mut named = Graph::with_capacity(graph.len());
        for (id, vertex) in graph.iter() {
            let mut op = vertex.op.clone();
            if let Op::Source(SourceOp::Local(local)) = &mut op {
                let name = match wanted[id.index()] {
                    true => self.number(local),
                    // It is not read, and stays what it is.
                    false => format!("unused {}", id.index()),
                };
                if !self.of_results.contains_key(&local.name) {
                    let LocalSource {
                        name: _,
                        include,
                        exclude,
                        follow,
                    } = local;
                    for patterns in [include, exclude, follow] {
                        patterns.clear();
                    }
                }
                local.name = name;
            }
            let added = named.add(op, vertex.inputs.clone(), vertex.meta.clone());
            added.map_err(|error| Status::internal(error.to_string()))?;
        }
        Ok(named)
    }

    fn number(&mut self, local: &LocalSource) -> String {
        let known = self.read.iter().position(|known| known == local);
        let number = known.unwrap_or_else(|| {
            self.read.push(local.clone());
            self.read.len() - 1
        });
        format!("{}{number}", self.prefix)
    }

    /// The copies, in their order.
    fn copies(self, job: &Job) -> Result<Contexts, Status> {
        let mut copies = Vec::with_capacity(self.read.len());
        for (number, local) in self.read.into_iter().enumerate() {
            let copy = match self.of_results.get(&local.name) {
                Some(copy) => Arc::clone(copy),
                None => copy_of(job, local)?,
            };
            copies.push((format!("{}{number}", self.prefix), copy));
        }
        Ok(copies)
    }
}

fn copy_of(job: &Job, local: LocalSource) -> Result<Arc<LocalFiles>, Status> {
    let session = Arc::clone(job.session()?);
    let directory = Directory {
        name: local.name.clone(),
        shared_key: session.shared_key.clone(),
        // The client chooses the files.
        place: None,
        session,
    };
    let selection = Selection {
        directory: local.name,
        include: local.include,
        exclude: local.exclude,
        follow: local.follow,
    };
    let copy = job.copy_of(directory, selection)?;
    copy.will_be_read(&Reads::All);
    Ok(copy)
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
