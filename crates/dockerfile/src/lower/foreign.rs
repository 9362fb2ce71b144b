//! Stages for another operating system than Linux.
//!
//! Nothing of them runs here, but files can be put into an empty image and configs written. Windows
//! has paths of its own, and its base images have layers of its own (`Files/…`, `Hives/…`), onto
//! which plain files cannot be put.

use std::borrow::Cow;

use graph::Edge;
use oci::{ImageConfig, Platform};

use super::dispatch::Dispatcher;
use super::error::LowerError;
use super::image::COMMENT;

const WINDOWS: &str = "windows";

/// Whether it is Windows.
pub(super) fn is_windows(platform: &Platform) -> bool {
    platform.os == WINDOWS
}

/// What a text is run by when nothing else is said.
pub(super) fn default_shell(platform: &Platform) -> &'static [&'static str] {
    if is_windows(platform) {
        &["cmd", "/S", "/C"]
    } else {
        &["/bin/sh", "-c"]
    }
}

/// A path of an image with slashes and without a drive, relative or not.
pub(super) fn with_slashes<'p>(
    platform: &Platform,
    path: &'p str,
) -> Result<Cow<'p, str>, LowerError> {
    if !is_windows(platform) {
        return Ok(Cow::Borrowed(path));
    }
    let slashes = path.replace('\\', "/");
    if slashes.starts_with("//") {
        return Err(LowerError::Share(path.to_owned()));
    }
    match slashes.split_once(':') {
        None => Ok(Cow::Owned(slashes)),
        Some((drive, rest)) if drive.eq_ignore_ascii_case("c") && !rest.is_empty() => {
            Ok(Cow::Owned(rest.to_owned()))
        }
        Some(_) => Err(LowerError::Drive(path.to_owned())),
    }
}

/// A path of an image as its config has it.
pub(super) fn in_config(platform: &Platform, path: String) -> String {
    if is_windows(platform) {
        path.replace('/', "\\")
    } else {
        path
    }
}

/// Layers of the image are as Windows has them: not all of them were made by a builder, which
/// begins with an empty image.
pub(super) fn has_windows_layers(config: &ImageConfig) -> bool {
    let mut layers = config.history.iter().filter(|entry| !entry.empty_layer);
    config.os == WINDOWS
        && (config.history.is_empty() || layers.any(|entry| entry.comment != COMMENT))
}

impl Dispatcher<'_> {
    /// Makes sure that files can be read there and put there.
    pub(super) fn check_layers(&self, file_system: Option<Edge>) -> Result<(), LowerError> {
        match file_system.is_some_and(|edge| self.sources.windows.contains(&edge)) {
            true => Err(LowerError::WindowsLayers),
            false => Ok(()),
        }
    }
}

/// Makes sure that steps can run.
pub(super) fn check_runs(platform: &Platform) -> Result<(), LowerError> {
    match platform.os.as_str() {
        "linux" => Ok(()),
        _ => Err(LowerError::ForeignStep(platform.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        for (written, expected) in [
            (r"C:\app\x", "/app/x"),
            (r"c:/app/", "/app/"),
            (r"\app", "/app"),
            ("app", "app"),
            (r"C:app\x", "app/x"),
            ("C:", "the path is not on the system drive (C:): \"C:\""),
            (
                r"d:\x",
                "the path is not on the system drive (C:): \"d:\\\\x\"",
            ),
            (
                r"\\host\x",
                "UNC paths are not supported: \"\\\\\\\\host\\\\x\"",
            ),
        ] {
            let windows = Platform::new("windows", "amd64", "");
            let shown = match with_slashes(&windows, written) {
                Ok(path) => path.into_owned(),
                Err(error) => error.to_string(),
            };
            assert_eq!(shown, expected);
            let linux = Platform::new("linux", "amd64", "");
            assert_eq!(with_slashes(&linux, written).unwrap(), written);
        }
    }
}
