//! Where ops were written.

use std::collections::BTreeMap;

use bollard_buildkit_proto::pb;

use crate::error::Problem;
use crate::vertex::{Place, SourceFile};

/// By op where it was written; files are added to `sources`.
pub(crate) fn places(
    definition: &pb::Definition,
    sources: &mut Vec<SourceFile>,
) -> Result<BTreeMap<String, Vec<Place>>, Problem> {
    let Some(source) = &definition.source else {
        return Ok(BTreeMap::new());
    };
    let first = sources.len();
    sources.extend(source.infos.iter().map(|info| SourceFile {
        name: info.filename.clone(),
        data: info.data.clone(),
        language: info.language.clone(),
    }));
    let mut places = BTreeMap::new();
    for (digest, locations) in &source.locations {
        let mut of_op = Vec::new();
        for location in &locations.locations {
            let index = usize::try_from(location.source_index).ok();
            let index = index.filter(|index| *index < source.infos.len());
            let index = index.ok_or(Problem::Index {
                what: "source",
                index: location.source_index.into(),
            })?;
            of_op.extend(location.ranges.iter().map(|range| {
                let at = |position: Option<pb::Position>| {
                    position.map_or((0, 0), |position| (position.line, position.character))
                };
                Place {
                    source: first + index,
                    start: at(range.start),
                    end: at(range.end),
                }
            }));
        }
        places.insert(digest.clone(), of_op);
    }
    Ok(places)
}
