//! Builds of several targets at once: what they share is done once, one that needs another's result
//! waits for it, and when one fails the others end.

use std::collections::BTreeMap;

use client::Failure;
use engine::events::{ProgressSender, channel};
use engine::{BuildOutcome, Diagnostic, Dockerfile, EngineError, ExportedImage};
use futures_util::future::join_all;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::named::{Named, Told};
use super::target::{Requests, Wanted};
use crate::build::ProgressMode;
use crate::commands::build::{Ended, Loading, Nodes, Parts, note_use, push, shows_more, warnings};
use crate::commands::session::{LOG_BYTES, Session};
use crate::error::{Error, INTERRUPTED, of_build};
use crate::progress::Summary;
use crate::remote::{self, Builder};

/// Images by the names of their targets.
type Made = BTreeMap<String, Option<ExportedImage>>;

/// Builds all; the image of each that makes one.
pub(super) fn build(session: &mut Session<'_, '_>, requests: Requests) -> Result<Made, Error> {
    match session.builder.take() {
        Some(builder) => elsewhere(session, requests, &builder),
        None => here(session, requests),
    }
}

/// How the build of a target ended.
enum End<T, E> {
    Made(T),
    Failed(E),
    /// It did not begin, since one that it needs failed, or it was cancelled.
    Left,
}

/// In this process.
fn here(session: &mut Session<'_, '_>, requests: Requests) -> Result<Made, Error> {
    let engine = session.building_engine()?;
    let store = engine.clone();
    let mode = requests.progress;
    let mut wanted = requests.each;
    let (ends, mut summary) = session.show(mode, false, |progress, cancel| {
        let wanted = &mut wanted;
        async move {
            all(wanted, &progress, &cancel, async |one, sender, cancel| {
                let made = engine.build(&mut one.request, sender, cancel).await;
                made.map_err(Box::new)
            })
            .await
        }
    })?;
    session.collect_if_due(&store);
    let mut made = Made::new();
    let mut first = None;
    for (one, end) in wanted.iter().zip(ends) {
        match end {
            End::Made(outcome) => {
                tell_warnings(session, mode, one, &outcome);
                made.insert(one.name.clone(), outcome.image);
            }
            End::Failed(error) if is_worse(first.as_ref(), &error) => first = Some((one, error)),
            End::Failed(_) | End::Left => {}
        }
    }
    if let Some((one, error)) = first {
        tell_failures(session, mode, &mut summary);
        return Err(dressed(&one.name, *error, &one.request.dockerfile));
    }
    told(session, mode, &mut summary, made, wanted.len())
}

/// Whether `error` is what is to be told: one that others were cancelled for.
fn is_worse(first: Option<&(&Wanted, Box<EngineError>)>, error: &EngineError) -> bool {
    let is_cancelled = |error: &EngineError| matches!(error, EngineError::Cancelled);
    first.is_none_or(|(_, first)| is_cancelled(first) && !is_cancelled(error))
}

/// Through a builder that is another process.
fn elsewhere(
    session: &mut Session<'_, '_>,
    requests: Requests,
    builder: &Builder,
) -> Result<Made, Error> {
    note_use(session, builder);
    let nodes = Nodes::new(builder);
    let mode = requests.progress;
    let mut asked: Vec<(Wanted, Option<Parts>)> = Vec::new();
    let mut loadings = Vec::new();
    for mut one in requests.each {
        let loading = Loading::of(session, builder, &one.typed, &mut one.request);
        loadings.extend(loading.map_err(|error| of_target(&one.name, error))?);
        let request = Parts::of(&nodes, &one.typed, one.request.clone(), session);
        let request = request.map_err(|error| of_target(&one.name, error))?;
        asked.push((one, Some(request)));
    }
    let (mut wanted, mut requests): (Vec<Wanted>, Vec<Option<Parts>>) = asked.into_iter().unzip();
    let names: Vec<String> = wanted.iter().map(|one| one.name.clone()).collect();
    let mut by_name: BTreeMap<String, Option<Parts>> =
        names.iter().cloned().zip(requests.drain(..)).collect();
    let by_name = std::sync::Mutex::new(&mut by_name);
    let (ends, mut summary) = session.show(mode, false, |progress, cancel| {
        let (wanted, by_name) = (&mut wanted, &by_name);
        async move {
            all(wanted, &progress, &cancel, async |one, sender, cancel| {
                let request = {
                    let mut requests = by_name
                        .lock()
                        .unwrap_or_else(std::sync::PoisonError::into_inner);
                    requests.get_mut(&one.name).and_then(Option::take)
                };
                let Some(request) = request else {
                    return Err(Ended::Cancelled);
                };
                tokio::select! {
                    built = request.ask(sender) => built,
                    () = cancel.cancelled() => Err(Ended::Cancelled),
                }
            })
            .await
        }
    })?;
    let (mut made, mut pushes) = (Made::new(), Vec::new());
    let mut failed: Option<(String, Ended)> = None;
    for (name, end) in names.iter().zip(ends) {
        match end {
            End::Made(built) => {
                made.insert(name.clone(), remote::image(&built.response));
                pushes.extend(built.pushes);
            }
            End::Failed(ended) => {
                let worse = failed
                    .as_ref()
                    .is_none_or(|(_, first)| matches!(first, Ended::Cancelled));
                if worse {
                    failed = Some((name.clone(), ended));
                }
            }
            End::Left => {}
        }
    }
    if let Some((name, ended)) = failed {
        let has_failures = tell_failures(session, mode, &mut summary);
        return Err(match ended {
            Ended::Failed(failure) => told_failure(&name, failure, has_failures),
            Ended::NoBuilder(error) => of_target(&name, error.into()),
            Ended::NoIndex(error) | Ended::NoCache(error) => of_target(&name, error),
            Ended::Cancelled => cancelled(),
        });
    }
    for loading in loadings {
        loading.finish(session)?;
    }
    push(session, &pushes, mode)?;
    told(session, mode, &mut summary, made, names.len())
}

