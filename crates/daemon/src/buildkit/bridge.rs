//! The bridge: calls by which a client follows and makes its build. Each names its build in the
//! call's metadata.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bollard_buildkit_proto::health::health_server::HealthServer;
use bollard_buildkit_proto::moby::buildkit::v1::VertexWarning;
use bollard_buildkit_proto::moby::buildkit::v1::frontend::llb_bridge_server::{
    LlbBridge, LlbBridgeServer,
};
use bollard_buildkit_proto::moby::buildkit::v1::frontend::result::Result as Refs;
use bollard_buildkit_proto::moby::buildkit::v1::frontend::{
    EvaluateRequest, EvaluateResponse, ExecMessage, InputsRequest, InputsResponse,
    NewContainerRequest, NewContainerResponse, PingRequest, PongResponse, ReadDirRequest,
    ReadDirResponse, ReadFileRequest, ReadFileResponse, Ref as RefName, ReleaseContainerRequest,
    ReleaseContainerResponse, ResolveImageConfigRequest, ResolveImageConfigResponse,
    ResolveSourceMetaRequest, ResolveSourceMetaResponse, Result as Answer, ReturnRequest,
    ReturnResponse, SolveRequest, SolveResponse, StatFileRequest, StatFileResponse, WarnRequest,
    WarnResponse,
};
use bollard_buildkit_proto::pb;
use futures_util::future::BoxFuture;
use tonic::body::Body;
use tonic::codegen::{Service as _, async_trait};
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};
use wire::{Health, MAX_MESSAGE};

use super::builds::{Job, Returned};
use super::frontend::{self, Call, Made, Read};
use super::options::Options;
use super::results::Metadata;
use super::{
    Messages, attestations, caches, capabilities, containers, control, errors, look, resolve,
};
use crate::docker::Daemon;
use crate::grpc::not_provided;

/// The metadata that names the build.
const BUILD: &str = "buildkit-controlapi-buildid";

/// Answers for the daemon, or for one front end in an image.
#[derive(Debug)]
pub(super) struct Bridge {
    daemon: Arc<Daemon>,
    frame: Option<Arc<Frame>>,
}

/// A front end in an image: its calls are about one build, and what it returns is its own result.
#[derive(Debug)]
pub(super) struct Frame {
    job: Arc<Job>,
    /// What it was given.
    inputs: HashMap<String, pb::Definition>,
    /// How many front ends led to it, with itself.
    depth: usize,
    returned: Mutex<Option<Returned>>,
}

impl Frame {
    pub(super) fn new(
        job: &Arc<Job>,
        inputs: HashMap<String, pb::Definition>,
        depth: usize,
    ) -> Arc<Self> {
        Arc::new(Self {
            job: Arc::clone(job),
            inputs,
            depth,
            returned: Mutex::default(),
        })
    }

    /// What it returned, once.
    pub(super) fn returned(&self) -> Option<Returned> {
        self.lock().take()
    }

