//! States where the images of a build came from, and what is in them, when that was asked for.

use std::sync::Arc;

use dockerfile::Lowered;
use snapshot::Tree;

use super::results::Made;
use super::stages::{Build, Delivery};
use crate::error::EngineError;
use crate::export::{Attestation, ImageParts, ImageSet, PAYLOAD};
use crate::history::Attachment;
use crate::output::Stack;
use crate::provenance::Known;
use crate::sbom;

impl Build {
    /// Adds to each target what is stated about it.
    pub(super) async fn state(
        &self,
        made: &Made,
        delivery: &Delivery,
        targets: &mut [ImageParts],
    ) -> Result<(), EngineError> {
        for (parts, scan) in targets.iter_mut().zip(made.scans()) {
            parts.attestations.extend(self.scanned(scan).await?);
        }
        self.state_origin(made, delivery, targets)
    }

    /// What a scanner wrote.
    async fn scanned(&self, scan: &Stack) -> Result<Vec<Attestation>, EngineError> {
        let engine = Arc::clone(self.engine());
        let layers = engine.snapshots(scan, None).await?;
        crate::blocking(move || sbom::read(&Tree::layers(&layers, engine.marks)?)).await?
    }

    fn state_origin(
        &self,
        made: &Made,
        delivery: &Delivery,
        targets: &mut [ImageParts],
    ) -> Result<(), EngineError> {
        let Some(provenance) = &delivery.provenance else {
            return Ok(());
        };
        let asked = provenance.asked.clone().unwrap_or_default();
        let known = Known {
            request: made.planned.request(),
            asked: &asked,
            graph: &made.planned.plan().graph,
            pins: &made.solved.pins,
            invocation: &self.invocation,
            started: self.started,
        };
        let lowered = made.on_platform().into_iter().flat_map(Lowered::targets);
        for (parts, target) in targets.iter_mut().zip(lowered) {
            let capture = self.engine().capture(&known, target.file_system)?;
            parts.attestations.push(Attestation {
                predicate_type: provenance.predicate_type().to_owned(),
                predicate: Arc::new(provenance.predicate(&capture)),
                subjects: Vec::new(),
                inline_only: provenance.inline_only,
                file_name: provenance.file_name.clone(),
                is_core: false,
            });
        }
        Ok(())
    }

    /// Keeps what was stated with the build in the history.
    pub(super) fn attach_statements(&self, targets: &[ImageSet]) {
        let images = targets.iter().flat_map(|set| &set.images);
        for attestation in images.flat_map(|image| &image.attestations) {
            self.attach(Attachment {
                media_type: PAYLOAD.to_owned(),
                predicate: Some(attestation.predicate_type.clone()),
                data: attestation.predicate.to_string().into_bytes(),
            });
        }
    }
}
