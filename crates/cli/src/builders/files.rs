//! Files of at most a few bytes.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::BuildersError;

/// As a file has it.
pub(super) fn json(path: &Path, value: &impl Serialize) -> Result<Vec<u8>, BuildersError> {
    let path = path.to_path_buf();
    serde_json::to_vec(value).map_err(|source| BuildersError::Malformed { path, source })
}

/// The document in a file that is there.
pub(super) fn document<T: DeserializeOwned>(
    path: &Path,
    most: u64,
) -> Result<Option<T>, BuildersError> {
    let Some(bytes) = read(path, most)? else {
        return Ok(None);
    };
    let path = path.to_path_buf();
    let parsed = serde_json::from_slice(&bytes);
    Ok(Some(parsed.map_err(|source| BuildersError::Malformed {
        path,
        source,
    })?))
}

/// All of a file that is there.
pub(super) fn read(path: &Path, most: u64) -> Result<Option<Vec<u8>>, BuildersError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(failed("open", path, source)),
    };
    let mut bytes = Vec::new();
    let read = file.take(most + 1).read_to_end(&mut bytes);
    read.map_err(|source| failed("read", path, source))?;
    if bytes.len() as u64 > most {
        let path = path.to_path_buf();
        return Err(BuildersError::Large { path, most });
    }
    Ok(Some(bytes))
}

/// That something is not there is as good as its removal.
pub(super) fn gone(removed: io::Result<()>, path: &Path) -> Result<(), BuildersError> {
    match removed {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(failed("remove", path, source))
        }
        _ => Ok(()),
    }
}

/// A file with which something did not go well.
pub(super) fn failed(action: &'static str, path: &Path, source: io::Error) -> BuildersError {
    let path = path.to_path_buf();
    BuildersError::File {
        action,
        path,
        source,
    }
}
