//! `kiln inspect`: all that is known of images and containers, as JSON in docker's form.

use serde::Serialize as _;

use super::session::Session;
use crate::args::image::Inspect;
use crate::error::{CliError, Error, FAILURE};
use crate::keeper::{Keeper, Shown};
use crate::ui::template::Template;

/// Shows what each name stands for; `only` when the command is about one kind of thing.
pub(super) fn run(
    session: &mut Session<'_, '_>,
    args: &Inspect,
    only: Option<&'static str>,
) -> Result<(), Error> {
    let kind = match only.or(args.kind.as_deref()) {
        kind @ (None | Some("image" | "container")) => kind,
        Some(other) => {
            return Err(Error::new(format!(
                "{other:?} is not a valid value for --type: expected image or container"
            )));
        }
    };
    let template = match args.format.as_deref() {
        None | Some("" | "json") => None,
        Some(text) => Some(Template::parse(text).map_err(CliError::from)?),
    };
    let keeper = session.keeper()?;
    let (mut found, mut failed) = (Vec::new(), false);
    for name in &args.names {
        match object(&keeper, name, kind) {
            Ok(object) => found.push(object),
            Err(error) => {
                failed = true;
                session.ui.error(&error);
            }
        }
    }
    let text = match (template, args.format.as_deref()) {
        (Some(template), _) => {
            let mut text = String::new();
            for object in &found {
                text.push_str(&template.render(&object.value()).map_err(CliError::from)?);
                text.push('\n');
            }
            text
        }
        (None, Some("json")) => format!("{}\n", to_json(&found, false)),
        (None, _) => format!("{}\n", to_json(&found, true)),
    };
    session.ui.print(&text)?;
    if failed {
        Err(Error::silent(FAILURE))
    } else {
        Ok(())
    }
}

fn object(keeper: &Keeper, name: &str, kind: Option<&str>) -> Result<Shown, Error> {
    match kind {
        Some("image") => keeper.image(name),
        Some(_) => Ok(keeper.container(name)??),
        // A container goes before an image of the same name, as in docker.
        None => match keeper.container(name)? {
            Err(error) if error.is_missing() => match keeper.try_image(name)? {
                Err(error) if error.is_missing() => {
                    Err(Error::new(format!("No such object: {name}")))
                }
                found => Ok(found?),
            },
            found => Ok(found?),
        },
    }
}

/// An array, four spaces deep as docker writes it, or on one line.
fn to_json(objects: &[Shown], pretty: bool) -> String {
    let mut bytes = Vec::new();
    let written = if pretty {
        let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
        let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
        objects.serialize(&mut serializer)
    } else {
        objects.serialize(&mut serde_json::Serializer::new(&mut bytes))
    };
    match written {
        Ok(()) => String::from_utf8_lossy(&bytes).into_owned(),
        // Texts, numbers and maps with text keys are always written.
        Err(_) => String::new(),
    }
}
