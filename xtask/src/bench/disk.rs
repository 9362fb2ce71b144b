//! A file system for each builder, so that none waits for what another left to be written or freed.
//!
//! Builders leave hundreds of thousands of files behind when they forget what they built. A disk
//! that discards freed blocks at once is slow for minutes after that, for whoever comes next.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::{command, packages};

/// The size that each file system may grow to, in bytes. The images are sparse.
const SIZE: u64 = 24 << 30;

/// A new ext4 file system in an image file, mounted until the guard is dropped.
#[derive(Debug)]
pub(super) struct Disk {
    mounted: PathBuf,
}

impl Disk {
    /// Makes one at `place`, which must not exist. The mount is one of this process's own
    /// namespace, so it does not outlive the process.
    pub(super) fn new(place: &Path) -> Result<Self> {
        packages::ensure(&[packages::MKFS])?;
        let image = place.with_extension("ext4");
        fs::create_dir(place).with_context(|| place.display().to_string())?;
        File::create_new(&image)?.set_len(SIZE)?;
        // All of it at once: what a lazy mkfs leaves to do would be done while others measure.
        let eager = "lazy_itable_init=0,lazy_journal_init=0,nodiscard";
        command::quiet(
            command::program("mkfs.ext4")
                .args(["-q", "-E", eager])
                .arg(&image),
        )?;
        command::quiet(
            command::program("mount")
                .args(["-o", "loop,nodiscard"])
                .args([&image, place]),
        )?;
        Ok(Self {
            mounted: place.to_owned(),
        })
    }

    /// Gives the machine back what is free again, which it does not do by itself: the images would
    /// grow with all that was ever written.
    pub(super) fn trim(&self) -> Result<()> {
        command::quiet(command::program("fstrim").arg(&self.mounted))
    }

    pub(super) fn path(&self) -> &Path {
        &self.mounted
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // What still uses it keeps it until it ends; failure means that it is gone already.
        drop(command::quiet(
            command::program("umount").arg("--lazy").arg(&self.mounted),
        ));
    }
}
