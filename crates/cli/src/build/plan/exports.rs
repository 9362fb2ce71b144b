//! What becomes of the result.

use engine::{
    Annotation, Annotations, ArchiveKind, AttestationFormat, Destination, Export, FilesExport,
    ImageExport, LayerFormat, Times,
};
use oci::Platform;

use crate::args::build::Build;
use crate::environment::Environment;
use crate::error::{CliError, Error};
use crate::values::output;

/// What becomes of the result: an image in the store when nothing else is said.
pub(super) fn exports(typed: &Build, environment: &Environment) -> Result<Vec<Export>, Error> {
    let mut exports = Vec::new();
    for text in &typed.output {
        let output = output::parse(text).map_err(|source| CliError::Flag {
            flag: "--output",
            value: text.clone(),
            source,
        })?;
        exports.push(absolute(output, environment));
    }
    let stores = |export: &Export| matches!(export, Export::Image(_));
    if typed.push {
        let mut pushed = false;
        for export in &mut exports {
            if let Export::Image(image) = export {
                image.push = true;
                pushed = true;
            }
        }
        if !pushed {
            exports.push(image(true));
        }
    }
    let is_kept = typed.load || (exports.is_empty() && !typed.no_output);
    if is_kept && !exports.iter().any(stores) {
        exports.push(image(false));
    }
    annotate(typed, &mut exports)?;
    check_exports(typed, &exports, environment)?;
    Ok(exports)
}

/// All images get what `--annotation` says, beside what their own output says.
fn annotate(typed: &Build, exports: &mut [Export]) -> Result<(), Error> {
    let given = typed.annotation.iter().filter(|text| !text.is_empty());
    for text in given {
        let parsed = Annotation::parse(text);
        let parsed = parsed.map_err(|error| Error::new(error.to_string()))?;
        let mut images = exports
            .iter_mut()
            .filter_map(Export::annotations_mut)
            .peekable();
        if images.peek().is_none() {
            return Err(Error::new(
                "--annotation is for images, and no output is one",
            ));
        }
        images.for_each(|annotations| annotations.extend(parsed.clone()));
    }
    Ok(())
}

fn check_exports(
    typed: &Build,
    exports: &[Export],
    environment: &Environment,
) -> Result<(), Error> {
    let has_no_image = |export: &Export| matches!(export, Export::Files(_));
    if typed.iidfile.is_some() && exports.iter().any(has_no_image) {
        return Err(Error::new(
            "local and tar exporters are incompatible with image ID file",
        ));
    }
    let unnamed = |export: &Export| match export {
        Export::Image(image) => image.push && image.names.is_empty(),
        Export::Archive(_) | Export::Files(_) => false,
    };
    if typed.tag.is_empty() && exports.iter().any(unnamed) {
        return Err(Error::new("tag is needed when pushing to registry"));
    }
    let to_stdout = |export: &&Export| match export {
        Export::Archive(archive) => matches!(archive.destination, Destination::Stdout),
        Export::Files(FilesExport::Tar { destination, .. }) => {
            matches!(destination, Destination::Stdout)
        }
        Export::Image(_) | Export::Files(FilesExport::Directory { .. }) => false,
    };
    let streams = exports.iter().filter(to_stdout).count();
    if streams > 1 {
        return Err(Error::new("only one output can go to standard output"));
    }
    if streams > 0 && environment.terminals.stdout {
        return Err(Error::new(
            "dest file is required for this output: refusing to write to console",
        ));
    }
    if streams > 0 && typed.quiet {
        return Err(Error::new(
            "--quiet prints the image ID where the output goes: name a dest file",
        ));
    }
    Ok(())
}

/// An archive of docker's has no place for several images of one name.
pub(super) fn check_platforms(exports: &[Export], platforms: &[Platform]) -> Result<(), Error> {
    let is_docker = |export: &Export| match export {
        Export::Archive(archive) => archive.kind == ArchiveKind::Docker,
        Export::Image(_) | Export::Files(_) => false,
    };
    if platforms.len() > 1 && exports.iter().any(is_docker) {
        let error = Error::new("an archive of type=docker is for one platform");
        return Err(error.hint("use type=oci, or build for each platform on its own"));
    }
    Ok(())
}

fn image(push: bool) -> Export {
    Export::Image(ImageExport {
        names: Vec::new(),
        push,
        by_digest: false,
        insecure: false,
        store: true,
        layers: LayerFormat::default(),
        attestations: AttestationFormat::IMAGE,
        times: Times::default(),
        annotations: Annotations::default(),
    })
}

fn absolute(export: Export, environment: &Environment) -> Export {
    let place = |destination| match destination {
        Destination::File(path) => Destination::File(environment.absolute(&path)),
        Destination::Directory(path) => Destination::Directory(environment.absolute(&path)),
        Destination::Stdout | Destination::Stream(_) => destination,
    };
    match export {
        Export::Archive(mut archive) => {
            archive.destination = place(archive.destination);
            Export::Archive(archive)
        }
        Export::Files(FilesExport::Directory {
            path,
            split,
            latest,
            statement_prefix,
        }) => Export::Files(FilesExport::Directory {
            path: environment.absolute(&path),
            split,
            latest,
            statement_prefix,
        }),
        Export::Files(FilesExport::Tar {
            destination,
            latest,
            statement_prefix,
        }) => Export::Files(FilesExport::Tar {
            destination: place(destination),
            latest,
            statement_prefix,
        }),
        Export::Image(image) => Export::Image(image),
    }
}
