//! `kiln build` through a builder that is another process.

use std::collections::HashMap;

use client::{Client, ConnectError, Failure};
use engine::events::ProgressSender;
use engine::{BuildRequest, ExportedImage};
use tokio::sync::mpsc;

use super::shows_more;
use crate::args::build::Build;
use crate::build::ProgressMode;
use crate::commands::session::Session;
use crate::error::{Error, INTERRUPTED};
use crate::remote::{self, Asked, Host, Narrator};

/// What the builder tells that waits to be shown, in messages.
const WAITING: usize = 16;

/// Why there is no result.
pub(in crate::commands) enum Ended {
    /// A signal came, or it is not wanted any more.
    Cancelled,
    /// Nobody listens there.
    NoBuilder(ConnectError),
    /// The build failed.
    Failed(Failure),
}

/// Builds what `request` asks for, which was typed as `args`, through the builder at `host`.
pub(super) fn build(
    session: &mut Session<'_, '_>,
    args: &Build,
    request: BuildRequest,
    (host, mode): (&Host, ProgressMode),
) -> Result<Option<ExportedImage>, Error> {
    let asked = remote::request(args, request, session.environment)
        .map_err(|error| error.context("failed to build"))?;
    let (built, mut summary) = session.show(mode, false, |progress, cancel| async move {
        tokio::select! {
            built = ask(host, asked, progress) => built,
            () = cancel.cancelled() => Err(Ended::Cancelled),
        }
    })?;
    let response = match built {
        Ok(response) => response,
        Err(Ended::Failed(failure)) => {
            let failures = summary.failures();
            if mode != ProgressMode::RawJson {
                session.ui.ask(&failures);
            }
            return Err(remote::failure(failure, !failures.is_empty()));
        }
        Err(Ended::NoBuilder(error)) => {
            return Err(Error::new(error.to_string())
                .context("failed to build")
                .hint(format!(
                    "is a builder running? kiln serve --host {}",
                    host.url()
                )));
        }
        Err(Ended::Cancelled) => {
            let error = Error::new("canceled").exit(INTERRUPTED);
            return Err(error.context("failed to build: failed to solve"));
        }
    };
    if shows_more(mode) {
        session.ui.ask(&summary.warnings(session.global.debug));
    }
    Ok(remote::image(&response))
}

/// Asks the builder, and passes on what it tells. When this is dropped, it is asked for nothing more.
pub(in crate::commands) async fn ask(
    host: &Host,
    asked: Asked,
    progress: ProgressSender,
) -> Result<HashMap<String, String>, Ended> {
    let client = Client::connect(&host.address, host.way)
        .await
        .map_err(Ended::NoBuilder)?;
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
    built.map_err(Ended::Failed)
}
