//! What is fixed means what it meant: the fixed file comes to the same graph and the same config,
//! but for the author. Every case that can be lowered is fixed.

use dockerfile::{Diagnostic, ImageAnswer, Lowered, Lowering, Options, Step};
use oci::ImageConfig;

use crate::case;

/// Lowers without knowing any image.
fn lower(text: &str, options: &Options) -> Result<Lowered, Vec<Diagnostic>> {
    let mut lowering = Lowering::new(dockerfile::parse(text), options.clone())?;
    loop {
        match lowering.step()? {
            Step::Done(lowered) => return Ok(*lowered),
            Step::NeedTime(_) => lowering.set_epoch(Some(1)),
            Step::NeedImages(questions) => {
                for question in questions {
                    let config = ImageConfig::default();
                    lowering.answer(ImageAnswer {
                        question: question.id,
                        reference: question.reference,
                        config,
                        layers: 1,
                    });
                }
            }
        }
    }
}

/// What it means, without names, places and the author.
fn meaning(lowered: &Lowered) -> String {
    let vertices = lowered.graph.iter();
    let ops: Vec<String> = vertices
        .map(|(_, vertex)| format!("{:?} {:?}", vertex.op, vertex.inputs))
        .collect();
    let mut config = lowered.target.config.clone();
    config.author.clear();
    config.history.clear();
    config
        .config
        .labels
        .remove("org.opencontainers.image.authors");
    format!(
        "{}\n{config:#?}\n{:?}",
        ops.join("\n"),
        lowered.target.file_system
    )
}

/// Fixes until nothing changes, and tells each change.
fn fix(text: &str, options: &Options) -> (String, Vec<String>) {
    let (mut text, mut told) = (text.to_owned(), Vec::new());
    loop {
        let found = match lower(&text, options) {
            Ok(lowered) => lowered.warnings,
            Err(found) => found,
        };
        let fixed = dockerfile::fix(&text, &found);
        if fixed.changes.is_empty() {
            return (text, told);
        }
        for change in fixed.changes {
            let (line, rule) = (change.line, change.rule);
            told.push(format!(
                "{line} {rule}: {:?} {:?}",
                change.before, change.after
            ));
        }
        assert!(told.len() < 200, "no end of changes: {text}");
        text = fixed.text;
    }
}

#[test]
fn what_is_fixed_means_the_same() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases");
    let mut changed = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for case in case::split(&text) {
            let (dockerfile, given) = case.parts();
            let (fixed, told) = fix(&dockerfile, &given.options);
            if told.is_empty() {
                assert_eq!(fixed, dockerfile);
                continue;
            }
            changed += 1;
            let before = lower(&dockerfile, &given.options);
            let after = lower(&fixed, &given.options);
            let title = &case.title;
            match (before, after) {
                (Ok(before), Ok(after)) => {
                    assert_eq!(meaning(&before), meaning(&after), "{title}\n{fixed}");
                }
                (Err(_), Err(_)) => {}
                // What was fixed was the error.
                (Err(errors), Ok(_)) if errors[0].message.starts_with("lint violation") => {}
                (before, after) => panic!("{title}: {before:?} became {after:?}"),
            }
            assert_eq!(fix(&fixed, &given.options), (fixed, Vec::new()), "{title}");
        }
    }
    assert!(changed > 10, "only {changed} cases had something to fix");
}

#[test]
fn every_mechanical_rule() {
    let text = "\u{feff}# check=experimental=all\n\
        ARG  V=1 \\\n\n  W=2\n\
        FROM --platform=$TARGETPLATFORM  alpine:3 as Build  \r\n\
        \tmaintainer  Me \"the $one\" <me@x>\n\
        MAINTAINER it's me\n\
        MAINTAINER it's \"me\"\n\
        ENV A  b   c  \n\
        ENV A b=$V\n\
        ENV A \"b c\"\n\
        ENV A 'b c'\n\
        ENV A b\\ c\n\
        ENV A \"b\" \"c\"\n\
        LABEL a b\n\
        LABEL \"a\" b\n\
        Env A=1\n\
        RUN a && \\\n  \n # why\n\n b\n\
        ARG V\n\
        EXPOSE 80/TCP 81/udp $V/TCP 1:2/Udp\n\
        FROM scratch \\\n # x\n as \\\n Last\n\
        COPY --from=Build /a /a\n";
    let (fixed, told) = fix(
        text,
        &Options {
            every_stage: true,
            ..Options::default()
        },
    );
    let shown = fixed.escape_debug().to_string().replace("\\n", "\n");
    let actual = format!("{}\n---\n{shown}", told.join("\n"));
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/fixed.txt");
    if std::env::vars().any(|(key, _)| key == "BLESS") {
        std::fs::write(path, &actual).unwrap();
    }
    assert_eq!(actual, std::fs::read_to_string(path).unwrap());
}
