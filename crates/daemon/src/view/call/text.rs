//! Answers about a Dockerfile as text, laid out as BuildKit lays them out.

use engine::{Outline, OutlineMount, Target};

use crate::view::table::align_by;

/// What a target takes.
#[must_use]
pub fn outline(outline: &Outline) -> String {
    let mut text = String::new();
    if outline.name.is_some() || outline.description.is_some() {
        let name = outline.name.as_deref().unwrap_or("(default)");
        let mut rows = format!("TARGET:\t{name}\n");
        if let Some(description) = &outline.description {
            rows.push_str(&format!("DESCRIPTION:\t{description}\n"));
        }
        text.push_str(&align_by(&rows, 0, 1));
        text.push('\n');
    }
    if !outline.args.is_empty() {
        let mut rows = "BUILD ARG\tVALUE\tDESCRIPTION\n".to_owned();
        for arg in &outline.args {
            let value = arg.value.as_deref().unwrap_or_default();
            let description = arg.description.as_deref().unwrap_or_default();
            rows.push_str(&format!("{}\t{value}\t{description}\n", arg.name));
        }
        text.push_str(&align_by(&rows, 0, 3));
        text.push('\n');
    }
    text.push_str(&mounts("SECRET", &outline.secrets));
    text.push_str(&mounts("SSH", &outline.ssh));
    text
}

fn mounts(title: &str, mounts: &[OutlineMount]) -> String {
    if mounts.is_empty() {
        return String::new();
    }
    let mut rows = format!("{title}\tREQUIRED\n");
    for mount in mounts {
        let required = if mount.required { "true" } else { "" };
        rows.push_str(&format!("{}\t{required}\n", mount.id));
    }
    format!("{}\n", align_by(&rows, 0, 3))
}

/// The stages.
#[must_use]
pub fn targets(targets: &[Target]) -> String {
    let mut rows = "TARGET\tDESCRIPTION\n".to_owned();
    for target in targets {
        let name = match (&target.name, target.is_default) {
            (None, true) => "(default)".to_owned(),
            (Some(name), true) => format!("{name} (default)"),
            (name, false) => name.clone().unwrap_or_default(),
        };
        let description = target.description.as_deref().unwrap_or_default();
        rows.push_str(&format!("{name}\t{description}\n"));
    }
    align_by(&rows, 0, 1)
}
