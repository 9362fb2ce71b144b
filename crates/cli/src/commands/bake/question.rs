//! What is asked of targets in place of a build.

use std::collections::BTreeMap;

use bake::Selection;

use super::target::{self, Planned};
use crate::args::bake::Bake;
use crate::build::{BuildPlan, Call, call};
use crate::commands::check;
use crate::commands::session::Session;
use crate::environment::Environment;
use crate::error::Error;

/// A question, of which nothing was opened yet.
pub(super) struct Question {
    of: Planned,
    asked: Call,
}

impl Question {
    /// The target that it is asked of.
    pub(super) fn name(&self) -> &str {
        &self.of.name
    }

    /// What would be built.
    pub(super) const fn plan(&self) -> &BuildPlan {
        &self.of.plan
    }
}

/// What is asked of each target.
pub(super) fn all(
    args: &Bake,
    selection: &Selection,
    environment: &Environment,
) -> Result<Vec<Question>, Error> {
    let mut questions = Vec::new();
    for (name, target) in &selection.targets {
        let of = target::planned(args, target, environment)?;
        let asked = call(&of.typed).map_err(|error| error.context(&format!("target {name}")))?;
        questions.extend(asked.map(|asked| Question { of, asked }));
    }
    Ok(questions)
}

/// Answers; the worst of the exit codes. What flags ask for as JSON is one document of all targets.
pub(super) fn answer(
    session: &mut Session<'_, '_>,
    args: &Bake,
    mut selection: Selection,
    questions: Vec<Question>,
) -> Result<u8, Error> {
    let is_document = args.call.is_some() && questions.iter().any(|question| question.asked.json);
    let (mut worst, mut answers) = (0, BTreeMap::new());
    for (place, Question { of, asked }) in questions.into_iter().enumerate() {
        let Planned {
            name, typed, plan, ..
        } = of;
        let of_target = |error: Error| error.context(&format!("target {name}"));
        let answer = check::planned(session, plan, typed.pull.is_some(), &asked);
        let answer = answer.map_err(of_target)?;
        let target = selection.targets.get_mut(&name);
        if is_document {
            let (call, key) = asked.method.names();
            if let Some(target) = target {
                target.call = Some(call.to_owned());
            }
            let value = serde_json::from_str(&answer.text)
                .map_err(|error| of_target(Error::new(error.to_string())))?;
            answers.insert(name.clone(), (key, value));
        } else {
            let before = if place == 0 { "" } else { "\n" };
            let description = match target.map_or("", |target| &target.description) {
                "" => String::new(),
                text => format!("{text}\n"),
            };
            if !asked.json {
                let head = format!("{before}{name}\n{description}\n");
                session.ui.print(&head)?;
            }
            session.ui.print(&answer.text)?;
        }
        worst = worst.max(answer.end().map_err(of_target)?);
    }
    if is_document {
        session.ui.line(&selection.answered(&answers))?;
    }
    Ok(worst)
}
