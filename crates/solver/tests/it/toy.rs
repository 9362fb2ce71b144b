//! Toy ops: what they make is a text that follows from the op and the inputs, so that results
//! can be compared and predicted; what they are told to do beside that is in a shared script.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use graph::{
    Copy, Edge, ExecOp, FileAction, FileActionKind, FileInput, FileOp, Graph, HttpSource,
    LocalSource, MergeOp, Meta, Mount, MountSource, Op, Process, SourceOp, Vertex, VertexId,
};
use solver::progress::LogStream;
use solver::{
    Admission, BuildOptions, CacheKey, CacheStorage, Checksum, DefinitionKey, How, InputPart,
    MemoryStorage, Portion, ProgressSender, Solution, SolveError, Solver, Step, Worker,
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub(crate) type Storage = MemoryStorage<Text>;
pub(crate) type ToyError = SolveError<Broken, std::convert::Infallible>;
pub(crate) type Outcome = Result<Solution<Text>, ToyError>;

/// One output: what is in each file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Text(pub(crate) Arc<BTreeMap<String, String>>);

/// A step was told to fail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is broken")]
pub(crate) struct Broken(pub(crate) String);

/// What steps do, by name, and what they did; all workers of a world share it.
#[derive(Debug, Default)]
pub(crate) struct Script {
    /// How long a step runs.
    pub(crate) delays: BTreeMap<String, Duration>,
    /// How often a step lets others go first, where time does not stand still.
    pub(crate) turns: BTreeMap<String, usize>,
    /// What a step writes when it starts, a chunk each.
    pub(crate) output: BTreeMap<String, Vec<String>>,
    /// Steps that fail, after their delay.
    pub(crate) broken: BTreeSet<String>,
    /// Files of local sources and what keyed sources resolve to.
    pub(crate) sources: BTreeMap<String, String>,
    /// All sources with equal files are equal.
    pub(crate) same: bool,
    /// Steps that make something else each time.
    pub(crate) restless: BTreeSet<String>,
    /// Room for steps of all builds.
    pub(crate) room: Option<Arc<Semaphore>>,
    /// Records that are not the storage's.
    pub(crate) elsewhere: Option<Arc<Storage>>,
    moods: usize,
    /// What ran under each key.
    keys: BTreeMap<CacheKey, Vec<InputPart>>,
    /// `pin`, `sum`, `run`, `done`, `drop` and the name of the step, in order.
    pub(crate) events: Vec<String>,
    pub(crate) running: usize,
    pub(crate) most_running: usize,
}

/// A worker of toy ops.
#[derive(Debug, Clone, Default)]
pub(crate) struct Toy {
    pub(crate) script: Arc<Mutex<Script>>,
}

/// A solver, its storage and its script.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) solver: Solver<Toy, Storage>,
    pub(crate) toy: Toy,
}

/// Counts a run until it ends or is dropped.
struct Running {
    toy: Toy,
    name: String,
    done: bool,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Arc::new(Storage::new()), Toy::default())
    }

    pub(crate) fn with(storage: Arc<Storage>, toy: Toy) -> Self {
        let clock = Arc::new(|| SystemTime::UNIX_EPOCH);
        let solver = Solver::new(storage, clock);
        Self { solver, toy }
    }

    /// The same records and script in another process.
    pub(crate) fn restart(&self) -> Self {
        Self::with(Arc::clone(self.solver.storage()), self.toy.clone())
    }

    pub(crate) fn build<'a>(
        &'a self,
        graph: &'a Graph,
        targets: &[VertexId],
    ) -> impl Future<Output = Outcome> + Send + use<'a> {
        self.build_with(graph, targets, options())
    }

    pub(crate) fn build_with<'a>(
        &'a self,
        graph: &'a Graph,
        targets: &[VertexId],
        options: BuildOptions,
    ) -> impl Future<Output = Outcome> + Send + use<'a> {
        let targets: Vec<Edge> = targets.iter().map(|&id| id.into()).collect();
        async move {
            let (toy, graph) = (Arc::new(self.toy.clone()), Arc::new(graph.clone()));
            self.solver.build(toy, graph, &targets, options).await
        }
    }

    pub(crate) fn script<T>(&self, change: impl FnOnce(&mut Script) -> T) -> T {
        self.toy.script(change)
    }

    /// What happened since the last call, but for `done`.
    pub(crate) fn events(&self) -> String {
        let mut events = self.script(|script| std::mem::take(&mut script.events));
        events.retain(|event| !event.starts_with("done"));
        events.join(", ")
    }
}

pub(crate) fn options() -> BuildOptions {
    BuildOptions {
        jobs: NonZeroUsize::new(64).unwrap(),
        cancel: CancellationToken::new(),
        progress: ProgressSender::discard(),
    }
}

/// What became of each vertex: `name: untouched`, `cached` or `executed`.
pub(crate) fn summary(graph: &Graph, solution: &Solution<Text>) -> String {
    let mut summary = String::new();
    for vertex in &solution.vertices {
        let name = &graph.get(vertex.id).unwrap().meta.name;
        let how = match vertex.how {
            How::Untouched => "untouched",
            How::Cached(_) => "cached",
            How::Executed(_) => "executed",
        };
        let separator = if summary.is_empty() { "" } else { ", " };
        write!(summary, "{separator}{name} {how}").unwrap();
    }
    summary
}

