//! What the fuzz targets share: lowering as far as it goes, with an image for every question.

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
