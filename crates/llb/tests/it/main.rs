//! Every file in `tests/cases`: definitions as text, options, and all that comes of them.
//!
//! Set `BLESS=1` to write what comes out into the files.

#[cfg(test)]
mod case;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod show;
#[cfg(test)]
mod text;

use std::path::Path;

#[test]
fn cases() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut paths: Vec<_> = std::fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let mut failed = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        let cases = case::split(&text);
        let answered: Vec<String> = cases.iter().map(case::Case::answered).collect();
        let actual = answered.concat();
        if actual == text {
            continue;
        }
        if std::env::vars().any(|(key, _)| key == "BLESS") {
            std::fs::write(&path, actual).unwrap();
            continue;
        }
        let wrong = cases.iter().zip(&answered);
        let wrong = wrong.filter(|(case, answered)| **answered != case.text);
        failed.extend(wrong.map(|(_, answered)| format!("{}\n{answered}", path.display())));
    }
    let failed = failed.join("\n");
    assert!(failed.is_empty(), "these came out otherwise:\n{failed}");
}
