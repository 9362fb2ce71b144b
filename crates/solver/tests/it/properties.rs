//! Any graph, any order of events: every vertex at most once, results as of one step after the
//! other, nothing held and nothing half-done recorded at the end.
//!
//! Each case has three rounds over one storage: several builds of two processes at the same time,
//! with failures and cancellations; then, with records lost and sources changed, one build; then
//! the same again, which must find everything.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::time::Duration;

use futures_util::FutureExt;
use graph::{Graph, Op, SourceOp, VertexId};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use solver::{BuildOptions, CacheStorage, How, SolveError};
use tokio::task::JoinSet;

use crate::interleaved::Interleaved;
use crate::toy::{Add, Outcome, Text, World, options};

#[derive(Debug, Clone)]
struct Case {
    vertices: Vec<VertexCase>,
    builds: Vec<BuildCase>,
    /// Which records are lost before the second round, by their place.
    lost: Vec<bool>,
    /// Which sources change before it, by the place of the vertex.
    changed: Vec<bool>,
    /// Which of the builds that can go on does, time and again.
    order: Vec<u8>,
}

#[derive(Debug, Clone)]
struct VertexCase {
    kind: Kind,
    /// Inputs, modulo the number of vertices before it.
    inputs: (usize, usize),
    /// How long it runs.
    delay: u8,
    broken: bool,
    restless: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Keyed,
    Local,
    Run,
    Join,
    Fresh,
    CopyA,
    CopyB,
    Merge,
}

#[derive(Debug, Clone)]
struct BuildCase {
    targets: Vec<usize>,
    /// When it starts, and how long after that it is cancelled or dropped.
    start: u8,
    end: Option<(u8, bool)>,
    jobs: usize,
    /// It has a solver of its own, over the same storage.
    elsewhere: bool,
    /// It runs everything, whatever is recorded.
    fresh: bool,
}

/// A case as a graph.
struct Built {
    graph: Graph,
    ids: Vec<VertexId>,
    /// Names of vertices whose results differ each time.
    moody: BTreeSet<String>,
    /// Names of vertices that may run in each build: they have no key or ignore the cache.
    repeated: BTreeSet<String>,
}

fn cases() -> impl Strategy<Value = Case> {
    use Kind::{CopyA, CopyB, Fresh, Join, Keyed, Local, Merge, Run};
    let kind = prop_oneof![
        1 => Just(Keyed),
        1 => Just(Local),
        3 => Just(Run),
        2 => Just(Join),
        1 => Just(Fresh),
        2 => Just(CopyA),
        3 => Just(CopyB),
        1 => Just(Merge),
    ];
    let vertex = (
        kind,
        (0..64_usize, 0..64_usize),
        0..6_u8,
        prop::bool::weighted(0.05),
        prop::bool::weighted(0.15),
    );
    let vertex = vertex.prop_map(|(kind, inputs, delay, broken, restless)| VertexCase {
        kind,
        inputs,
        delay,
        broken,
        restless,
    });
    let end = prop::option::weighted(0.3, (0..20_u8, any::<bool>()));
    let build = (
        prop::collection::vec(0..64_usize, 1..4),
        0..10_u8,
        end,
        1..4_usize,
        any::<bool>(),
        prop::bool::weighted(0.1),
    );
    let build = build.prop_map(|(targets, start, end, jobs, elsewhere, fresh)| BuildCase {
        targets,
        start,
        end,
        jobs,
        elsewhere,
        fresh,
    });
    (
        prop::collection::vec(vertex, 1..24),
        prop::collection::vec(build, 1..5),
        prop::collection::vec(prop::bool::weighted(0.6), 24),
        prop::collection::vec(prop::bool::weighted(0.1), 24),
        prop::collection::vec(any::<u8>(), 1..32),
    )
        .prop_map(|(vertices, builds, lost, changed, order)| Case {
            vertices,
            builds,
            lost,
            changed,
            order,
        })
}

impl Case {
    fn build(&self, world: &World) -> Built {
        let mut built = Built {
            graph: Graph::default(),
            ids: Vec::new(),
            moody: BTreeSet::new(),
            repeated: BTreeSet::new(),
        };
        for (place, vertex) in self.vertices.iter().enumerate() {
            let id = built.add(place, vertex);
            built.ids.push(id);
            let name = built.name(id);
            world.script(|script| {
                let delay = Duration::from_secs(vertex.delay.into());
                script.delays.insert(name.clone(), delay);
                script.turns.insert(name.clone(), vertex.delay.into());
                if vertex.broken {
                    script.broken.insert(name.clone());
                }
                if vertex.broken && vertex.restless {
                    // Of a source: it cannot even be asked what it stands for.
                    script.broken.insert(format!("pin {name}"));
                }
                if vertex.restless {
                    script.restless.insert(name);
                }
            });
        }
        built.taint(world);
        built
    }

