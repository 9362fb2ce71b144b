//! What the fuzz targets share: lowering as far as it goes, with an image for every question; and a
//! place to unpack archives in.

pub mod connection;

use std::path::PathBuf;

use dockerfile::{ImageAnswer, Lowering, Options, Step, parse};
use oci::ImageConfig;

/// Parses and lowers `text`, and shows every finding. Images that are asked for have `trigger`.
pub fn lower(text: &[u8], options: Options, trigger: Option<&str>) {
    let parsed = parse(text);
    let source = parsed.source.clone();
    for finding in &parsed.diagnostics {
        assert!(finding.render(&source).ends_with('\n'));
    }
    let Ok(mut lowering) = Lowering::new(parsed, options) else {
        return;
    };
    let mut config = ImageConfig::default();
    config.config.on_build = trigger.map(str::to_owned).into_iter().collect();
    // An answer may lead to more questions, but to no end of them.
    for _ in 0..20 {
        let questions = match lowering.step() {
            Ok(Step::NeedImages(questions)) => questions,
            Ok(Step::NeedTime(_)) => {
                lowering.set_epoch(Some(1));
                continue;
            }
            Ok(Step::Done(_)) | Err(_) => return,
        };
        for question in questions {
            lowering.answer(ImageAnswer {
                question: question.id,
                reference: question.reference,
                config: config.clone(),
                layers: 1,
            });
        }
    }
    panic!("no end of questions");
}

/// What an archive of a fuzzer may take.
pub const LIMITS: snapshot::Limits = snapshot::Limits {
    entries: 500,
    size: 1 << 20,
    ratio: 100,
    names: 1 << 20,
    depth: 64,
    name: 4096,
};

/// A directory for what is unpacked, in one that must stay as it is.
#[derive(Debug)]
pub struct Place(tempfile::TempDir);

impl Place {
    /// In memory.
    #[must_use]
    pub fn new() -> Self {
        let place = tempfile::tempdir_in("/dev/shm").unwrap();
        std::fs::create_dir(place.path().join("inside")).unwrap();
        std::fs::write(place.path().join("outside"), "as it was").unwrap();
        Self(place)
    }

    /// Where to unpack.
    #[must_use]
    pub fn inside(&self) -> PathBuf {
        self.0.path().join("inside")
    }

    /// Nothing happened outside.
    pub fn check(&self) {
        let names = std::fs::read_dir(self.0.path()).unwrap().count();
        assert_eq!(names, 2);
        let outside = std::fs::read(self.0.path().join("outside")).unwrap();
        assert_eq!(outside, b"as it was");
    }
}

impl Default for Place {
    fn default() -> Self {
        Self::new()
    }
}
