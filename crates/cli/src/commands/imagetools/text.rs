//! An image in a registry as buildx lists it, to the last space.

use engine::Inspected;
use oci::{Descriptor, Document, Platform};

/// The name, and what there is under it.
pub(super) fn listing(found: &Inspected) -> String {
    let mut text = block(&[
        row("", "Name", &found.reference.to_string()),
        row("", "MediaType", found.descriptor.media_type.as_str()),
        row("", "Digest", &found.descriptor.digest.to_string()),
    ]);
    if let Document::Index(index) = &found.document {
        text.push_str(&block(&[Row::default(), row("", "Manifests", "")]));
        text.push_str(&manifests(found, &index.manifests));
    }
    text
}

/// A name and what it stands for, in columns.
type Row = (String, String);

/// Rows that are aligned together; annotations are by themselves and end those before them.
fn manifests(found: &Inspected, manifests: &[Descriptor]) -> String {
    let (mut text, mut rows) = (String::new(), Vec::new());
    for (at, part) in manifests.iter().enumerate() {
        if at > 0 {
            rows.push(Row::default());
        }
        let exact = found.reference.clone().with_digest(part.digest);
        rows.push(row("  ", "Name", &exact.to_string()));
        rows.push(row("  ", "MediaType", part.media_type.as_str()));
        let Some(platform) = &part.platform else {
            continue;
        };
        rows.extend(of_platform(platform));
        if !part.urls.is_empty() {
            rows.push(row("  ", "URLs", &part.urls.join(", ")));
        }
        if !part.annotations.is_empty() {
            rows.push(row("  ", "Annotations", ""));
            text.push_str(&block(&std::mem::take(&mut rows)));
            let annotations = part.annotations.iter();
            let annotations = annotations.map(|(key, value)| row("    ", key, value));
            text.push_str(&block(&annotations.collect::<Vec<Row>>()));
        }
    }
    text + &block(&rows)
}

fn of_platform(platform: &Platform) -> Vec<Row> {
    let mut rows = vec![row("  ", "Platform", &shown(platform))];
    if !platform.os_version.is_empty() {
        rows.push(row("  ", "OSVersion", &platform.os_version));
    }
    if !platform.os_features.is_empty() {
        rows.push(row("  ", "OSFeatures", &platform.os_features.join(", ")));
    }
    rows
}

fn shown(platform: &Platform) -> String {
    match platform.os.is_empty() {
        true => "unknown".to_owned(),
        false => platform.to_string(),
    }
}

/// What comes from a registry stays on its line, and moves no cursor.
fn row(indent: &str, name: &str, value: &str) -> Row {
    let plain = |text: &str| text.replace(char::is_control, " ");
    (format!("{indent}{}:", plain(name)), plain(value))
}

/// The second column begins one space after the longest of the first.
fn block(rows: &[Row]) -> String {
    let width = |(name, _): &Row| name.chars().count();
    let widest = rows.iter().map(width).max().unwrap_or_default() + 1;
    let line = |(name, value): &Row| format!("{name:widest$}{value}\n");
    rows.iter().map(line).collect()
}
