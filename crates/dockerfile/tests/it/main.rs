//! Every file in `tests/cases`: a Dockerfile, options, and all that comes of it.
//!
//! Set `BLESS=1` to write what comes out into the files.

#[cfg(test)]
mod case;
#[cfg(test)]
mod fix;
#[cfg(test)]
mod large;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod mutation;
#[cfg(test)]
mod render;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod speed;

use std::path::Path;

#[test]
fn cases() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut failed = Vec::new();
    let mut paths: Vec<_> = std::fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    paths.sort();
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        let cases = case::split(&text);
        let answered: Vec<String> = cases.iter().map(|case| case.with(&case.run())).collect();
        let actual = answered.concat();
        if actual == text {
            continue;
        }
        if std::env::vars().any(|(key, _)| key == "BLESS") {
            std::fs::write(&path, actual).unwrap();
            continue;
        }
        for (case, answered) in cases.iter().zip(&answered) {
            if *answered != case.text {
                failed.push(format!("{}: {}\n{answered}", path.display(), case.title));
            }
        }
    }
    assert!(
        failed.is_empty(),
        "these came out otherwise:\n{}",
        failed.join("\n")
    );
}
