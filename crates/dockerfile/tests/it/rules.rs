//! Every rule has its section in `docs/checks.md`, whose bad example breaks it and whose good one
//! does not; and one file that breaks all of them is told of each once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use dockerfile::{
    BuildContext, Checks, Diagnostic, ImageAnswer, Lowering, Options, Origin, RULES, Step,
};
use oci::ImageConfig;

fn read(path: &str) -> String {
    let root: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::fs::read_to_string(root.join(path)).unwrap()
}

/// Checks with `VERSION` given, `ignored.txt` excluded and an image `foreign` of another platform.
fn check(text: &str) -> Vec<Diagnostic> {
    let options = Options {
        every_stage: true,
        checks: Checks::All,
        context: BuildContext::Local {
            name: "context".to_owned(),
            exclude: vec!["ignored.txt".to_owned()],
        },
        build_args: BTreeMap::from([("VERSION".to_owned(), Some("3.22".to_owned()))]),
        ..Options::default()
    };
    let mut lowering = match Lowering::new(dockerfile::parse(text), options) {
        Ok(lowering) => lowering,
        Err(found) => return found,
    };
    loop {
        let questions = match lowering.step() {
            Ok(Step::NeedImages(questions)) => questions,
            Ok(Step::NeedTime(_)) => {
                lowering.set_epoch(Some(1));
                continue;
            }
            Ok(Step::Done(lowered)) => return lowered.warnings,
            Err(found) => return found,
        };
        for question in questions {
            if !question.reference.to_string().contains("foreign") {
                lowering.leave_open(question.id);
                continue;
            }
            lowering.answer(ImageAnswer {
                question: question.id,
                reference: question.reference,
                config: ImageConfig {
                    os: "linux".to_owned(),
                    architecture: "s390x".to_owned(),
                    ..ImageConfig::default()
                },
                layers: 1,
            });
        }
    }
}

/// What breaks which rule how often.
fn counts(found: &[Diagnostic]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for finding in found {
        let name = finding.rule.unwrap_or(&finding.message);
        *counts.entry(name.to_owned()).or_insert(0) += 1;
    }
    counts
}

#[test]
fn documented() {
    let page = read("docs/checks.md");
    let sections: Vec<(&str, &str)> = page
        .split("\n### ")
        .skip(1)
        .map(|section| section.split_once('\n').unwrap())
        .collect();
    let names: Vec<&str> = sections.iter().map(|(name, _)| *name).collect();
    let rules: Vec<&str> = RULES.iter().map(|rule| rule.name).collect();
    assert_eq!(names, rules);
    for (rule, (name, section)) in RULES.iter().zip(sections) {
        assert!(section.contains(rule.description), "{name}");
        assert!(section.contains(&format!("Fix: {}.", rule.fix)), "{name}");
        let mechanical = section.contains("`--fix` does it");
        assert_eq!(rule.is_mechanical, mechanical, "{name}");
        let example = |title: &str| {
            let (_, rest) = section
                .split_once(&format!("{title}:\n\n```dockerfile\n"))
                .unwrap();
            rest.split_once("```").unwrap().0
        };
        let bad = counts(&check(example("Bad")));
        assert_eq!(bad.keys().collect::<Vec<_>>(), [name], "{name}");
        let good = counts(&check(example("Good")));
        assert_eq!(good, BTreeMap::new(), "{name}");
        assert_eq!(
            rule.url().is_none(),
            rule.origin == Origin::Kiln || name == "InvalidBaseImagePlatform"
        );
    }
}

#[test]
fn every_rule_once() {
    let found = check(&read("crates/dockerfile/tests/it/every_fault.Dockerfile"));
    let expected: BTreeMap<String, usize> =
        RULES.iter().map(|rule| (rule.name.to_owned(), 1)).collect();
    assert_eq!(counts(&found), expected);
}
