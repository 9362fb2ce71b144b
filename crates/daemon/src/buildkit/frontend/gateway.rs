//! `gateway.v0`: front ends in images. The image's program gets the client's options in its
//! environment, and speaks to the bridge over its standard input and output.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use bollard_buildkit_proto::pb;
use engine::{About, Build, Definition, FrontEnd, ProcessExit, PullPolicy};
use graph::{Graph, ImageSource, Meta, Op, SourceOp};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use oci::{ImageConfig, Platform, Reference};
use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::{Receiver, Sender};
use tonic::Status;

use super::Made;
use super::prepare::plain_request;
use crate::buildkit::bridge::{self, Frame};
use crate::buildkit::builds::{Job, Ref};
use crate::buildkit::{control, errors, solve};
use crate::grpc::Tasks;

/// What the program is when the image does not say.
const PROGRAM: &str = "/run";
/// Labels of images that are front ends.
const NO_NETWORK: &str = "moby.buildkit.frontend.network.none";
const CAPABILITIES: &str = "moby.buildkit.frontend.caps";
const INPUTS: &str = "moby.buildkit.frontend.inputs";
/// Bytes of what the program says of its end.
const MAX_WORDS: u64 = 4096;
/// Front ends that front ends ask for.
pub(in crate::buildkit) const MAX_DEPTH: usize = 8;

/// What a front end is asked.
#[derive(Debug, Default)]
pub(in crate::buildkit) struct Call {
    pub(in crate::buildkit) options: HashMap<String, String>,
    /// File systems that it is given, by their names.
    pub(in crate::buildkit) inputs: HashMap<String, pb::Definition>,
    /// How many front ends led to it.
    pub(in crate::buildkit) depth: usize,
}

/// Runs the front end in the image `source`.
///
/// # Errors
/// The image cannot be had, or its program fails or makes nothing.
pub(in crate::buildkit) async fn gateway(
    job: &Arc<Job>,
    source: &str,
    call: Call,
) -> Result<Made, Status> {
    let Call {
        options,
        inputs,
        depth,
    } = call;
    if depth >= MAX_DEPTH {
        return Err(Status::resource_exhausted("front ends ask for one another"));
    }
    let build = job.build(About::default);
    let build = build.map_err(|error| errors::status(&error, None))?;
    let (reference, config) = image(&build, source).await?;
    check_capabilities(&config, &options, !inputs.is_empty())?;
    let result = file_system(job, &build, reference).await?;
    let evaluated = result.evaluate(job).await?;
    let (stdin, to_it) = io::pipe().map_err(internal)?;
    let (from_it, stdout) = io::pipe().map_err(internal)?;
    let (words, stderr) = io::pipe().map_err(internal)?;
    let front_end = FrontEnd {
        args: program(&config),
        env: environment(job, &config, options)?,
        cwd: match config.config.working_dir.as_str() {
            "" => "/".to_owned(),
            directory => directory.to_owned(),
        },
        without_network: is_set(&config, NO_NETWORK),
        stdin: stdin.into(),
        stdout: stdout.into(),
        stderr: stderr.into(),
    };
    let to_it = Sender::from_owned_fd(nonblocking(to_it.into())?).map_err(internal)?;
    let from_it = Receiver::from_owned_fd(nonblocking(from_it.into())?).map_err(internal)?;
    let words = Receiver::from_owned_fd(nonblocking(words.into())?).map_err(internal)?;
    let frame = Frame::new(job, inputs, depth + 1);
    let task = build.task(&format!("run front end {source}"));
    let run = build.front_end(evaluated.stack(), front_end);
    // When the program ends so does the connection.
    let ended = tokio::join!(run, words_of(words), serve(&frame, to_it, from_it));
    match frame.returned() {
        Some(Ok(result)) => {
            task.complete();
            solve::made(job, result)
        }
        Some(Err(status)) => {
            task.fail(status.message().to_owned());
            Err(status)
        }
        None => {
            let (exit, words, ()) = ended;
            let status = match exit {
                Ok(exit) => silent(exit, &words),
                Err(error) => errors::status(&error, None),
            };
            task.fail(status.message().to_owned());
            Err(status)
        }
    }
}

/// Answers what the program asks.
async fn serve(frame: &Arc<Frame>, to_it: Sender, from_it: Receiver) {
    let tasks = Tasks::default();
    let frame = Arc::clone(frame);
    let service = service_fn(move |request| bridge::answer(Arc::clone(&frame), request));
    let mut builder = http2::Builder::new(tasks.clone());
    builder.timer(TokioTimer::new());
    let io = TokioIo::new(tokio::io::join(from_it, to_it));
    // How it ends is told by what the program returned.
    drop(builder.serve_connection(io, service).await);
    tasks.end().await;
}

