//! Where a stage stands between two instructions.

use std::borrow::Cow;

use graph::Edge;
use oci::{ImageConfig, Platform};

use super::env::Env;
use super::foreign::{in_config, is_windows, with_slashes};
use super::image::Image;
use crate::instruction::Arg;

/// Where a stage stands between two instructions.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    /// The file system; none when it is empty.
    pub(super) edge: Option<Edge>,
    /// What processes are given: the image's environment and the values of `ARG`.
    pub(super) env: Env,
    /// The image's config.
    pub(super) image: Image,
    /// Every `ARG` that was declared, in order; the last of a name counts.
    pub(super) args: Vec<Arg>,
    /// What steps run on.
    pub(super) platform: Platform,
    /// How many layers came with the base image.
    pub(super) base_layers: Option<usize>,
    /// There was a `WORKDIR`.
    pub(super) workdir_set: bool,
    /// The base image is not known, and may have set any variable.
    pub(super) is_open: bool,
}

impl Scope {
    pub(super) fn new(image: Image, platform: Platform) -> Self {
        Self {
            edge: None,
            env: Env::default(),
            image,
            args: Vec::new(),
            platform,
            base_layers: None,
            workdir_set: false,
            is_open: false,
        }
    }

    /// What a stage that starts here begins with.
    pub(super) fn into_child(mut self) -> Self {
        self.image.config.config.on_build.clear();
        self
    }

    /// About how much memory a copy takes.
    pub(super) fn bytes(&self) -> usize {
        self.image.history_bytes() + self.env.bytes() + self.image.env.bytes()
    }

    /// Puts what the image config says where processes look for it.
    pub(super) fn apply_config(&mut self) {
        if !is_windows(&self.platform) {
            self.image.set_default_path();
        }
        for (key, value) in self.image.env.pairs() {
            self.env.set(key, value);
        }
        let directory = &self.image.config.config.working_dir;
        if !directory.is_empty() && !directory.starts_with('/') {
            let directory = crate::path::absolute("/", &self.directory());
            self.image.config.config.working_dir = in_config(&self.platform, directory);
        }
    }

    /// Where relative paths start from, with slashes.
    pub(super) fn directory(&self) -> Cow<'_, str> {
        match self.image.config.config.working_dir.as_str() {
            "" => Cow::Borrowed("/"),
            // What the config of a base has from elsewhere is no place for files.
            directory => with_slashes(&self.platform, directory).unwrap_or(Cow::Borrowed("/")),
        }
    }

    /// The image's config, as the image says it runs on.
    pub(super) const fn config(&self) -> &ImageConfig {
        &self.image.config
    }
}
