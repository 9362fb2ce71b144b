//! Facts about steps, and how they differ.

use super::*;

fn facts(list: &[(Subject, &str)]) -> Facts {
    let list = list.iter();
    Facts(
        list.map(|(subject, value)| (subject.clone(), (*value).to_owned()))
            .collect(),
    )
}

#[test]
fn names_fall_apart_into_stage_and_instruction() {
    for (name, stage, instruction) in [
        ("[build 2/5] RUN make", "build", "RUN make"),
        ("[2/5] RUN make", "", "RUN make"),
        ("RUN [x] y", "", "RUN [x] y"),
    ] {
        assert_eq!(split(name), (stage, instruction));
    }
}

#[test]
fn differences_are_what_is_new_gone_or_other() {
    let variable = |name: &str| Subject::Variable(name.to_owned());
    let before = facts(&[
        (Subject::Instruction, "RUN a"),
        (variable("GONE"), "1"),
        (variable("SAME"), "1"),
        (variable("OTHER"), "1"),
        (Subject::Input(0), "k"),
    ]);
    let after = facts(&[
        (Subject::Instruction, "RUN a"),
        (variable("NEW"), "1"),
        (variable("SAME"), "1"),
        (variable("OTHER"), "2"),
        (Subject::Input(0), "l"),
    ]);
    let told: Vec<(Subject, &str)> = after
        .differences(&before)
        .into_iter()
        .map(|fact| (fact.subject.clone(), fact.change()))
        .collect();
    let expected = [
        (variable("GONE"), "is gone"),
        (variable("NEW"), "is new"),
        (variable("OTHER"), "has another value"),
        (Subject::Input(0), "has another value"),
    ];
    assert_eq!(told, expected);
    assert_eq!(Facts::read(&after.write()), Some(after));
    assert_eq!(Facts::read(b"RUN a"), None);
}
