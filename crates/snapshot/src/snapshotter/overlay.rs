//! Snapshots by overlayfs: the process writes straight into what becomes the layer directory.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use store::TempSnapshot;
use sys::mount::{MountKind, OverlayMount};

use super::{
    Active, Committed, FS, SnapshotError, Snapshotter, View, discard, make_root, native,
    never_empty, unchanged,
};
use crate::Marks;
use crate::file::failed;

const WORK: &str = "work";

/// Stacks layers with overlayfs.
#[derive(Debug, Clone, Copy, Default)]
pub struct OverlaySnapshotter {
    /// Where overlay keeps its marks.
    pub marks: Marks,
}

impl Snapshotter for OverlaySnapshotter {
    fn prepare(&self, place: TempSnapshot, stack: &[PathBuf]) -> Result<Active, SnapshotError> {
        let fs = make_root(place.path(), FS, stack, self.marks)?;
        let mount = if stack.is_empty() {
            // Nothing to lay it over.
            MountKind::Bind {
                source: fs,
                recursive: false,
            }
        } else {
            let work = place.path().join(WORK);
            std::fs::create_dir(&work).map_err(failed("mkdir", &work))?;
            MountKind::Overlay(OverlayMount {
                lower: top_first(stack),
                upper: Some(fs),
                work: Some(work),
                // The store syncs whole file systems, and drops what a power cut may have hit.
                volatile: true,
                user_xattr: self.marks == Marks::User,
            })
        };
        Ok(Active {
            place,
            stack: stack.to_vec(),
            mount,
            before: native::Before::default(),
        })
    }

    fn view(&self, place: TempSnapshot, stack: &[PathBuf]) -> Result<View, SnapshotError> {
        let lower = if stack.is_empty() {
            vec![make_root(place.path(), FS, stack, self.marks)?]
        } else {
            top_first(stack)
        };
        Ok(View {
            mount: MountKind::Overlay(OverlayMount {
                lower,
                upper: None,
                work: None,
                volatile: false,
                user_xattr: self.marks == Marks::User,
            }),
            _place: place,
        })
    }

    fn commit(&self, active: Active, rubbish: &Path) -> Result<Committed, SnapshotError> {
        discard(active.place.path(), WORK, rubbish)?;
        if !active.stack.is_empty() {
            let layer = active.place.path().join(FS);
            unchanged::drop_from(&layer, &active.stack, self.marks)?;
        }
        Ok(Committed {
            place: active.place,
        })
    }

    fn open(
        &self,
        place: TempSnapshot,
        stack: &[PathBuf],
        own: &Path,
    ) -> Result<Active, SnapshotError> {
        let work = own.with_file_name(WORK);
        std::fs::create_dir_all(&work).map_err(failed("mkdir", &work))?;
        let stack = never_empty(&place, stack)?;
        let mount = MountKind::Overlay(OverlayMount {
            lower: top_first(&stack),
            upper: Some(own.to_owned()),
            work: Some(work),
            volatile: false,
            user_xattr: self.marks == Marks::User,
        });
        Ok(Active {
            place,
            stack,
            mount,
            before: native::Before::default(),
        })
    }

    fn close(&self, _: Active, _: &Path, _: &Path) -> Result<(), SnapshotError> {
        // The process has written there.
        Ok(())
    }
}

/// What a file system is laid over. Of a layer that is there twice the kernel takes one, and the upper
/// one alone counts: it has all that the lower one has, and hides all that it hides.
fn top_first(stack: &[PathBuf]) -> Vec<PathBuf> {
    let mut seen = HashSet::new();
    let layers = stack.iter().rev().filter(|layer| seen.insert(*layer));
    layers.cloned().collect()
}
