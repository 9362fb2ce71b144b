//! The file with rules about sources that the environment names, as for buildx.

use std::path::Path;

use daemon::SourceRules;

use crate::environment::Environment;
use crate::error::Error;

/// The variable that names it.
const NAME: &str = "EXPERIMENTAL_BUILDKIT_SOURCE_POLICY";
/// More than any policy has.
const MAX_FILE: u64 = 16 << 20;

/// The rules that builds keep to; all sources may be had when there are none.
///
/// # Errors
/// The file cannot be read, or holds no rules.
pub(crate) fn source_rules(environment: &Environment) -> Result<Option<SourceRules>, Error> {
    let Some(path) = environment.text(NAME)?.filter(|path| !path.is_empty()) else {
        return Ok(None);
    };
    let path = environment.absolute(Path::new(&path));
    let bytes = read(&path).map_err(|error| {
        Error::new(format!(
            "failed to read policy file {}: {error}",
            path.display()
        ))
    })?;
    let rules = SourceRules::parse(&bytes).map_err(|error| {
        let error = Error::new(error.to_string());
        error.context(&format!("failed to parse {}", path.display()))
    })?;
    Ok(Some(rules))
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?
        .take(MAX_FILE)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}
