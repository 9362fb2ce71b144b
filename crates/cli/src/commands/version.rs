//! `kiln version`.

use serde_json::json;

use super::session::Session;
use crate::args::system::Version;
use crate::error::{CliError, Error};
use crate::ui::template::Template;

/// Shows the version.
pub(super) fn run(session: &mut Session<'_, '_>, args: &Version) -> Result<(), Error> {
    let version = env!("CARGO_PKG_VERSION");
    let platform = oci::Platform::host();
    let value = json!({
        "Client": {
            "Version": version,
            "Os": platform.os,
            "Arch": platform.architecture,
        },
    });
    match args.format.as_deref() {
        None | Some("") => session.ui.line(&format!(
            "Client: kiln\n Version:    {version}\n OS/Arch:    {platform}"
        )),
        Some("json") => session.ui.line(&value.to_string()),
        Some(template) => {
            let template = Template::parse(template).map_err(CliError::from)?;
            session
                .ui
                .line(&template.render(&value).map_err(CliError::from)?)
        }
    }
}
