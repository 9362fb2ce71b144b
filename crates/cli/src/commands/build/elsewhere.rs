//! `kiln build` through a builder that is another process.

use std::collections::HashMap;

use client::{Client, ConnectError, Failure, Way};
use engine::events::ProgressSender;
use engine::{BuildRequest, ExportedImage};
use oci::Reference;
use tokio::sync::mpsc;

use super::loading::Loading;
use super::parts::{Nodes, Parts};
use super::shows_more;
use crate::args::build::Build;
use crate::build::ProgressMode;
use crate::builders::Store;
use crate::commands::session::Session;
use crate::error::{Error, INTERRUPTED};
use crate::keeper::{Keeper, There};
use crate::remote::{self, Asked, Builder, Host, Narrator};

/// What the builder tells that waits to be shown, in messages.
const WAITING: usize = 16;

/// Why there is no result.
pub(in crate::commands) enum Ended {
    /// A signal came, or it is not wanted any more.
    Cancelled,
    /// Nobody listens there.
    NoBuilder(ConnectError),
    /// The cache that came cannot be kept.
    NoCache(Error),
    /// What nodes pushed cannot be made one image.
    NoIndex(Error),
    /// The build failed.
    Failed(Failure),
}

/// Builds what `request` asks for, which was typed as `args`, through `builder`.
pub(super) fn build(
    session: &mut Session<'_, '_>,
    args: &Build,
    mut request: BuildRequest,
    (builder, mode): (&Builder, ProgressMode),
) -> Result<Option<ExportedImage>, Error> {
    note_use(session, builder);
    let loading = Loading::of(session, builder, args, &mut request)?;
    let parts = Parts::of(&Nodes::new(builder), args, request, session)
        .map_err(|error| error.context("failed to build"))?;
    let (built, mut summary) = session.show(mode, false, |progress, cancel| async move {
        tokio::select! {
            built = parts.ask(progress) => built,
            () = cancel.cancelled() => Err(Ended::Cancelled),
        }
    })?;
    let Built { response, pushes } = match built {
        Ok(built) => built,
        Err(Ended::Failed(failure)) => {
            let failures = summary.failures();
            if mode != ProgressMode::RawJson {
                session.ui.output(&failures);
            }
            return Err(remote::failure(failure, !failures.is_empty()));
        }
        Err(Ended::NoBuilder(error)) => {
            return Err(Error::from(error).context("failed to build"));
        }
        Err(Ended::NoCache(error)) => return Err(error.context("failed to build")),
        Err(Ended::NoIndex(error)) => return Err(error.context("failed to push")),
        Err(Ended::Cancelled) => {
            let error = Error::new("canceled").exit(INTERRUPTED);
            return Err(error.context("failed to build: failed to solve"));
        }
    };
    if shows_more(mode) {
        session.ui.ask(&summary.warnings(session.global.debug));
    }
    if let Some(loading) = loading {
        loading.finish(session)?;
    }
    push(session, &pushes, mode)?;
    Ok(remote::image(&response))
}

/// Notes in buildx's files that the builder is built with.
pub(in crate::commands) fn note_use(session: &mut Session<'_, '_>, builder: &Builder) {
    let Some(name) = &builder.name else { return };
    let store = Store::of(session.environment);
    let noted = store.and_then(|store| store.touch(name, session.now()));
    if let Err(error) = noted {
        let text = format!("WARNING: when {name} was last used is not noted: {error}");
        session.ui.say(&text);
    }
}

/// Has dockers push what was built, where their builders do not.
pub(in crate::commands) fn push(
    session: &mut Session<'_, '_>,
    pushes: &[(Host, Reference)],
    mode: ProgressMode,
) -> Result<(), Error> {
    for (host, name) in pushes {
        let keeper = Keeper::There(There::new(host, session.environment));
        let pushed = session.transfer_in(mode, |progress| keeper.push(name, progress));
        pushed.map_err(|error| error.context("failed to push"))?;
    }
    Ok(())
}

/// What a builder answered, and what is still to be pushed, by whom.
#[derive(Debug)]
pub(in crate::commands) struct Built {
    pub(in crate::commands) response: HashMap<String, String>,
    pub(in crate::commands) pushes: Vec<(Host, Reference)>,
}

/// Asks the builder, and passes on what it tells. When this is dropped, it is asked for nothing more.
pub(in crate::commands) async fn ask(
    host: &Host,
    mut asked: Asked,
    progress: ProgressSender,
) -> Result<Built, Ended> {
    let client = Client::connect(&host.address, host.way)
        .await
        .map_err(Ended::NoBuilder)?;
    let pushes = match client.way() {
        Way::Straight => Vec::new(),
        Way::ByDocker => asked.for_docker(),
    };
    let pushes = pushes.into_iter().map(|name| (host.clone(), name));
    let pushes = pushes.collect();
    let (told, mut heard) = mpsc::channel(WAITING);
    let built = client.build(asked.request, asked.offers, told);
    let showing = async {
        let mut narrator = Narrator::default();
        while let Some(status) = heard.recv().await {
            for event in narrator.events(status) {
                progress.send_bounded(event).await;
            }
        }
    };
    let (built, ()) = tokio::join!(built, showing);
    let response = built.map_err(Ended::Failed)?;
    if let Some(taken) = asked.taken {
        taken.finish(&response).map_err(Ended::NoCache)?;
    }
    Ok(Built { response, pushes })
}