    fn targets(&self, built: &Built, build: &BuildCase) -> Vec<VertexId> {
        let place = |target: &usize| built.ids[target % built.ids.len()];
        build.targets.iter().map(place).collect()
    }

    /// Loses records and changes sources.
    fn change(&self, world: &World, built: &Built) {
        let storage = world.solver.storage();
        for (key, lost) in storage.keys().into_iter().zip(&self.lost) {
            if *lost {
                storage.remove(key);
            }
        }
        for (id, changed) in built.ids.iter().zip(&self.changed) {
            if *changed {
                let file = format!("{}/a", built.name(*id));
                world.script(|script| script.sources.insert(file, "changed".to_owned()));
            }
        }
        world.script(|script| script.broken.clear());
    }
}

impl Built {
    fn add(&mut self, place: usize, vertex: &VertexCase) -> VertexId {
        let graph = &mut self.graph;
        let name = format!("v{place}");
        let Some(one) = self.ids.get(vertex.inputs.0 % place.max(1)).copied() else {
            return graph.local(&name);
        };
        let two = self.ids[vertex.inputs.1 % place];
        match vertex.kind {
            Kind::Keyed => graph.keyed(&name),
            Kind::Local => graph.local(&name),
            Kind::Run => graph.run(&name, &[one]),
            Kind::Join => graph.run(&name, &[one, two]),
            Kind::Fresh => graph.fresh(&name, &[one]),
            Kind::CopyA => graph.copy(&name, one, two, "/a"),
            Kind::CopyB => graph.copy(&name, one, two, "/b"),
            Kind::Merge => graph.merge(&name, &[one, two]),
        }
    }

    fn name(&self, id: VertexId) -> String {
        self.graph.get(id).unwrap().meta.name.clone()
    }

    /// Finds out which vertices are moody and which may run again.
    fn taint(&mut self, world: &World) {
        let restless = world.script(|script| script.restless.clone());
        for (_, vertex) in self.graph.iter() {
            let name = &vertex.meta.name;
            let runs = matches!(vertex.op, Op::Exec(_) | Op::Merge(_));
            let mut inputs = vertex.inputs.iter().map(|edge| self.name(edge.vertex));
            let moody = inputs.any(|input| self.moody.contains(&input));
            if moody || (runs && restless.contains(name)) {
                self.moody.insert(name.clone());
            }
            let mut whole = vertex
                .inputs
                .iter()
                .zip(vertex.op.input_keys(vertex.inputs.len()));
            let local = matches!(vertex.op, Op::Source(SourceOp::Local(_)));
            let fresh = whole.any(|(edge, key)| {
                let input = self.graph.get(edge.vertex).unwrap();
                let local = matches!(input.op, Op::Source(_));
                key == graph::InputKey::Whole && !local && self.repeated.contains(&input.meta.name)
            });
            if local || fresh || vertex.meta.ignore_cache {
                self.repeated.insert(name.clone());
            }
        }
    }

    /// The graph as a build has it.
    fn graph_of(&self, build: &BuildCase) -> Graph {
        let mut graph = Graph::default();
        for (_, vertex) in self.graph.iter() {
            let mut meta = vertex.meta.clone();
            meta.ignore_cache |= build.fresh;
            graph
                .add(vertex.op.clone(), vertex.inputs.clone(), meta)
                .unwrap();
        }
        graph
    }

    /// What each vertex makes when they run one after the other.
    fn expected(&self, world: &World) -> BTreeMap<String, Text> {
        let mut made = BTreeMap::<String, Text>::new();
        for (_, vertex) in self.graph.iter() {
            let inputs = vertex
                .inputs
                .iter()
                .map(|edge| made[&self.name(edge.vertex)].clone());
            let text = world.toy.result(vertex, &inputs.collect::<Vec<_>>());
            made.insert(vertex.meta.name.clone(), text);
        }
        made
    }

