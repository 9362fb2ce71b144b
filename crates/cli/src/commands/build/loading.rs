//! What a builder under a name makes is not where images are kept: what is to be there comes as an
//! archive and is loaded.

use std::fs::File;
use std::path::PathBuf;

use engine::{
    Annotations, ArchiveExport, ArchiveKind, AttestationFormat, BuildRequest, Destination, Export,
    ImageExport, LayerFormat, Times,
};
use oci::Compression;
use tempfile::TempDir;

use crate::args::build::Build;
use crate::commands::session::Session;
use crate::error::{CliError, Error};
use crate::remote::Builder;
use crate::rootless;
use crate::values::csv;

/// Archives that are to be loaded.
#[derive(Debug)]
pub(in crate::commands) struct Loading {
    directory: TempDir,
    count: usize,
}

impl Loading {
    /// Has the images come as archives that `typed` wants where images are kept; none if it wants
    /// none there, or the builder keeps them itself.
    pub(in crate::commands) fn of(
        session: &Session<'_, '_>,
        builder: &Builder,
        typed: &Build,
        request: &mut BuildRequest,
    ) -> Result<Option<Self>, Error> {
        let places = match &builder.name {
            Some(_) => places(builder, typed, &mut request.exports),
            None => Vec::new(),
        };
        if places.is_empty() {
            return Ok(None);
        }
        let kind = match session.host()? {
            Some(_) => ArchiveKind::Docker,
            None => {
                rootless::enter(session.environment)?;
                ArchiveKind::Oci
            }
        };
        let mut loading = Self {
            directory: tempfile::tempdir().map_err(|error| {
                Error::new(format!("cannot make a temporary directory: {error}"))
                    .hint("set TMPDIR to a directory that can be written")
            })?,
            count: 0,
        };
        for place in places {
            let of = match &request.exports[place] {
                Export::Image(image) => Some(image.clone()),
                Export::Archive(_) | Export::Files(_) => None,
            };
            request.exports[place] = loading.archive(kind, of);
        }
        Ok(Some(loading))
    }

    /// An archive in the place of the export `of` an image.
    fn archive(&mut self, kind: ArchiveKind, of: Option<ImageExport>) -> Export {
        let (names, times, annotations) = of.map_or_else(Default::default, |image| {
            (image.names, image.times, image.annotations)
        });
        let path = self.path(self.count);
        self.count += 1;
        Export::Archive(ArchiveExport {
            kind,
            names,
            destination: Destination::File(path),
            // It goes no further than to a file beside.
            layers: LayerFormat {
                compression: Compression::Uncompressed,
                oci_media_types: kind == ArchiveKind::Oci,
                ..LayerFormat::default()
            },
            attestations: AttestationFormat::ARCHIVE,
            times,
            annotations,
        })
    }

    /// Loads what has come.
    pub(in crate::commands) fn finish(&self, session: &Session<'_, '_>) -> Result<(), Error> {
        for number in 0..self.count {
            let path = self.path(number);
            let archive = File::open(&path).map_err(|source| CliError::File {
                action: "open",
                path,
                source,
            })?;
            session.keeper()?.load(archive, |_| Ok(()))?;
        }
        Ok(())
    }

    fn path(&self, number: usize) -> PathBuf {
        self.directory.path().join(format!("{number}.tar"))
    }
}

/// Which of the exports are images that are to be loaded; one is added where none is.
fn places(builder: &Builder, typed: &Build, exports: &mut Vec<Export>) -> Vec<usize> {
    // Those that were typed come first, in their order.
    let typed_ones = typed.output.iter().enumerate();
    let mut places: Vec<usize> = typed_ones
        .filter(|(_, text)| is_docker(text))
        .map(|(place, _)| place)
        .filter(|place| *place < exports.len())
        .collect();
    let by_default = builder.nodes.iter().any(|node| node.default_load);
    let has_none = typed.output.is_empty() && !typed.push && !typed.no_output;
    let is_wanted = typed.load || by_default && has_none;
    if !is_wanted {
        return places;
    }
    let is_own = |export: &Export| matches!(export, Export::Image(image) if !image.push);
    match exports.get(typed.output.len()..) {
        // What nothing else was typed for.
        Some([.., last]) if is_own(last) => places.push(exports.len() - 1),
        _ => {
            places.push(exports.len());
            exports.push(Export::Image(ImageExport {
                names: Vec::new(),
                push: false,
                by_digest: false,
                insecure: false,
                store: true,
                layers: LayerFormat::default(),
                attestations: AttestationFormat::IMAGE,
                times: Times::default(),
                annotations: Annotations::default(),
            }));
        }
    }
    places
}

/// Whether an output is an image where docker has its images.
fn is_docker(text: &str) -> bool {
    let pairs = csv::pairs(text).unwrap_or_default();
    let has = |name: &str, is: &dyn Fn(&str) -> bool| {
        let mut pairs = pairs.iter();
        pairs.any(|(key, value)| key == name && is(value.as_deref().unwrap_or_default()))
    };
    has("type", &|kind| kind == "docker") && !has("dest", &|_| true)
}