/// Adds vertices by name.
pub(crate) trait Add {
    fn vertex(&mut self, name: &str, op: Op, inputs: &[VertexId], fresh: bool) -> VertexId;

    /// A source that is pinned to what the script says.
    fn keyed(&mut self, name: &str) -> VertexId {
        let op = Op::Source(SourceOp::Http(HttpSource {
            url: name.to_owned(),
            file_name: "file".to_owned(),
            ..HttpSource::default()
        }));
        self.vertex(name, op, &[], false)
    }

    /// A source without a key, with one file `/a` and one `/b` that the script says.
    fn local(&mut self, name: &str) -> VertexId {
        let op = Op::Source(SourceOp::Local(LocalSource {
            name: name.to_owned(),
            include: Vec::new(),
            exclude: Vec::new(),
            follow: Vec::new(),
        }));
        self.vertex(name, op, &[], false)
    }

    /// Depends on all of its inputs.
    fn run(&mut self, name: &str, inputs: &[VertexId]) -> VertexId {
        self.vertex(name, exec(name, inputs.len()), inputs, false)
    }

    /// The same, whatever is recorded.
    fn fresh(&mut self, name: &str, inputs: &[VertexId]) -> VertexId {
        self.vertex(name, exec(name, inputs.len()), inputs, true)
    }

    /// Depends on all of the first and on one file of the second.
    fn copy(&mut self, name: &str, base: VertexId, from: VertexId, file: &str) -> VertexId {
        let op = Op::File(FileOp {
            actions: vec![FileAction {
                input: FileInput::Input(0),
                kind: FileActionKind::Copy(Copy::plain(
                    FileInput::Input(1),
                    file.to_owned(),
                    format!("/{name}"),
                )),
                output: Some(0),
            }],
        });
        self.vertex(name, op, &[base, from], false)
    }

    fn merge(&mut self, name: &str, inputs: &[VertexId]) -> VertexId {
        self.vertex(name, Op::Merge(MergeOp), inputs, false)
    }
}

impl Add for Graph {
    fn vertex(&mut self, name: &str, op: Op, inputs: &[VertexId], fresh: bool) -> VertexId {
        let meta = Meta {
            name: name.to_owned(),
            ignore_cache: fresh,
            ..Meta::default()
        };
        let inputs = inputs.iter().map(|&id| id.into()).collect();
        self.add(op, inputs, meta).unwrap()
    }
}

fn exec(name: &str, inputs: usize) -> Op {
    let mount = |input: u32| Mount {
        target: if input == 0 {
            "/".to_owned()
        } else {
            format!("/{input}")
        },
        source: MountSource::Bind {
            input: Some(input),
            selector: String::new(),
            // What becomes a result is looked at whole.
            output: Some(input),
        },
        read_only: false,
    };
    Op::Exec(ExecOp {
        process: Process {
            args: vec![name.to_owned()],
            env: graph::Environment::from_iter([]),
            cwd: "/".to_owned(),
            user: String::new(),
        },
        mounts: (0u32..).take(inputs).map(mount).collect(),
        network: graph::NetworkMode::Default,
        security: graph::SecurityMode::Sandbox,
        extra_hosts: Vec::new(),
        hostname: None,
        devices: Vec::new(),
        shm_size: None,
        ulimits: Vec::new(),
        proxy: BTreeMap::new(),
        valid_exit_codes: Vec::new(),
    })
}

impl Toy {
    fn note(&self, what: &str, step: &Step) {
        let event = format!("{what} {}", step.vertex().meta.name);
        self.script.lock().unwrap().events.push(event);
    }

    async fn write(&self, step: &Step) {
        let name = &step.vertex().meta.name;
        let output = self.script(|script| script.output.get(name).cloned());
        for text in output.unwrap_or_default() {
            let bytes = Bytes::from(text.into_bytes());
            step.progress().log(LogStream::Stdout, bytes).await;
        }
    }

    /// What runs under a key has the inputs that the key says, each time.
    fn check_key(&self, step: &Step, inputs: &[Text]) {
        let Some((key, parts)) = step.key().zip(step.parts()) else {
            return;
        };
        for (part, input) in parts.inputs.iter().zip(inputs) {
            if let InputPart::Content { portion, checksum } = part {
                assert_eq!(content(input, portion), *checksum, "{}", parts.name);
            }
        }
        let parts = parts.inputs.clone();
        let before = self.script(|script| script.keys.insert(key, parts.clone()));
        assert!(before.is_none_or(|before| before == parts), "{key}");
    }

    fn source(&self, name: &str) -> String {
        self.script(|script| script.sources.get(name).cloned().unwrap_or_default())
    }

    pub(crate) fn script<T>(&self, change: impl FnOnce(&mut Script) -> T) -> T {
        change(&mut self.script.lock().unwrap())
    }

    fn make(&self, step: &Step, inputs: &[Text]) -> Text {
        self.result(step.vertex(), inputs)
    }

