//! `--call=context`: which files steps can read, and what the ignore file keeps from them.

use engine::{ContextFiles, FileKind};
use serde_json::{Value, json};

use crate::ui::{human, table};

/// For people.
pub(super) fn text(context: &ContextFiles) -> String {
    let mut rows = "SIZE\tFILE\n".to_owned();
    for file in &context.files {
        let path = shown(&file.path.to_string_lossy());
        rows.push_str(&format!("{}\t{path}\n", human::size(file.size)));
    }
    let mut text = table::align(&rows);
    if !context.excluded.is_empty() {
        let mut rows = "SIZE\tFILES\tEXCLUDED\tPATTERN\n".to_owned();
        for file in &context.excluded {
            let mut path = shown(&file.path.to_string_lossy());
            if file.kind == FileKind::Directory {
                path.push('/');
            }
            let size = human::size(file.size);
            let pattern = shown(&file.pattern);
            rows.push_str(&format!("{size}\t{}\t{path}\t{pattern}\n", file.files));
        }
        text.push_str(&format!("\n{}", table::align(&rows)));
    }
    let sums = Sums::of(context);
    let (read, left_out) = (counted(sums.files), counted(sums.excluded_files));
    text.push_str(&format!("\n{read}, {}", human::size(sums.size)));
    text.push_str(&format!(
        "; left out: {left_out}, {}\n",
        human::size(sums.excluded_size)
    ));
    text
}

/// For programs.
pub(super) fn json(context: &ContextFiles) -> String {
    let sums = Sums::of(context);
    let files = context.files.iter().map(|file| {
        let path = file.path.to_string_lossy();
        json!({"path": path, "type": kind(file.kind), "size": file.size})
    });
    let excluded = context.excluded.iter().map(|file| {
        json!({
            "path": file.path.to_string_lossy(),
            "type": kind(file.kind),
            "files": file.files,
            "size": file.size,
            "pattern": file.pattern,
        })
    });
    let answer = json!({
        "files": files.collect::<Vec<Value>>(),
        "excluded": excluded.collect::<Vec<Value>>(),
        "totalFiles": sums.files,
        "totalSize": sums.size,
        "excludedFiles": sums.excluded_files,
        "excludedSize": sums.excluded_size,
    });
    format!("{answer:#}\n")
}

struct Sums {
    files: u64,
    size: u64,
    excluded_files: u64,
    excluded_size: u64,
}

impl Sums {
    fn of(context: &ContextFiles) -> Self {
        Self {
            files: context.files.len() as u64,
            size: context.files.iter().map(|file| file.size).sum(),
            excluded_files: context.excluded.iter().map(|file| file.files).sum(),
            excluded_size: context.excluded.iter().map(|file| file.size).sum(),
        }
    }
}

fn counted(files: u64) -> String {
    match files {
        1 => "1 file".to_owned(),
        count => format!("{count} files"),
    }
}

const fn kind(kind: FileKind) -> &'static str {
    match kind {
        FileKind::File => "file",
        FileKind::Directory => "directory",
        FileKind::Symlink => "symlink",
        FileKind::Character => "character device",
        FileKind::Block => "block device",
        FileKind::Fifo => "fifo",
        FileKind::Socket => "socket",
    }
}

/// On one line, without anything that could move a cursor.
fn shown(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}