fn told_failure(name: &str, failure: Failure, has_failures: bool) -> Error {
    of_target(name, remote::failure(failure, has_failures))
}

/// What was made of all; an error where a signal ended some before they failed.
fn told(
    session: &mut Session<'_, '_>,
    mode: ProgressMode,
    summary: &mut Summary,
    made: Made,
    wanted: usize,
) -> Result<Made, Error> {
    if made.len() < wanted {
        return Err(cancelled());
    }
    if shows_more(mode) {
        session.ui.ask(&summary.warnings(session.global.debug));
    }
    Ok(made)
}

fn cancelled() -> Error {
    let error = Error::new("canceled").exit(INTERRUPTED);
    error.context("failed to build: failed to solve")
}

/// Builds each with `one`: at once, but after those that it needs.
async fn all<T, E>(
    wanted: &mut [Wanted],
    progress: &ProgressSender,
    cancel: &CancellationToken,
    one: impl AsyncFn(&mut Wanted, ProgressSender, CancellationToken) -> Result<T, E>,
) -> Vec<End<T, E>> {
    let told = Told::default();
    let has_name = wanted.len() > 1;
    let done: BTreeMap<String, watch::Sender<bool>> = wanted
        .iter()
        .map(|one| (one.name.clone(), watch::Sender::new(false)))
        .collect();
    let (told, done, one) = (&told, &done, &one);
    let each = wanted.iter_mut().map(|target| async move {
        let name = target.name.clone();
        if !ready(&target.needs, done, cancel).await {
            return End::Left;
        }
        let (sender, receiver) = channel(LOG_BYTES);
        let named = Named::new(has_name.then_some(name.as_str()), told);
        let shown = named.pass(receiver, progress.clone());
        let (built, ()) = tokio::join!(one(target, sender, cancel.clone()), shown);
        match built {
            Ok(made) => {
                if let Some(done) = done.get(&name) {
                    done.send_replace(true);
                }
                End::Made(made)
            }
            Err(error) => {
                cancel.cancel();
                End::Failed(error)
            }
        }
    });
    join_all(each).await
}

/// Whether all that is needed was made; not when it is cancelled before.
async fn ready(
    needs: &[String],
    done: &BTreeMap<String, watch::Sender<bool>>,
    cancel: &CancellationToken,
) -> bool {
    let wait = async {
        for need in needs {
            if let Some(done) = done.get(need) {
                let _ = done.subscribe().wait_for(|done| *done).await;
            }
        }
    };
    tokio::select! {
        biased;
        () = cancel.cancelled() => false,
        () = wait => true,
    }
}

fn tell_warnings(
    session: &mut Session<'_, '_>,
    mode: ProgressMode,
    one: &Wanted,
    outcome: &BuildOutcome,
) {
    let found: &[Diagnostic] = &outcome.warnings;
    if shows_more(mode) && !found.is_empty() {
        let text = warnings(found, &one.request.dockerfile, session.global.debug);
        session.ui.ask(&format!("\ntarget {}:{text}", one.name));
    }
}

/// Shows what the steps said that failed, if any did.
fn tell_failures(session: &mut Session<'_, '_>, mode: ProgressMode, summary: &mut Summary) -> bool {
    let failures = summary.failures();
    if mode != ProgressMode::RawJson {
        session.ui.output(&failures);
    }
    !failures.is_empty()
}

fn dressed(name: &str, error: EngineError, dockerfile: &Dockerfile) -> Error {
    of_target(name, of_build(error, dockerfile))
}

fn of_target(name: &str, error: Error) -> Error {
    error.context(&format!("target {name}"))
}
