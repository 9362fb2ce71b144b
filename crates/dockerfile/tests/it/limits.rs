//! What is just within each limit works; one more is an error that names it.

use dockerfile::limits::{MAX_FILE, MAX_HEREDOCS, MAX_LINE, MAX_STAGES, MAX_TRIGGERS};
use dockerfile::{ImageAnswer, Lowering, Options, Step};
use oci::ImageConfig;

/// The first error; empty when there is none. Every image has `triggers` triggers.
fn error(text: &str, triggers: usize) -> String {
    let lower = || {
        let mut lowering = Lowering::new(dockerfile::parse(text), Options::default())?;
        while let Step::NeedImages(questions) = lowering.step()? {
            for question in questions {
                let mut config = ImageConfig::default();
                config.config.on_build = vec!["LABEL a=b".to_owned(); triggers];
                lowering.answer(ImageAnswer {
                    question: question.id,
                    reference: question.reference,
                    config,
                    layers: 1,
                });
            }
        }
        Ok(())
    };
    match lower() {
        Ok(()) => String::new(),
        Err(errors) => {
            let errors: Vec<dockerfile::Diagnostic> = errors;
            errors[0].to_string()
        }
    }
}

fn check(make: impl Fn(usize) -> String, limit: usize, expected: &str) {
    assert_eq!(error(&make(limit), 0), "");
    assert_eq!(error(&make(limit + 1), 0), expected);
}

#[test]
fn the_file() {
    let file = |size: usize| {
        let line = "#".repeat(1023) + "\n";
        let comments = line.repeat(size / line.len() - 1);
        let text = format!("{comments}FROM scratch\n");
        let rest = size - text.len();
        format!("{text}{}", "\n".repeat(rest))
    };
    let expected = "the Dockerfile has more than 16777216 bytes";
    check(file, MAX_FILE, expected);
}

#[test]
fn a_line() {
    let expected = "dockerfile line greater than max allowed size of 65535";
    let label = |size: usize| format!("FROM scratch\nLABEL a={}\n", "x".repeat(size - 8));
    check(label, MAX_LINE, expected);
    let body = |size: usize| format!("FROM scratch\nRUN <<E\n{}\nE\n", "x".repeat(size));
    check(body, MAX_LINE, expected);
    let last = |size: usize| format!("FROM scratch\n#{}", "x".repeat(size - 1));
    check(last, MAX_LINE, expected);
    // Lines are joined, so an instruction may be longer than a line.
    let joined = format!(
        "FROM scratch\nLABEL a={}b\n",
        format!("{}\\\n", "x".repeat(60_000)).repeat(3)
    );
    assert_eq!(error(&joined, 0), "");
}

#[test]
fn stages() {
    let stages = |count: usize| "FROM scratch\n".repeat(count);
    let expected = "the Dockerfile has more than 10000 stages";
    check(stages, MAX_STAGES, expected);
    let parsed = dockerfile::parse(stages(MAX_STAGES + 50));
    assert_eq!(parsed.errors().count(), 1);
}

#[test]
fn heredocs() {
    let heredocs = |count: usize| {
        let (words, bodies) = (" <<E".repeat(count), "E\n".repeat(count));
        format!("FROM scratch\nCOPY{words} /x/\n{bodies}")
    };
    let expected = "an instruction has more than 1000 heredocs";
    check(heredocs, MAX_HEREDOCS, expected);
}

#[test]
fn triggers() {
    assert_eq!(error("FROM base\n", MAX_TRIGGERS), "");
    assert_eq!(
        error("FROM base\n", MAX_TRIGGERS + 1),
        "the base has more than 10000 triggers"
    );
    let chained = "FROM scratch\nONBUILD ONBUILD RUN x\n";
    assert_eq!(
        error(chained, 0),
        "dockerfile parse error on line 2: Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"
    );
}
