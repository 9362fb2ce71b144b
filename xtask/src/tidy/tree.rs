//! The files that tidy looks at: text of the project's own, in a fixed order.

use std::path::Path;

use anyhow::{Context as _, Result};

/// A text file of the project.
#[derive(Debug)]
pub(super) struct File {
    /// Relative to the top of the source tree, with `/` between names.
    pub(super) path: String,
    pub(super) text: String,
}

const EXTENSIONS: [&str; 8] = ["rs", "toml", "md", "sh", "yml", "yaml", "json", "go"];

/// Hidden folders that are the project's own.
const HIDDEN: [&str; 2] = [".ci", ".cargo"];

/// Folders that hold what was built or fetched.
const BUILT: [&str; 2] = ["target", "node_modules"];

/// All text files beneath `top`, sorted by path.
pub(super) fn files(top: &Path) -> Result<Vec<File>> {
    let mut files = Vec::new();
    walk(top, "", &mut files)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn walk(folder: &Path, prefix: &str, files: &mut Vec<File>) -> Result<()> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    for entry in entries {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let path = format!("{prefix}{name}");
        let kind = entry.file_type()?;
        if kind.is_dir() && is_ours(&name) {
            walk(&entry.path(), &format!("{path}/"), files)?;
        } else if kind.is_file() && is_text(&path, &name) {
            let text = std::fs::read_to_string(entry.path()).with_context(|| path.clone())?;
            files.push(File { path, text });
        }
    }
    Ok(())
}

fn is_ours(folder: &str) -> bool {
    let hidden = folder.starts_with('.') && !HIDDEN.contains(&folder);
    !hidden && !BUILT.contains(&folder)
}

fn is_text(path: &str, name: &str) -> bool {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    EXTENSIONS.contains(&extension) || name.starts_with("Dockerfile") || path.starts_with(".ci/")
}
