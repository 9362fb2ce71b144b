//! A large Dockerfile, and what is done with it.

use std::fmt::Write as _;

use dockerfile::{BuildContext, ImageAnswer, Lowered, Lowering, Options, Step};
use oci::ImageConfig;

/// Stages of twenty instructions, in chains of four that start from an image, each copying from
/// the stage before.
pub(crate) fn large(instructions: usize) -> String {
    let mut text = "ARG VERSION=3.19\n".to_owned();
    for stage in 0..instructions / 20 {
        let base = match stage % 4 {
            0 => "alpine:$VERSION".to_owned(),
            _ => format!("s{}", stage - 1),
        };
        writeln!(text, "FROM {base} AS s{stage}").unwrap();
        writeln!(text, "ARG VERSION A{stage}=x-$VERSION").unwrap();
        writeln!(
            text,
            "ENV E{stage}=\"${{A{stage}%-*}}\" P=$PATH:/opt/{stage}"
        )
        .unwrap();
        writeln!(text, "LABEL l{stage}='quoted' m=$VERSION").unwrap();
        writeln!(text, "WORKDIR /work/$E{stage}").unwrap();
        if stage > 0 {
            writeln!(text, "COPY --from=s{} /a /b/", stage - 1).unwrap();
        } else {
            text.push_str("COPY a /b/\n");
        }
        for step in 0..7 {
            writeln!(
                text,
                "RUN --mount=type=cache,target=/c{step} make \\\n  -j4 $VERSION"
            )
            .unwrap();
            writeln!(text, "COPY --chown=1:1 src/{step} ./dir{step}/").unwrap();
        }
    }
    text
}

/// Parses and lowers it.
pub(crate) fn lower(text: &str) -> Box<Lowered> {
    let options = Options {
        context: BuildContext::Local {
            name: "context".to_owned(),
            exclude: Vec::new(),
        },
        ..Options::default()
    };
    let mut lowering = Lowering::new(dockerfile::parse(text), options).unwrap();
    loop {
        match lowering.step().unwrap() {
            Step::Done(lowered) => return lowered,
            Step::NeedTime(_) => lowering.set_epoch(None),
            Step::NeedImages(questions) => {
                for question in questions {
                    lowering.answer(ImageAnswer {
                        question: question.id,
                        reference: question.reference,
                        config: ImageConfig::default(),
                        layers: 1,
                    });
                }
            }
        }
    }
}
