//! One build, in order: read the Dockerfile, ask for the images it needs, lower it to a graph,
//! solve the graph, export the result. Read this first; `stages` has each of these.

mod check;
mod definition;
mod deliver;
mod found;
mod frontend;
mod join;
mod missing;
mod platforms;
mod reads;
mod results;
mod scans;
mod secrets;
mod solve;
mod stages;
mod state;

use solver::ProgressSender;
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;
use crate::error::EngineError;
use crate::export::ExportedImage;
use crate::history::About;
use crate::provenance::Asked;
use crate::request::BuildRequest;

pub use check::{check, fix, outline, targets};
pub use definition::{Definition, FoundImage};
pub use found::{FoundCommit, FoundFile, FoundSource};
pub use missing::explain_missing;
pub use reads::Reads;
pub use results::{Evaluated, Planned};
pub use stages::{Build, Delivery};

/// What a build came to.
#[derive(Debug, Clone, Default)]
pub struct BuildOutcome {
    /// The image, when the request asked for one.
    pub image: Option<ExportedImage>,
    /// What made it, as BuildKit calls it.
    pub exporter: &'static str,
    /// Images of further targets that have names.
    pub more_images: Vec<ExportedImage>,
    /// What could be done better in the Dockerfile.
    pub warnings: Vec<dockerfile::Diagnostic>,
}

impl Engine {
    /// Builds, and exports what the request asks for; what was brought in for it takes its place in
    /// the request. Dropping the future, or `cancel`, ends the build and all its steps. However it
    /// ends, it is in the history.
    ///
    /// # Errors
    /// The Dockerfile is wrong, a step failed, or something could not be had or written.
    pub async fn build(
        &self,
        request: &mut BuildRequest,
        progress: ProgressSender,
        cancel: CancellationToken,
    ) -> Result<BuildOutcome, EngineError> {
        let asked = Asked::of(request);
        let build = self.begin(Some(About::of(request)), progress)?;
        if let (Some(keep), Some(id)) = (&request.keep_failed, build.id()) {
            keep.begin(id);
        }
        if let Some(provenance) = &mut request.provenance
            && provenance.asked.is_none()
        {
            // What is brought in takes the place of what was asked for.
            provenance.asked = Some(asked);
        }
        let all = async {
            let planned = build.plan(request).await?;
            let evaluated = build.evaluate(&planned).await?;
            build.deliver(&evaluated, &Delivery::of(request)).await
        };
        let outcome = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(EngineError::Cancelled),
            outcome = all => outcome,
        };
        build.end(&outcome).await?;
        outcome
    }
}
