//! `kiln imagetools inspect`.

use engine::{EngineError, ImageTools, Inspected, Statements};

use super::{filled, json, reference, text, tools};
use crate::args::imagetools::Inspect;
use crate::commands::session::{Session, block_on};
use crate::error::{CliError, Error};
use crate::ui::template::Template;

/// Shows what a name leads to.
pub(super) fn run(session: &mut Session<'_, '_>, args: &Inspect) -> Result<(), Error> {
    let format = args.format.as_deref().filter(|format| !format.is_empty());
    if format.is_some() && args.raw {
        return Err(CliError::Conflict("--format", "--raw").into());
    }
    let template = format.filter(|format| !is_whole(format));
    let template = template.map(|text| Template::parse(text).map(|parsed| (text, parsed)));
    let template = template.transpose().map_err(CliError::from)?;
    let (name, tools) = (reference(&args.name)?, tools(session)?);
    let found = block_on(tools.inspect(&name))??;
    if args.raw {
        return session.ui.bytes(&found.bytes);
    }
    let Some((format, template)) = template else {
        return session.ui.print(&text::listing(&found));
    };
    let value = block_on(value(&tools, &found, &args.name, format))??;
    let shown = template.render_with(&value, json::indented);
    session.ui.print(&shown.map_err(CliError::from)?)
}

/// Whether the text that is shown without a template is asked for.
fn is_whole(format: &str) -> bool {
    let action = format.trim().strip_prefix("{{");
    let action = action.and_then(|rest| rest.strip_suffix("}}"));
    action.is_some_and(|field| field.trim() == ".Manifest")
}

/// What a template is filled in from. Statements are fetched if it has a word for them.
async fn value(
    tools: &ImageTools,
    found: &Inspected,
    name: &str,
    format: &str,
) -> Result<serde_json::Value, EngineError> {
    let wanted = Statements {
        provenance: format.contains(filled::PROVENANCE),
        sbom: format.contains(filled::SBOM),
    };
    let images = tools.images(found, wanted).await?;
    Ok(filled::value(name, found, &images, wanted))
}
