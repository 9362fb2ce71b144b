//! Images as archives: an OCI layout in a tar or a directory, with the documents that
//! `docker load` reads beside it.
//!
//! Members come in a fixed order with fixed times, so the same image is the same archive.

use std::io::{self, BufReader, BufWriter, Write};
use std::path::Path;

use oci::{Digest, Index, MediaType, Reference, annotation, docker_archive};
use snapshot::Time;
use snapshot::tar::{EntryKind, Header, Writer};

use super::assemble::to_json;
use super::{Draft, Packed};
use crate::clock::{from_epoch, rfc3339};
use crate::engine::Inner;
use crate::error::EngineError;
use crate::request::ArchiveKind;

/// Leads to all else of a layout.
const INDEX: &str = "index.json";

/// Bytes that are read or written at once.
const BUFFER: usize = 1 << 20;

/// What an archive holds.
#[derive(Debug)]
pub(crate) struct ArchiveImage {
    /// The store has the blobs of its layers.
    pub(crate) packed: Packed,
    pub(crate) names: Vec<Reference>,
    /// When it was made, in seconds since 1970, as far as that is said.
    pub(crate) date: Option<i64>,
}

/// A file of the layout.
struct Member {
    path: String,
    content: Content,
}

enum Content {
    Directory,
    Bytes(Vec<u8>),
    Blob(Digest, u64),
}

impl Inner {
    /// Writes the archive to `output`.
    pub(crate) fn write_archive(
        &self,
        images: &[ArchiveImage],
        kind: ArchiveKind,
        output: &mut (dyn Write + Send),
    ) -> Result<(), EngineError> {
        let mut tar = Writer::new(BufWriter::with_capacity(BUFFER, output));
        for member in members(images, kind)? {
            self.write_member(&mut tar, &member)?;
        }
        tar.finish()?;
        Ok(())
    }

    /// Writes the same as a directory. Each file is there whole or not at all, the index last.
    pub(crate) fn write_layout(
        &self,
        images: &[ArchiveImage],
        directory: &Path,
        draft: &Draft,
    ) -> Result<(), EngineError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| EngineError::WriteFile { path, source }
        };
        std::fs::create_dir_all(directory).map_err(failed(directory))?;
        let mut members = members(images, ArchiveKind::Oci)?;
        members.sort_by_key(|member| member.path == INDEX);
        for Member { path, content } in members {
            let path = directory.join(path);
            store::fail::point("write a layout").map_err(failed(&path))?;
            match content {
                Content::Directory => std::fs::create_dir_all(&path).map_err(failed(&path))?,
                Content::Bytes(bytes) => draft.replace(&path, |file| {
                    file.write_all(&bytes)
                        .map_err(|source| EngineError::Write { source })
                })?,
                Content::Blob(digest, _) => {
                    let mut blob = self.store.blobs().open(&digest)?;
                    draft.replace(&path, |file| {
                        io::copy(&mut blob, file)
                            .map_err(|source| EngineError::Write { source })?;
                        Ok(())
                    })?;
                }
            }
        }
        Ok(())
    }

    fn write_member<W: Write>(
        &self,
        tar: &mut Writer<W>,
        member: &Member,
    ) -> Result<(), EngineError> {
        let (kind, mode, size) = match &member.content {
            Content::Directory => (EntryKind::Directory, 0o755, 0),
            Content::Bytes(bytes) => (EntryKind::File, 0o644, bytes.len() as u64),
            Content::Blob(_, size) => (EntryKind::File, 0o644, *size),
        };
        let header = Header {
            path: member.path.clone().into(),
            kind,
            mode,
            uid: 0,
            gid: 0,
            size,
            modified: Time::default(),
            xattrs: Vec::new(),
        };
        let write = |source| EngineError::Write { source };
        store::fail::point("write an archive").map_err(write)?;
        tar.entry(&header)?;
        match &member.content {
            Content::Directory => {}
            Content::Bytes(bytes) => tar.write_all(bytes).map_err(write)?,
            Content::Blob(digest, _) => {
                // Parts as large as the buffer of the output pass by it.
                let blob = self.store.blobs().open(digest)?;
                let mut blob = BufReader::with_capacity(BUFFER, blob);
                io::copy(&mut blob, tar).map_err(write)?;
            }
        }
        Ok(())
    }
}

fn members(images: &[ArchiveImage], kind: ArchiveKind) -> Result<Vec<Member>, EngineError> {
    let directory = |path: &str| Member {
        path: path.to_owned(),
        content: Content::Directory,
    };
    let mut members = vec![directory("blobs"), directory("blobs/sha256")];
    let mut blobs = Vec::new();
    for packed in images.iter().map(|image| &image.packed) {
        let layers = packed.images.iter().flat_map(|image| &image.layers);
        blobs.extend(layers.map(|(l, _)| (l.digest, Content::Blob(l.digest, l.size))));
        let documents = packed.blobs().chain(packed.manifests());
        blobs.extend(documents.map(|(of, bytes)| (of.digest, Content::Bytes(bytes.to_vec()))));
    }
    blobs.sort_by_key(|(digest, _)| *digest);
    blobs.dedup_by_key(|(digest, _)| *digest);
    members.extend(blobs.into_iter().map(|(digest, content)| Member {
        path: blob_path(&digest),
        content,
    }));
    let mut file = |path: &str, bytes| {
        members.push(Member {
            path: path.to_owned(),
            content: Content::Bytes(bytes),
        });
    };
    file(INDEX, to_json(&index(images))?);
    if kind == ArchiveKind::Docker {
        file(
            "manifest.json",
            to_json(&images.iter().map(docker_entry).collect::<Vec<_>>())?,
        );
    }
    file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec());
    Ok(members)
}

fn blob_path(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// One entry for each name, since tools look images up by it.
fn index(images: &[ArchiveImage]) -> Index {
    let mut manifests = Vec::new();
    for image in images {
        let mut descriptor = image.packed.top().clone();
        if let Some(date) = image.date {
            let date = rfc3339(from_epoch(date));
            let created = annotation::CREATED.to_owned();
            descriptor.annotations.insert(created, date);
        }
        if image.names.is_empty() {
            manifests.push(descriptor.clone());
        }
        for name in &image.names {
            let mut descriptor = descriptor.clone();
            let tag = name.tag().unwrap_or("latest").to_owned();
            descriptor
                .annotations
                .insert(annotation::IMAGE_NAME.to_owned(), name.to_string());
            descriptor
                .annotations
                .insert(annotation::REF_NAME.to_owned(), tag);
            manifests.push(descriptor);
        }
    }
    Index {
        schema_version: 2,
        media_type: Some(MediaType::OciIndex),
        artifact_type: None,
        manifests,
        subject: None,
        annotations: std::collections::BTreeMap::new(),
    }
}

/// `docker load` reads the first image only; whoever needs several was told before.
fn docker_entry(image: &ArchiveImage) -> docker_archive::Entry {
    let names: Vec<String> = image.names.iter().map(Reference::familiar).collect();
    let layers = image.packed.images[0].layers.iter();
    docker_archive::Entry {
        config: blob_path(&image.packed.id()),
        repo_tags: (!names.is_empty()).then_some(names),
        layers: layers.map(|(layer, _)| blob_path(&layer.digest)).collect(),
    }
}
