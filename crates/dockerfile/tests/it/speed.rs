//! How long a large Dockerfile takes. Run alone: `cargo test --release -- --ignored --nocapture`.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use dockerfile::{BuildContext, ImageAnswer, Lowered, Lowering, Options, Step};
use oci::ImageConfig;

/// Stages of twenty instructions, in chains of four that start from an image, each copying from
/// the stage before.
fn large(instructions: usize) -> String {
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

fn lower(text: &str) -> Box<Lowered> {
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

fn fastest(text: &str) -> Duration {
    let once = || {
        let start = Instant::now();
        let lowered = lower(text);
        let taken = start.elapsed();
        assert!(lowered.graph.iter().count() > 0);
        taken
    };
    (0..20).map(|_| once()).min().unwrap()
}

#[test]
#[ignore = "measures time: needs an optimised build and a quiet machine"]
#[expect(clippy::print_stdout, reason = "the times are what it is run for")]
fn time_is_linear() {
    let times: Vec<(usize, Duration)> = [500, 2_000, 8_000]
        .into_iter()
        .map(|instructions| (instructions, fastest(&large(instructions))))
        .collect();
    println!("{times:?}");
    let (small, huge) = (times[0].1, times[2].1);
    assert!(huge < small * 16 * 2, "{times:?}");
}