    /// Vertices that no other uses.
    fn ends(&self) -> Vec<VertexId> {
        let vertices = self.graph.iter().flat_map(|(_, vertex)| &vertex.inputs);
        let used: BTreeSet<_> = vertices.map(|edge| edge.vertex).collect();
        let ids = self.ids.iter().filter(|id| !used.contains(id));
        ids.copied().collect()
    }

    fn reached(&self, targets: &[VertexId]) -> BTreeSet<String> {
        let mut stack = targets.to_vec();
        let mut reached = BTreeSet::new();
        while let Some(id) = stack.pop() {
            if reached.insert(self.name(id)) {
                let inputs = &self.graph.get(id).unwrap().inputs;
                stack.extend(inputs.iter().map(|edge| edge.vertex));
            }
        }
        reached
    }

    fn check_result(
        &self,
        world: &World,
        case: &BuildCase,
        targets: &[VertexId],
        outcome: &Option<Outcome>,
    ) -> Result<(), TestCaseError> {
        let broken = world.script(|script| script.broken.clone());
        let reached = self.reached(targets);
        let fails = reached.intersection(&broken).next().is_some();
        match outcome {
            None => prop_assert!(case.end.is_some()),
            Some(Err(SolveError::Cancelled)) => prop_assert!(case.end.is_some()),
            Some(Err(SolveError::Step { step, .. })) => {
                prop_assert!(reached.contains(&step.name) && broken.contains(&step.name));
            }
            Some(Err(other)) => prop_assert!(false, "{other:?}"),
            Some(Ok(solution)) => {
                prop_assert!(!fails);
                let expected = self.expected(world);
                for (id, solved) in targets.iter().zip(&solution.targets) {
                    let name = self.name(*id);
                    if !self.moody.contains(&name) {
                        prop_assert_eq!(&solved.output, &expected[&name]);
                    }
                }
                for vertex in solution.vertices.iter().filter(|_| case.fresh) {
                    let name = self.name(vertex.id);
                    let ran = matches!(vertex.how, How::Executed(_));
                    prop_assert!(ran, "{name} did not run");
                }
            }
        }
        Ok(())
    }

    /// What must hold whenever no build runs.
    fn check_rest(&self, world: &World) -> Result<(), TestCaseError> {
        let storage = world.solver.storage();
        prop_assert_eq!(storage.locked(), 0);
        prop_assert_eq!(world.solver.in_flight(), 0);
        prop_assert_eq!(world.script(|script| script.running), 0);
        let broken = world.script(|script| script.broken.clone());
        let expected = self.expected(world);
        for key in storage.keys() {
            let name = storage.parts(key).unwrap().name;
            prop_assert!(!broken.contains(&name), "{name} is recorded");
            let record = storage.load(key).now_or_never().unwrap().unwrap().unwrap();
            prop_assert!(self.moody.contains(&name) || record == [expected[&name].clone()]);
        }
        Ok(())
    }

    /// How often each vertex ran to its end since the last time.
    fn check_runs(&self, world: &World, builds: &[BuildCase]) -> Result<(), TestCaseError> {
        let broken = world.script(|script| script.broken.clone());
        let mut runs = BTreeMap::<String, usize>::new();
        for event in world.script(|script| std::mem::take(&mut script.events)) {
            if let Some(name) = event.strip_prefix("done ") {
                *runs.entry(name.to_owned()).or_default() += 1;
            }
        }
        // What is made anew and differs each time gives new keys to those who read it.
        let unsteady = self.repeated.intersection(&self.moody).next().is_some()
            || builds.iter().any(|build| build.fresh);
        for (name, count) in runs {
            let several = self.repeated.contains(&name)
                || broken.contains(&name)
                || (unsteady && self.moody.contains(&name));
            let fresh = builds.iter().filter(|build| build.fresh).count();
            let most = if several { builds.len() } else { 1 + fresh };
            prop_assert!(count <= most, "{name} ran {count} times");
        }
        Ok(())
    }

