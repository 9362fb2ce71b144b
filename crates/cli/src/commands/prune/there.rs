//! Prunes of a daemon, which decides by the same filters what goes.

use std::fmt::Write as _;
use std::time::UNIX_EPOCH;

use api::docker::DeletedImage;
use client::messages::PruneRequest;
use client::{Docker, PruneAnswer};
use serde_json::{Map, Value, json};

use super::request::{Filters, Scope};
use super::{Detail, Report, headed};
use crate::args::prune::Care;
use crate::commands::elsewhere;
use crate::commands::session::{Session, block_on};
use crate::error::Error;
use crate::keeper::KeeperError;
use crate::remote::{self, Host};

/// No daemon says what it would remove.
pub(super) fn refuse_dry_run(care: Care) -> Result<(), Error> {
    match care.dry_run {
        true => Err(remote::refuse("--dry-run", "`kiln du` shows what it keeps")),
        false => Ok(()),
    }
}

/// A daemon that is to remove something.
pub(super) struct Prune {
    docker: Docker,
    host: Host,
}

impl Prune {
    pub(super) fn new(host: Host, care: Care) -> Result<Self, Error> {
        refuse_dry_run(care)?;
        Ok(Self {
            docker: Docker::new(host.address.clone()),
            host,
        })
    }

    /// Removes containers and images as far as `scope` goes, and what `cache` says of the cache.
    pub(super) fn system(
        &self,
        session: &mut Session<'_, '_>,
        filters: &Filters,
        all: bool,
        scope: Scope,
        cache: Option<PruneRequest>,
    ) -> Result<(), Error> {
        let mut bytes = 0_u64;
        if scope != Scope::Cache {
            let gone = self.ask("containers", conditions(filters))?;
            let ids = gone.containers_deleted.unwrap_or_default();
            let lines: String = ids.iter().map(|id| format!("{id}\n")).collect();
            session.ui.print(&headed("Deleted", "Containers", &lines))?;
            // A daemon may say any number.
            bytes = gone.space_reclaimed;
            bytes = bytes.saturating_add(self.remove_images(session, filters, all)?);
        }
        let (rows, cache) = match cache {
            Some(request) => elsewhere::pruned(&self.host, request)?,
            None => (Vec::new(), 0),
        };
        Report::DELETED.tell(session, Detail::Ids, rows, bytes.saturating_add(cache))
    }

    /// Removes images.
    pub(super) fn images(
        &self,
        session: &mut Session<'_, '_>,
        filters: &Filters,
        all: bool,
    ) -> Result<(), Error> {
        let bytes = self.remove_images(session, filters, all)?;
        Report::DELETED.tell(session, Detail::None, Vec::new(), bytes)
    }

    /// Shows which images went; their bytes.
    fn remove_images(
        &self,
        session: &mut Session<'_, '_>,
        filters: &Filters,
        all: bool,
    ) -> Result<u64, Error> {
        let mut conditions = conditions(filters);
        conditions.insert("dangling".to_owned(), json!([(!all).to_string()]));
        let gone = self.ask("images", conditions)?;
        let mut lines = String::new();
        for one in gone.images_deleted.unwrap_or_default() {
            let _ = match one {
                DeletedImage::Untagged(name) => writeln!(lines, "untagged: {name}"),
                DeletedImage::Deleted(id) => writeln!(lines, "deleted: {id}"),
            };
        }
        session.ui.print(&headed("Deleted", "Images", &lines))?;
        Ok(gone.space_reclaimed)
    }

    fn ask(&self, kind: &str, conditions: Map<String, Value>) -> Result<PruneAnswer, Error> {
        let conditions = Value::Object(conditions).to_string();
        let answer = block_on(self.docker.prune(kind, &conditions))?;
        Ok(answer.map_err(KeeperError::from)?)
    }
}

/// Filters as the API has them.
fn conditions(filters: &Filters) -> Map<String, Value> {
    let mut conditions = Map::new();
    if let Some(until) = filters.until {
        let since = until.duration_since(UNIX_EPOCH).unwrap_or_default();
        conditions.insert("until".to_owned(), json!([since.as_secs().to_string()]));
    }
    for (name, is_wanted) in [("label", true), ("label!", false)] {
        let labels = filters.labels.iter();
        let labels = labels.filter(|label| label.is_wanted == is_wanted);
        let texts: Vec<&str> = labels.map(|label| label.text.as_str()).collect();
        if !texts.is_empty() {
            conditions.insert(name.to_owned(), json!(texts));
        }
    }
    conditions
}
