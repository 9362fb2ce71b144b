//! Adds to a plan that its targets are scanned.

use std::sync::Arc;

use oci::Platform;
use solver::ProgressSender;

use super::frontend::Plan;
use super::results::{Evaluated, Planned};
use super::stages::Build;
use crate::engine::Inner;
use crate::error::EngineError;
use crate::progress::Task;
use crate::request::BuildRequest;
use crate::sbom::{Sbom, Scanner};

impl Build {
    /// The results, of which those are scanned now that were made without it: step by step, or by
    /// somebody who was not asked for it.
    ///
    /// # Errors
    /// The scanner could not be had, or failed.
    pub async fn scan(&self, evaluated: &Evaluated, sbom: &Sbom) -> Result<Evaluated, EngineError> {
        let mut scanned = evaluated.clone();
        let unscanned = evaluated.distinct().into_iter();
        let unscanned = unscanned.filter(|made| made.scans().is_empty());
        for planned in unscanned.map(|made| &made.planned) {
            let request = BuildRequest {
                sbom: Some(sbom.clone()),
                ..planned.request().clone()
            };
            let plan = planned.plan().clone();
            let plan = self.engine().with_scans(plan, &request, self.progress());
            let plan = plan.await?;
            let again = Planned::new(request, plan);
            let made = self.evaluate(&again).await?;
            scanned.replace_planned(planned, &made);
        }
        Ok(scanned)
    }
}

impl Inner {
    /// The plan with a scan of each target, if `request` asks for an SBOM. The scanner runs on this
    /// machine, whatever it scans.
    pub(super) async fn with_scans(
        self: &Arc<Self>,
        mut plan: Plan,
        request: &BuildRequest,
        progress: &ProgressSender,
    ) -> Result<Plan, EngineError> {
        let Some(sbom) = &request.sbom else {
            return Ok(plan);
        };
        let (platform, pull) = (Platform::host(), request.pull);
        let name = format!("resolve image config for {}", sbom.generator);
        let task = Task::begin(progress, &self.clock, &name);
        let found = async {
            let (admitted, pull) = self.admit_image(&sbom.generator, &platform, pull).await?;
            self.resolve_image(&admitted, &platform, pull).await
        };
        let image = task.end(found.await)?;
        let scanner = Scanner::new(sbom, &image, platform, pull)?;
        let graph = Arc::make_mut(&mut plan.graph);
        for on in &plan.lowered {
            for target in on.lowered.targets() {
                plan.scans.push(scanner.scan(graph, target, &on.platform)?);
            }
        }
        plan.images.insert(image.reference.clone(), image);
        Ok(plan)
    }
}