    /// What a vertex makes of its inputs.
    pub(crate) fn result(&self, vertex: &Vertex, inputs: &[Text]) -> Text {
        let name = &vertex.meta.name;
        let mut files = BTreeMap::new();
        match &vertex.op {
            Op::Source(_) => {
                for file in ["/a", "/b"] {
                    let text = self.source(&format!("{name}{file}"));
                    let whose = if self.script(|script| script.same) {
                        ""
                    } else {
                        name
                    };
                    files.insert(file.to_owned(), format!("{whose}{file}={text}"));
                }
            }
            Op::File(op) => {
                files.clone_from(&inputs[0].0);
                for action in &op.actions {
                    if let FileActionKind::Copy(copy) = &action.kind {
                        let file = inputs[1].0.get(&copy.source).cloned();
                        files.insert(copy.destination.clone(), file.unwrap_or_default());
                    }
                }
            }
            _ => {
                let mut hash = short(inputs) + &self.source(name);
                if self.script(|script| script.restless.contains(name)) {
                    let nth = self.script(|script| {
                        script.moods += 1;
                        script.moods
                    });
                    write!(hash, " {nth}").unwrap();
                }
                files.insert("/a".to_owned(), format!("{name}({hash})"));
                files.insert("/b".to_owned(), format!("{name} always makes this"));
            }
        }
        Text(Arc::new(files))
    }
}

/// A short text for long inputs.
fn short(inputs: &[Text]) -> String {
    let text = format!("{inputs:?}");
    oci::Digest::of(text.as_bytes()).hex()[..12].to_owned()
}

fn content(input: &Text, portion: &Portion) -> Checksum {
    let text = match portion {
        Portion::All => format!("{input:?}"),
        Portion::Paths(selection) => selection
            .paths
            .iter()
            .map(|path| format!("{:?}", input.0.get(&path.path)))
            .collect(),
    };
    Checksum(*oci::Digest::of(text.as_bytes()).as_bytes())
}

impl Worker for Toy {
    type Output = Text;
    type Error = Broken;

    async fn pin(&self, step: &Step) -> Result<Option<CacheKey>, Broken> {
        self.note("pin", step);
        let name = step.vertex().meta.name.clone();
        if self.script(|script| script.broken.contains(&format!("pin {name}"))) {
            return Err(Broken(name));
        }
        match &step.vertex().op {
            Op::Source(SourceOp::Local(_)) => Ok(None),
            _ => {
                let files = format!("{:?}", self.make(step, &[]));
                Ok(Some(CacheKey(
                    *oci::Digest::of(files.as_bytes()).as_bytes(),
                )))
            }
        }
    }

    async fn checksum(
        &self,
        step: &Step,
        input: &Text,
        portion: &Portion,
    ) -> Result<Checksum, Broken> {
        self.note("sum", step);
        Ok(content(input, portion))
    }

    async fn execute(&self, step: &Step, inputs: Vec<Text>) -> Result<Vec<Text>, Broken> {
        self.note("run", step);
        let name = step.vertex().meta.name.clone();
        self.check_key(step, &inputs);
        let mut running = Running::new(self, &name);
        self.write(step).await;
        for _ in 0..self.script(|script| script.turns.get(&name).copied().unwrap_or(0)) {
            tokio::task::yield_now().await;
        }
        let delay = self.script(|script| script.delays.get(&name).copied());
        if let Some(delay) = delay {
            tokio::time::sleep(delay).await;
        }
        running.done = true;
        if self.script(|script| script.broken.contains(&name)) {
            return Err(Broken(name));
        }
        Ok(vec![self.make(step, &inputs)])
    }

    async fn admit(&self, _: &Step) -> Result<Option<Admission>, Broken> {
        let Some(room) = self.script(|script| script.room.clone()) else {
            return Ok(None);
        };
        let place = room.acquire_owned().await.ok();
        Ok(place.map(|place| Box::new(place) as Admission))
    }

    fn recalls(&self) -> bool {
        self.script(|script| script.elsewhere.is_some())
    }

    async fn canonical(&self, step: &Step, definition: DefinitionKey) -> Option<CacheKey> {
        self.note("guess", step);
        let elsewhere = self.script(|script| script.elsewhere.clone())?;
        elsewhere.canonical(definition).await.unwrap()
    }

    async fn recall(
        &self,
        step: &Step,
        key: CacheKey,
        _: Option<DefinitionKey>,
    ) -> Option<Vec<Text>> {
        self.note("recall", step);
        let elsewhere = self.script(|script| script.elsewhere.clone())?;
        elsewhere.load(key).await.unwrap()
    }
}

impl Running {
    fn new(toy: &Toy, name: &str) -> Self {
        let mut script = toy.script.lock().unwrap();
        script.running += 1;
        script.most_running = script.most_running.max(script.running);
        Self {
            toy: toy.clone(),
            name: name.to_owned(),
            done: false,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut script = self.toy.script.lock().unwrap();
        script.running -= 1;
        let what = if self.done { "done" } else { "drop" };
        script.events.push(format!("{what} {}", self.name));
    }
}
