//! One build: an event loop over the vertices that its targets reach.
//!
//! Every vertex moves through the phases of [`state`] in two passes. [`lookup`] gives keys to all
//! of them, inputs first, and realises nothing while aliases are known. [`realise`] goes down
//! from the targets: what has a record is loaded and its inputs are left alone; what has none
//! waits for its inputs, makes sure of its key, and runs. A vertex whose key needs content
//! starts the second pass for the inputs that it reads while it is in the first.
//!
//! A canonical key that came from an alias is a guess about inputs that nobody has looked at: a
//! step that runs anew need not make what it made then. So a key is settled again from the keys
//! and the contents of the inputs as they are, right before the step would run.
//!
//! What follows at once is queued, never called, so that no chain is too long for the stack.

mod contents;
mod critical_path;
mod key_parts;
mod look_ahead;
mod lookup;
mod outcome;
mod realise;
mod state;

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::{BoxFuture, Either, select};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use graph::{Edge, Graph};
use tokio_util::sync::CancellationToken;

use crate::build::contents::{Contents, Read};
use crate::build::critical_path::CriticalPath;
use crate::build::state::VertexState;
use crate::cache_storage::CacheStorage;
use crate::error::{FailedStep, Failure, SolveError};
use crate::in_flight::Made;
use crate::keys::{CacheKey, Checksum};
use crate::limits::Limiter;
use crate::plan::{Place, Plan};
use crate::progress::step::StepProgress;
use crate::progress::{Origin, Progress, ProgressSender};
use crate::solver::{BuildOptions, Shared, Solution};
use crate::worker::{Identity, Step, Worker};

/// One build.
pub(crate) struct Build<W: Worker, S: CacheStorage<Output = W::Output>> {
    shared: Arc<Shared<W, S>>,
    worker: Arc<W>,
    graph: Arc<Graph>,
    plan: Plan,
    progress: ProgressSender,
    limiter: Arc<Limiter>,
    states: Vec<VertexState<W::Output>>,
    contents: Contents,
    critical_path: CriticalPath,
    /// What was made for this build, for vertices that turn out to be the same.
    made: HashMap<CacheKey, Made<W::Output>>,
    /// What follows at once.
    queue: VecDeque<Event<W, S>>,
    /// What was asked and not answered.
    asked: FuturesUnordered<BoxFuture<'static, Event<W, S>>>,
    /// By this others see that the build has not left.
    presence: Arc<()>,
}

/// Everything that moves a build on.
enum Event<W: Worker, S: CacheStorage<Output = W::Output>> {
    /// All inputs of a vertex have their keys.
    InputsKeyed(Place),
    /// Somebody wants the result of a vertex.
    Wanted(Place),
    /// An input that a vertex waited for is there.
    InputDone(Place, usize),
    /// A source was resolved.
    Pinned(Place, Answer<W, S, Option<CacheKey>>),
    /// The storage said what a definition key led to.
    Resolved(Place, Answer<W, S, Option<CacheKey>>),
    /// The worker said what else the definition key leads to.
    Guessed(Place, Option<CacheKey>),
    /// The storage has noted what a definition key led to.
    Noted(Place, Answer<W, S, ()>),
    /// The content of an input is known.
    Summed(Read, Answer<W, S, Checksum>),
    /// The storage said what is recorded.
    Loaded(Place, Answer<W, S, Option<Vec<W::Output>>>),
    /// The worker said what else is recorded.
    Recalled(Place, Option<Vec<W::Output>>),
    /// A step ended; none when it is to be run again.
    Ran(Place, Answer<W, S, Option<Made<W::Output>>>),
}

type Answer<W, S, T> = Result<T, Failure<<W as Worker>::Error, <S as CacheStorage>::Error>>;

type BuildError<W, S> = SolveError<<W as Worker>::Error, <S as CacheStorage>::Error>;

impl<W: Worker, S: CacheStorage<Output = W::Output>> Build<W, S> {
    pub(crate) fn new(
        shared: Arc<Shared<W, S>>,
        worker: Arc<W>,
        graph: Arc<Graph>,
        targets: &[Edge],
        options: &BuildOptions,
    ) -> Result<Self, BuildError<W, S>> {
        let plan = Plan::new(&graph, targets).map_err(SolveError::UnknownTarget)?;
        let states = (0..plan.len()).map(|_| VertexState::new()).collect();
        Ok(Self {
            shared,
            worker,
            progress: options.progress.clone(),
            limiter: Limiter::new(options.jobs),
            states,
            contents: Contents::default(),
            critical_path: CriticalPath::default(),
            made: HashMap::new(),
            queue: VecDeque::new(),
            asked: FuturesUnordered::new(),
            presence: Arc::new(()),
            graph,
            plan,
        })
    }

