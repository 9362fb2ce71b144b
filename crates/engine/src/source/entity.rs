//! What servers name their files: one that says the name again need not send the file again.

use graph::{ContentHash as _, ContentHasher, HttpSource};
use oci::Digest;
use reqwest::Method;
use reqwest::header::{ETAG, HeaderMap, IF_NONE_MATCH};
use serde::{Deserialize, Serialize};
use store::{Key, NewRecord, RecordKind};

use super::http::Fetched;
use crate::engine::Inner;
use crate::error::EngineError;
use crate::session::Session;

/// Longer names are not remembered.
const MAX_NAME: usize = 1024;

/// What is kept of an answer.
#[derive(Serialize, Deserialize)]
struct Remembered {
    entity: String,
    digest: Digest,
    modified: Option<i64>,
}

/// The name in an answer. That it may stand for files that only mean the same is of no account.
pub(super) fn entity(headers: &HeaderMap) -> Option<String> {
    let name = headers.get(ETAG)?.to_str().ok()?.trim();
    let name = name.strip_prefix("W/").unwrap_or(name);
    (!name.is_empty() && name.len() <= MAX_NAME).then(|| name.to_owned())
}

impl Inner {
    /// What the URL stood for the last time, if its server says that this is still the same. One that
    /// does not answer is asked for the file.
    pub(super) async fn unchanged(
        &self,
        source: &HttpSource,
        session: &Session,
    ) -> Result<Option<Fetched>, EngineError> {
        let record = self.store.records().take(&self.lease, &key(source))?;
        let known = record.and_then(|record| serde_json::from_slice(&record.value).ok());
        let Some(known): Option<Remembered> = known else {
            return Ok(None);
        };
        let request = self
            .request(Method::HEAD, source, session)?
            .header(IF_NONE_MATCH, &known.entity);
        let Ok(answer) = request.send().await else {
            return Ok(None);
        };
        let says_so = match answer.status().as_u16() {
            200 => entity(answer.headers()).is_some_and(|named| named == known.entity),
            304 => entity(answer.headers()).is_none_or(|named| named == known.entity),
            _ => false,
        };
        Ok(says_so.then_some(Fetched {
            digest: known.digest,
            modified: known.modified,
        }))
    }

    /// Keeps what the server named what it gave, if it did.
    pub(super) fn remember(
        &self,
        source: &HttpSource,
        entity: Option<String>,
        fetched: &Fetched,
    ) -> Result<(), EngineError> {
        let Some(entity) = entity else {
            return Ok(());
        };
        let remembered = Remembered {
            entity,
            digest: fetched.digest,
            modified: fetched.modified,
        };
        let Ok(value) = serde_json::to_vec(&remembered) else {
            return Ok(());
        };
        let record = NewRecord {
            kind: RecordKind::Internal,
            value: &value,
            ..NewRecord::default()
        };
        Ok(self
            .store
            .records()
            .put(&self.lease, &key(source), record)?)
    }
}

/// All that a server hears, but for what is secret: who may have the file hears no more of it.
fn key(source: &HttpSource) -> Key {
    let mut hasher = ContentHasher::new("http entity");
    source.url.feed(&mut hasher);
    source.headers.feed(&mut hasher);
    source.secret.feed(&mut hasher);
    *hasher.finish().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_entities() {
        for (header, expected) in [
            ("\"a\"", Some("\"a\"")),
            ("W/\"a\"", Some("\"a\"")),
            (" bare ", Some("bare")),
            ("W/", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(ETAG, header.parse().unwrap())]);
            assert_eq!(entity(&headers).as_deref(), expected, "{header}");
        }
        assert_eq!(entity(&HeaderMap::new()), None);
    }
}