    async fn later_rounds(&self, case: &Case, world: &World) -> Result<(), TestCaseError> {
        case.change(world, self);
        let world = world.restart();
        let alone = BuildCase {
            targets: Vec::new(),
            start: 0,
            end: None,
            jobs: 2,
            elsewhere: true,
            fresh: false,
        };
        let outcome = Some(world.build(&self.graph, &self.ids).await);
        self.check_result(&world, &alone, &self.ids, &outcome)?;
        self.check_runs(&world, &[alone])?;
        let solution = world.build(&self.graph, &self.ends()).await;
        let Ok(solution) = solution else {
            return Err(TestCaseError::fail("the last round failed"));
        };
        for vertex in &solution.vertices {
            let name = self.name(vertex.id);
            let found = !matches!(vertex.how, How::Executed(_));
            let known = !self.repeated.contains(&name) && self.moody.is_empty();
            prop_assert!(found || !known, "{name} ran again");
            let fresh = self.graph.get(vertex.id).unwrap().meta.ignore_cache;
            prop_assert!(!(found && fresh), "{name} did not run");
        }
        prop_assert_eq!(world.solver.storage().locked(), 0);
        Ok(())
    }
}

/// One build of the first round, which may be cancelled or dropped on its way.
async fn run(
    world: World,
    graph: Graph,
    targets: Vec<VertexId>,
    case: BuildCase,
    pause: impl AsyncFn(u8),
) -> Option<Outcome> {
    pause(case.start).await;
    let options = BuildOptions {
        jobs: NonZeroUsize::new(case.jobs).unwrap(),
        ..options()
    };
    let cancel = options.cancel.clone();
    let build = std::pin::pin!(world.build_with(&graph, &targets, options));
    let Some((after, drop)) = case.end else {
        return Some(build.await);
    };
    match futures_util::future::select(build, std::pin::pin!(pause(after))).await {
        futures_util::future::Either::Left((outcome, _)) => Some(outcome),
        futures_util::future::Either::Right(_) if drop => None,
        futures_util::future::Either::Right((_, build)) => {
            cancel.cancel();
            Some(build.await)
        }
    }
}

async fn sleep(seconds: u8) {
    tokio::time::sleep(Duration::from_secs(seconds.into())).await;
}

async fn yields(turns: u8) {
    for _ in 0..turns {
        tokio::task::yield_now().await;
    }
}

/// All builds on one thread, in the case's order, on a clock that stands still.
async fn check_by_time(case: &Case) -> Result<(), TestCaseError> {
    let (world, other) = two_worlds();
    let built = case.build(&world);
    let builds = case.builds.iter().map(|build| {
        let world = if build.elsewhere { &other } else { &world };
        let (world, graph) = (world.clone(), built.graph_of(build));
        let targets = case.targets(&built, build);
        run(world, graph, targets, build.clone(), sleep).boxed_local()
    });
    let outcomes = Interleaved::new(builds.collect(), &case.order).await;
    for (build, outcome) in case.builds.iter().zip(&outcomes) {
        let targets = case.targets(&built, build);
        built.check_result(&world, build, &targets, outcome)?;
    }
    let jobs: usize = case.builds.iter().map(|build| build.jobs).sum();
    prop_assert!(world.script(|script| script.most_running) <= jobs);
    prop_assert_eq!(other.solver.in_flight(), 0);
    built.check_rest(&world)?;
    built.check_runs(&world, &case.builds)?;
    built.later_rounds(case, &world).await
}

/// All builds on threads of their own, in whatever order those come.
async fn check_by_threads(case: &Case) -> Result<(), TestCaseError> {
    let (world, other) = two_worlds();
    let built = case.build(&world);
    world.script(|script| script.delays.clear());
    let mut builds = JoinSet::new();
    for build in &case.builds {
        let world = if build.elsewhere { &other } else { &world };
        let (world, graph) = (world.clone(), built.graph_of(build));
        let targets = case.targets(&built, build);
        let case = build.clone();
        builds.spawn(async move {
            let outcome = run(world, graph, targets.clone(), case.clone(), yields).await;
            (case, targets, outcome)
        });
    }
    while let Some(result) = builds.join_next().await {
        let (build, targets, outcome) = result.map_err(|e| TestCaseError::fail(e.to_string()))?;
        built.check_result(&world, &build, &targets, &outcome)?;
    }
    prop_assert_eq!(other.solver.in_flight(), 0);
    built.check_rest(&world)?;
    built.check_runs(&world, &case.builds)?;
    built.later_rounds(case, &world).await
}

/// Two processes with one storage.
fn two_worlds() -> (World, World) {
    let world = World::new();
    let other = world.restart();
    (world, other)
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_order_of_events_gives_the_same_results(case in cases()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(check_by_time(&case))?;
    }

    #[test]
    fn any_interleaving_of_threads_gives_the_same_results(case in cases()) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(4)
            .build()
            .unwrap();
        runtime.block_on(check_by_threads(&case))?;
    }
}