/// The beginning of what the program says beside its calls; the rest is read and dropped.
async fn words_of(mut words: Receiver) -> String {
    let mut said = Vec::new();
    let mut first = (&mut words).take(MAX_WORDS);
    let read = first.read_to_end(&mut said).await;
    if read.is_ok() {
        drop(tokio::io::copy(&mut words, &mut tokio::io::sink()).await);
    }
    String::from_utf8_lossy(&said).trim().to_owned()
}

async fn image(build: &Build, source: &str) -> Result<(Reference, ImageConfig), Status> {
    let reference: Result<Reference, _> = source.parse();
    let reference = reference.map_err(|error| Status::invalid_argument(error.to_string()))?;
    let reference = reference.with_default_tag();
    let name = format!("resolve image config for docker-image://{reference}");
    let found = build.find_image(&reference, None, PullPolicy::Missing, &name);
    let found = found.await.map_err(|error| errors::status(&error, None))?;
    let config = serde_json::from_slice(&found.config).map_err(internal)?;
    Ok((found.name, config))
}

/// The image's files.
async fn file_system(
    job: &Arc<Job>,
    build: &Build,
    reference: Reference,
) -> Result<Arc<Ref>, Status> {
    let mut graph = Graph::default();
    let meta = Meta {
        name: format!("docker-image://{reference}"),
        ..Meta::default()
    };
    let source = ImageSource {
        reference,
        platform: Platform::host(),
        pull: PullPolicy::Missing,
    };
    let added = graph.add(Op::Source(SourceOp::Image(source)), Vec::new(), meta);
    let definition = Definition {
        root: Some(added.map_err(internal)?.into()),
        graph,
        required: Vec::new(),
    };
    let request = plain_request(job);
    let planned = build.plan_definition(&request, &definition).await;
    let planned = planned.map_err(|error| errors::status(&error, None))?;
    Ok(Ref::new(planned, Vec::new()))
}

fn program(config: &ImageConfig) -> Vec<String> {
    let given = config
        .config
        .entrypoint
        .clone()
        .filter(|words| !words.is_empty());
    given.unwrap_or_else(|| vec![PROGRAM.to_owned()])
}

/// The image's own variables, the options, and what BuildKit tells front ends of itself.
fn environment(
    job: &Job,
    config: &ImageConfig,
    options: HashMap<String, String>,
) -> Result<Vec<String>, Status> {
    let mut env = config.config.env.clone();
    let mut options: Vec<(String, String)> = options.into_iter().collect();
    options.sort();
    for (number, (name, value)) in options.iter().enumerate() {
        env.push(format!("BUILDKIT_FRONTEND_OPT_{number}={name}={value}"));
    }
    let session = job
        .session
        .as_ref()
        .map_or("", |session| session.id.as_str());
    env.push(format!("BUILDKIT_SESSION_ID={session}"));
    let worker = control::worker(&job.daemon);
    let platforms = worker
        .platforms
        .iter()
        .map(|platform| json!({ "os": platform.os, "architecture": platform.architecture }));
    let workers = json!([{
        "id": worker.id,
        "labels": worker.labels,
        "platforms": platforms.collect::<Vec<_>>(),
    }]);
    env.push(format!("BUILDKIT_WORKERS={workers}"));
    env.push("BUILDKIT_EXPORTEDPRODUCT=kiln".to_owned());
    Ok(env)
}

/// What the client wants the front end to have must be what its image says that it has.
fn check_capabilities(
    config: &ImageConfig,
    options: &HashMap<String, String>,
    has_inputs: bool,
) -> Result<(), Status> {
    let names = |text: Option<&String>| -> BTreeSet<String> {
        let text = text.map_or("", String::as_str);
        let names = text
            .split(',')
            .map(|name| name.split('+').next().unwrap_or_default().trim());
        names
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let has = names(config.config.labels.get(CAPABILITIES));
    let mut wanted = names(options.get("frontend.caps"));
    if has_inputs {
        wanted.insert(INPUTS.to_owned());
    }
    match wanted.iter().find(|name| !has.contains(*name)) {
        Some(name) => Err(errors::capability(name)),
        None => Ok(()),
    }
}

fn is_set(config: &ImageConfig, label: &str) -> bool {
    let value = config.config.labels.get(label).map(String::as_str);
    matches!(value, Some("1" | "t" | "T" | "true" | "TRUE" | "True"))
}

/// A program that ended and returned nothing.
fn silent(exit: ProcessExit, words: &str) -> Status {
    let end = match exit {
        ProcessExit::Code(0) => "no result for incomplete build".to_owned(),
        ProcessExit::Code(code) => format!("the front end failed: exit code {code}"),
        ProcessExit::Signal(signal) => format!("the front end was killed by signal {signal}"),
    };
    Status::unknown(match words {
        "" => end,
        words => format!("{end}: {words}"),
    })
}

fn nonblocking(end: OwnedFd) -> Result<OwnedFd, Status> {
    rustix::io::ioctl_fionbio(&end, true).map_err(|error| internal(io::Error::from(error)))?;
    Ok(end)
}

fn internal(error: impl ToString) -> Status {
    Status::internal(error.to_string())
}