    fn end_with(&self, result: Returned) -> Result<(), Status> {
        let mut returned = self.lock();
        if returned.is_some() {
            return Err(Status::failed_precondition("gateway result is already set"));
        }
        *returned = Some(result);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Returned>> {
        self.returned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answer to a call of a front end in an image.
pub(super) async fn answer(
    frame: Arc<Frame>,
    request: hyper::Request<hyper::body::Incoming>,
) -> Result<hyper::Response<Body>, Infallible> {
    let request = request.map(Body::new);
    if request.uri().path().starts_with("/grpc.health.v1.Health/") {
        return HealthServer::new(Health).call(request).await;
    }
    let bridge = Bridge {
        daemon: Arc::clone(&frame.job.daemon),
        frame: Some(frame),
    };
    let service = LlbBridgeServer::new(bridge);
    let mut service = service.max_decoding_message_size(MAX_MESSAGE);
    service.call(request).await
}

impl Bridge {
    pub(super) fn new(daemon: &Arc<Daemon>) -> Self {
        Self {
            daemon: Arc::clone(daemon),
            frame: None,
        }
    }

    /// The build that a call is about.
    async fn job(&self, metadata: &MetadataMap) -> Result<Arc<Job>, Status> {
        if let Some(frame) = &self.frame {
            return Ok(Arc::clone(&frame.job));
        }
        let id = metadata.get(BUILD).and_then(|id| id.to_str().ok());
        let id = id.ok_or_else(|| Status::invalid_argument("no buildid found in context"))?;
        self.daemon.buildkit.builds.get(id).await
    }

    /// How many front ends led to a call.
    fn depth(&self) -> usize {
        self.frame.as_ref().map_or(0, |frame| frame.depth)
    }
}

/// Makes what a client defined itself, on a thread that may block.
///
/// # Errors
/// As for [`frontend::definition`].
pub(super) async fn define(
    job: &Arc<Job>,
    definition: pb::Definition,
    options: HashMap<String, String>,
) -> Result<Made, Status> {
    if definition.def.is_empty() {
        // It is the empty file system, which is handed about as no result.
        return match job.terms.outputs.is_empty() {
            true => Ok(Made::default()),
            false => Err(Status::unimplemented(
                "exporting a definition without steps is not provided by kiln",
            )),
        };
    }
    let options = Options::new(options, "a definition");
    let for_thread = Arc::clone(job);
    let work = move || async move { frontend::definition(&for_thread, &definition, options).await };
    job.offload(work).await?
}

/// Runs the front end of this name.
///
/// # Errors
/// There is none, or as [`frontend::dockerfile`] and [`frontend::gateway`].
pub(super) async fn by_name(job: &Arc<Job>, name: &str, call: Call) -> Result<Made, Status> {
    let source = call.options.get("source").cloned();
    let made = run(job, name, call).await;
    made.map_err(|status| errors::of_front_end(&status, name, source.as_deref()))
}

async fn run(job: &Arc<Job>, name: &str, call: Call) -> Result<Made, Status> {
    match name {
        "dockerfile.v0" => dockerfile(job, call).await,
        "gateway.v0" => {
            let none = || Status::invalid_argument("no source specified for gateway");
            let source = call.options.get("source").cloned().ok_or_else(none)?;
            if frontend::is_own(&source) {
                return dockerfile(job, call).await;
            }
            gateway(job, source, call).await
        }
        other => Err(Status::unimplemented(format!(
            "the front end {other:?} is not provided by kiln: use dockerfile.v0 or gateway.v0"
        ))),
    }
}

/// Runs kiln's own front end on a thread that may block, or the one that the Dockerfile names.
async fn dockerfile(job: &Arc<Job>, mut call: Call) -> Result<Made, Status> {
    let for_thread = Arc::clone(job);
    let options = Options::new(call.options.clone(), "dockerfile.v0");
    let inputs = call.inputs.clone();
    let work = move || async move { frontend::dockerfile(&for_thread, options, inputs).await };
    match job.offload(work).await?? {
        Read::Made(made) => Ok(made_by("dockerfile.v0", &call.options, made)),
        Read::ForAnother {
            source,
            command_line,
        } => {
            call.options.insert("source".to_owned(), source.clone());
            call.options.insert("cmdline".to_owned(), command_line);
            gateway(job, source, call).await
        }
    }
}

async fn gateway(job: &Arc<Job>, source: String, call: Call) -> Result<Made, Status> {
    let for_thread = Arc::clone(job);
    let options = call.options.clone();
    let work = move || async move { frontend::gateway(&for_thread, &source, call).await };
    // Both may run this one: the front end asks for front ends.
    let work: BoxFuture<'_, Result<Result<Made, Status>, Status>> = Box::pin(job.offload(work));
    Ok(made_by("gateway.v0", &options, work.await??))
}

/// Notes what was asked of the front end.
fn made_by(name: &str, options: &HashMap<String, String>, made: Made) -> Made {
    for result in made.results.iter() {
        result.made_by(attestations::asked(name, options));
    }
    made
}

#[async_trait]
impl LlbBridge for Bridge {
    type ExecProcessStream = Messages<ExecMessage>;

    async fn ping(&self, request: Request<PingRequest>) -> Result<Response<PongResponse>, Status> {
        self.job(request.metadata()).await?;
        Ok(Response::new(PongResponse {
            frontend_api_caps: capabilities::frontend(),
            llb_caps: capabilities::definitions(),
            workers: vec![control::worker(&self.daemon)],
        }))
    }

    async fn solve(
        &self,
        request: Request<SolveRequest>,
    ) -> Result<Response<SolveResponse>, Status> {
        let job = self.job(request.metadata()).await?;
        let solved = solve(&job, request.into_inner(), self.depth()).await?;
        Ok(Response::new(solved))
    }

    async fn r#return(
        &self,
        request: Request<ReturnRequest>,
    ) -> Result<Response<ReturnResponse>, Status> {
        let job = self.job(request.metadata()).await?;
        let request = request.into_inner();
        let result = match request.error {
            Some(error) => Err(errors::from_client(error)),
            None => Ok(request.result.unwrap_or_default()),
        };
        match &self.frame {
            Some(frame) => frame.end_with(result)?,
            None => job.end_with(result)?,
        }
        Ok(Response::new(ReturnResponse {}))
    }

    async fn evaluate(
        &self,
        request: Request<EvaluateRequest>,
    ) -> Result<Response<EvaluateResponse>, Status> {
        let job = self.job(request.metadata()).await?;
        job.find(&request.get_ref().r#ref)?.evaluate(&job).await?;
        Ok(Response::new(EvaluateResponse {}))
    }

    async fn read_file(
        &self,
        request: Request<ReadFileRequest>,
    ) -> Result<Response<ReadFileResponse>, Status> {
        let job = self.job(request.metadata()).await?;
        let found = look::read_file(&job, request.into_inner()).await?;
        Ok(Response::new(found))
    }

    async fn read_dir(
        &self,
        request: Request<ReadDirRequest>,
    ) -> Result<Response<ReadDirResponse>, Status> {
        let job = self.job(request.metadata()).await?;
        let found = look::read_dir(&job, request.into_inner()).await?;
        Ok(Response::new(found))
    }

    async fn stat_file(
        &self,
        request: Request<StatFileRequest>,
    ) -> Result<Response<StatFileResponse>, Status> {
        let job = self.job(request.metadata()).await?;
        let found = look::stat_file(&job, request.into_inner()).await?;
        Ok(Response::new(found))
    }

    async fn inputs(
        &self,
        request: Request<InputsRequest>,
    ) -> Result<Response<InputsResponse>, Status> {
        self.job(request.metadata()).await?;
        // A client that is its own front end has no others' inputs.
        let frame = self.frame.as_ref();
        let definitions = frame.map(|frame| frame.inputs.clone()).unwrap_or_default();
        Ok(Response::new(InputsResponse { definitions }))
    }

    async fn resolve_image_config(
        &self,
        request: Request<ResolveImageConfigRequest>,
    ) -> Result<Response<ResolveImageConfigResponse>, Status> {
        let job = self.job(request.metadata()).await?;
        let found = resolve::image_config(&job, request.into_inner()).await?;
        Ok(Response::new(found))
    }

    async fn resolve_source_meta(
        &self,
        request: Request<ResolveSourceMetaRequest>,
    ) -> Result<Response<ResolveSourceMetaResponse>, Status> {
        let job = self.job(request.metadata()).await?;
        let found = resolve::source_meta(&job, request.into_inner()).await?;
        Ok(Response::new(found))
    }

    async fn new_container(
        &self,
        request: Request<NewContainerRequest>,
    ) -> Result<Response<NewContainerResponse>, Status> {
        let job = self.job(request.metadata()).await?;
        containers::new(&job, request.into_inner()).await?;
        Ok(Response::new(NewContainerResponse {}))
    }

    async fn release_container(
        &self,
        request: Request<ReleaseContainerRequest>,
    ) -> Result<Response<ReleaseContainerResponse>, Status> {
        let job = self.job(request.metadata()).await?;
        containers::release(&job, &request.get_ref().container_id).await?;
        Ok(Response::new(ReleaseContainerResponse {}))
    }

    async fn exec_process(
        &self,
        request: Request<Streaming<ExecMessage>>,
    ) -> Result<Response<Messages<ExecMessage>>, Status> {
        let job = self.job(request.metadata()).await?;
        let heard = containers::talk(job, request.into_inner());
        Ok(Response::new(heard))
    }

    async fn read_file_container(
        &self,
        request: Request<ReadFileRequest>,
    ) -> Result<Response<ReadFileResponse>, Status> {
        let job = self.job(request.metadata()).await?;
        let found = containers::read_file(&job, request.into_inner()).await?;
        Ok(Response::new(found))
    }

    async fn read_dir_container(
        &self,
        request: Request<ReadDirRequest>,
    ) -> Result<Response<ReadDirResponse>, Status> {
        let job = self.job(request.metadata()).await?;
        let found = containers::read_dir(&job, request.into_inner()).await?;
        Ok(Response::new(found))
    }

    async fn stat_file_container(
        &self,
        request: Request<StatFileRequest>,
    ) -> Result<Response<StatFileResponse>, Status> {
        let job = self.job(request.metadata()).await?;
        let found = containers::stat_file(&job, request.into_inner()).await?;
        Ok(Response::new(found))
    }

    async fn warn(&self, request: Request<WarnRequest>) -> Result<Response<WarnResponse>, Status> {
        let job = self.job(request.metadata()).await?;
        let warning = request.into_inner();
        job.log.warn(VertexWarning {
            vertex: warning.digest,
            level: warning.level,
            short: warning.short,
            detail: warning.detail,
            url: warning.url,
            info: warning.info,
            ranges: warning.ranges,
        });
        Ok(Response::new(WarnResponse {}))
    }
}

async fn solve(
    job: &Arc<Job>,
    request: SolveRequest,
    depth: usize,
) -> Result<SolveResponse, Status> {
    if !request.source_policies.is_empty() {
        return not_provided("a source policy");
    }
    if request.r#final {
        return not_provided("a final solve without a return");
    }
    let mut options = request.frontend_opt;
    let imports = request.cache_imports.into_iter();
    caches::add_imports(
        &mut options,
        imports.map(|import| (import.r#type, import.attrs)),
    );
    let definition = request.definition.filter(|given| !given.def.is_empty());
    let inputs = request.frontend_inputs;
    let made = match (definition, request.frontend.as_str()) {
        // Nothing is asked of anybody.
        (None, "") => return Ok(SolveResponse::default()),
        (_, "") if !inputs.is_empty() => return not_provided("an input without a front end"),
        (Some(definition), "") => define(job, definition, options).await?,
        (Some(_), _) => {
            let message = "cannot solve with both Definition and Frontend specified";
            return Err(Status::invalid_argument(message));
        }
        (None, name) => {
            let call = Call {
                options,
                inputs,
                depth,
            };
            by_name(job, name, call).await?
        }
    };
    if request.evaluate {
        made.results.evaluate(job).await?;
    }
    let refs = made.results.keep(job, request.allow_result_array_ref)?;
    solved(refs, made.metadata, request.allow_result_return)
}

/// What the front end that asked is told, in the form that it knows.
fn solved(refs: Refs, metadata: Metadata, in_result: bool) -> Result<SolveResponse, Status> {
    let id = match &refs {
        _ if in_result => String::new(),
        Refs::Ref(RefName { id, .. }) | Refs::RefDeprecated(id) => id.clone(),
        Refs::Refs(_) | Refs::RefsDeprecated(_) => {
            let message = "solve did not return default result";
            return Err(Status::invalid_argument(message));
        }
    };
    Ok(SolveResponse {
        r#ref: id,
        result: Some(Answer {
            metadata,
            attestations: HashMap::new(),
            result: Some(refs),
        }),
    })
}
