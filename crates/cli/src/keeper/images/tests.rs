//! What daemons say of images and pushes.

use super::*;

#[test]
fn what_daemons_say_of_a_push() {
    let pushed = what_was_pushed("1: digest: sha256:a size: 943");
    assert_eq!(pushed, Some(("sha256:a", 943)));
    assert_eq!(what_was_pushed("Pushed"), None);
}

#[test]
fn a_line_for_each_name() {
    let row: ImageSummary = serde_json::from_str(
        r#"{"Id":"sha256:a","RepoTags":["app:latest","me/app:2"],"Labels":null,"Created":7,
            "RepoDigests":["app@sha256:b","me/app@sha256:b"],"Size":3}"#,
    )
    .unwrap();
    let lines = listed(&row);
    let shown = lines.iter().map(|line| {
        let name = line.reference.as_ref().map(Reference::familiar);
        format!("{name:?} {:?}", line.digest)
    });
    assert_eq!(
        shown.collect::<Vec<_>>(),
        [
            "Some(\"app:latest\") Some(\"sha256:b\")",
            "Some(\"me/app:2\") Some(\"sha256:b\")"
        ]
    );
    let nameless: ImageSummary =
        serde_json::from_str(r#"{"Id":"sha256:a","RepoTags":null,"Created":-62135596800}"#)
            .unwrap();
    let lines = listed(&nameless);
    assert!(lines.len() == 1 && lines[0].reference.is_none() && lines[0].created.is_none());
    assert_eq!(since_1970(0), Some(SystemTime::UNIX_EPOCH));
}