    /// Runs until all targets are done.
    pub(crate) async fn run(
        mut self,
        targets: &[Edge],
        cancel: &CancellationToken,
    ) -> Result<Solution<W::Output>, BuildError<W, S>> {
        let announcement = self.plan.announcement(&self.graph);
        self.progress.send(Progress::Planned(announcement));
        self.begin(targets);
        let mut cancelled = pin!(cancel.cancelled());
        loop {
            if cancel.is_cancelled() {
                return Err(SolveError::Cancelled);
            }
            while let Some(event) = self.queue.pop_front() {
                self.handle(event)?;
            }
            let next = poll_fn(|context| self.poll_next(context));
            match select(cancelled.as_mut(), next).await {
                Either::Left(_) => return Err(SolveError::Cancelled),
                Either::Right((Some(event), _)) => self.handle(event)?,
                Either::Right((None, _)) => return self.solution(targets),
            }
        }
    }

    /// The next answer. Permits are granted when there is none yet.
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Event<W, S>>> {
        loop {
            let next = self.asked.poll_next_unpin(context);
            if next.is_ready() || !self.limiter.grant(context.waker()) {
                return next;
            }
        }
    }

    fn handle(&mut self, event: Event<W, S>) -> Result<(), BuildError<W, S>> {
        match event {
            Event::InputsKeyed(place) => self.inputs_keyed(place),
            Event::Wanted(place) => self.wanted(place),
            Event::InputDone(reader, number) => self.input_done(reader, number),
            Event::Pinned(place, answer) => {
                let key = self.answered(place, answer)?;
                self.keyed(place, key);
                Ok(())
            }
            Event::Resolved(place, answer) => {
                let key = self.answered(place, answer)?;
                self.resolved(place, key)
            }
            Event::Guessed(place, key) => self.guessed(place, key),
            Event::Noted(place, answer) => self.answered(place, answer),
            Event::Summed(read, answer) => self.summed(read, answer),
            Event::Loaded(place, answer) => {
                let record = self.answered(place, answer)?;
                self.loaded(place, record)
            }
            Event::Recalled(place, record) => self.recalled(place, record, Origin::Imported),
            Event::Ran(place, answer) => match self.or_error(place, answer)? {
                Some(made) => {
                    self.done(place, made);
                    Ok(())
                }
                None => self.start(place),
            },
        }
    }

    /// The answer to a question, or the build's error; tells which vertex failed.
    fn answered<T>(&self, place: Place, answer: Answer<W, S, T>) -> Result<T, BuildError<W, S>> {
        if let (Err(failure), Some(planned)) = (&answer, self.plan.get(place)) {
            self.progress.send(Progress::Failed {
                vertex: planned.digest,
                at: (self.shared.clock)(),
                error: failure.text(),
            });
        }
        self.or_error(place, answer)
    }

    fn or_error<T>(&self, place: Place, answer: Answer<W, S, T>) -> Result<T, BuildError<W, S>> {
        answer.map_err(|failure| match (failure, self.failed_step(place)) {
            (Failure::Worker(doing, source), Some(step)) => SolveError::Step {
                step,
                doing,
                source,
            },
            (Failure::Storage(source), Some(step)) => SolveError::Storage { step, source },
            (_, None) => self.stalled(),
        })
    }

    fn failed_step(&self, place: Place) -> Option<Box<FailedStep>> {
        let id = self.plan.get(place)?.id;
        let vertex = self.graph.get(id)?;
        Some(Box::new(FailedStep {
            id,
            digest: vertex.digest,
            name: vertex.meta.name.clone(),
            locations: vertex.meta.locations.clone(),
        }))
    }

    /// What the worker is told of a vertex; none if there is no such vertex.
    fn step(
        &self,
        place: Place,
        identity: Option<Identity>,
        progress: StepProgress,
    ) -> Option<Step> {
        let id = self.plan.get(place)?.id;
        Some(Step {
            id,
            vertex: Arc::new(self.graph.get(id)?.clone()),
            identity,
            cancelled: CancellationToken::new(),
            progress,
        })
    }

    /// A step that is asked about without being run.
    fn question(&self, place: Place) -> Option<Step> {
        let digest = self.plan.get(place)?.digest;
        let clock = Arc::clone(&self.shared.clock);
        let progress = StepProgress::of(self.progress.clone(), digest, clock);
        self.step(place, None, progress)
    }

    fn ask(&mut self, question: impl Future<Output = Event<W, S>> + Send + 'static) {
        self.asked.push(question.boxed());
    }
}
