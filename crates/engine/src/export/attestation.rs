//! Statements about images as in-toto has them, and the manifests that attach them to an image.

use std::collections::BTreeMap;
use std::sync::Arc;

use oci::{
    Descriptor, DiffId, Digest, ImageConfig, Manifest, MediaType, Platform, Reference, RootFs,
    annotation,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::assemble::to_json;
use super::pack::Written;
use crate::error::EngineError;
use crate::purl::purl;

/// What kind of document a statement is.
const STATEMENT: &str = "https://in-toto.io/Statement/v1";
/// The media type of a statement.
pub(crate) const PAYLOAD: &str = "application/vnd.in-toto+json";
/// What kind of artifact a manifest of statements is.
const ARTIFACT: &str = "application/vnd.docker.attestation.manifest.v1+json";
/// The media type of a config that says nothing.
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// What an index says of a manifest that is about another one.
const ATTACHED: &str = "attestation-manifest";

/// What is stated about something that a build made.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Attestation {
    /// What kind of statement it is, as a URI.
    pub(crate) predicate_type: String,
    pub(crate) predicate: Arc<Value>,
    /// What it is about; what was made when empty.
    pub(crate) subjects: Vec<Subject>,
    /// Only for images, and for those that have an index in any case.
    pub(crate) inline_only: bool,
    /// What it is called beside files.
    pub(crate) file_name: String,
    /// It says what is in the image itself.
    pub(crate) is_core: bool,
}

/// A statement, as it is written and read.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Statement<P> {
    #[serde(rename = "_type")]
    kind: String,
    #[serde(rename = "predicateType")]
    pub(crate) predicate_type: String,
    pub(crate) subject: Vec<Subject>,
    pub(crate) predicate: P,
}

/// What a statement is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Subject {
    pub(crate) name: String,
    pub(crate) digest: BTreeMap<String, String>,
}

/// The statements about one image, with what attaches them to it.
#[derive(Debug, Clone)]
pub(crate) struct Attached {
    pub(crate) config: Written,
    pub(crate) statements: Vec<Written>,
    /// Its descriptor is the entry of the index.
    pub(crate) manifest: Written,
}

impl Attestation {
    /// The same as a statement, about `made` if it says nothing else.
    pub(crate) fn statement(&self, made: &[Subject]) -> Statement<&Value> {
        let subject = match self.subjects.as_slice() {
            [] => made,
            own => own,
        };
        Statement {
            kind: STATEMENT.to_owned(),
            predicate_type: self.predicate_type.clone(),
            subject: subject.to_vec(),
            predicate: &self.predicate,
        }
    }
}

impl Subject {
    pub(crate) fn new(name: String, digest: &Digest) -> Self {
        Self {
            name,
            digest: BTreeMap::from([("sha256".to_owned(), digest.hex())]),
        }
    }
}

/// Attaches statements to `image`, which has these names: as an artifact that refers to it, or else
/// as an image of no platform.
pub(crate) fn attach(
    image: &Descriptor,
    platform: &Platform,
    names: &[Reference],
    attestations: &[Attestation],
    artifact: bool,
) -> Result<Attached, EngineError> {
    let named = |name| Subject::new(purl("docker", name, Some(platform)), &image.digest);
    let subject: Vec<Subject> = names.iter().map(named).collect();
    let statements = attestations.iter().map(|attestation| {
        let mut statement = Written::of(
            MediaType::Other(PAYLOAD.into()),
            to_json(&attestation.statement(&subject))?,
        );
        let kind = attestation.predicate_type.clone();
        let annotations = &mut statement.descriptor.annotations;
        annotations.insert(annotation::PREDICATE_TYPE.to_owned(), kind);
        Ok(statement)
    });
    let statements: Vec<Written> = statements.collect::<Result<_, EngineError>>()?;
    let config = config(&statements, artifact)?;
    let layers = statements.iter().map(|one| one.descriptor.clone());
    let manifest = to_json(&Manifest {
        schema_version: 2,
        media_type: Some(MediaType::OciManifest),
        artifact_type: artifact.then(|| ARTIFACT.to_owned()),
        config: config.descriptor.clone(),
        layers: layers.collect(),
        subject: artifact.then(|| Box::new(bare(image))),
        annotations: BTreeMap::new(),
    })?;
    Ok(Attached {
        config,
        statements,
        manifest: entry(Written::of(MediaType::OciManifest, manifest), image),
    })
}

fn config(statements: &[Written], artifact: bool) -> Result<Written, EngineError> {
    if artifact {
        return Ok(Written::of(MediaType::Other(EMPTY.into()), b"{}".to_vec()));
    }
    let diff_ids = statements.iter().map(|one| DiffId(one.descriptor.digest));
    let config = to_json(&ImageConfig {
        architecture: "unknown".to_owned(),
        os: "unknown".to_owned(),
        rootfs: RootFs {
            diff_ids: diff_ids.collect(),
            ..RootFs::default()
        },
        ..ImageConfig::default()
    })?;
    Ok(Written::of(MediaType::OciConfig, config))
}

/// How the index names the manifest.
fn entry(mut manifest: Written, image: &Descriptor) -> Written {
    let descriptor = &mut manifest.descriptor;
    descriptor.platform = Some(Platform {
        architecture: "unknown".to_owned(),
        os: "unknown".to_owned(),
        os_version: String::new(),
        os_features: Vec::new(),
        variant: String::new(),
    });
    descriptor.annotations = BTreeMap::from([
        (
            annotation::REFERENCE_DIGEST.to_owned(),
            image.digest.to_string(),
        ),
        (annotation::REFERENCE_TYPE.to_owned(), ATTACHED.to_owned()),
    ]);
    manifest
}

fn bare(image: &Descriptor) -> Descriptor {
    Descriptor::new(image.media_type.clone(), image.digest, image.size)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The manifest and its entry in the index, with the bytes that it leads to.
    fn attached(artifact: bool) -> [String; 4] {
        let image = Descriptor::of(MediaType::OciManifest, b"an image");
        let names = [
            "a:1".parse().unwrap(),
            "localhost:5000/b:2".parse().unwrap(),
        ];
        let stated = Attestation {
            predicate_type: "https://slsa.dev/provenance/v1".to_owned(),
            predicate: Arc::new(serde_json::json!({"b": [1], "a": "<x>"})),
            inline_only: true,
            subjects: Vec::new(),
            is_core: false,
            file_name: "provenance.json".to_owned(),
        };
        let platform = "linux/arm64".parse().unwrap();
        let attached = attach(&image, &platform, &names, &[stated], artifact).unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let entry = serde_json::to_string(&attached.manifest.descriptor).unwrap();
        [
            text(&attached.statements[0].bytes),
            text(&attached.config.bytes),
            text(&attached.manifest.bytes),
            entry,
        ]
    }

    /// The digests of the image, of the statement and of the older form's config.
    const DIGESTS: [(&str, &str); 3] = [
        (
            "IMAGE",
            "a5df3fde7b200c3fa2791144c7e05c5c2bced4c6ad863d3a4cf76c972c1712f9",
        ),
        (
            "STATEMENT",
            "6c7b6d10f5586ce5a158c09b3c9d4ddbba14d15268f8fad2b1004d6fbf8cd2d4",
        ),
        (
            "EMPTY",
            "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
        ),
    ];

    fn short(text: &str) -> String {
        let replace = |text: String, (name, digest): &(&str, &str)| text.replace(digest, name);
        DIGESTS.iter().fold(text.to_owned(), replace)
    }

    #[test]
    fn statements_name_the_image_by_each_of_its_names() {
        let [statement, ..] = attached(true);
        assert_eq!(
            short(&statement),
            concat!(
                r#"{"_type":"https://in-toto.io/Statement/v1","#,
                r#""predicateType":"https://slsa.dev/provenance/v1","subject":["#,
                r#"{"name":"pkg:docker/a@1?platform=linux%2Farm64","digest":{"sha256":"IMAGE"}},"#,
                r#"{"name":"pkg:docker/localhost%3A5000/b@2?platform=linux%2Farm64","#,
                r#""digest":{"sha256":"IMAGE"}}],"predicate":{"a":"\u003cx\u003e","b":[1]}}"#,
            )
        );
    }

    #[test]
    fn an_artifact_refers_to_its_image() {
        let [_, config, manifest, entry] = attached(true);
        assert_eq!(config, "{}");
        assert_eq!(
            short(&manifest),
            concat!(
                r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","#,
                r#""artifactType":"application/vnd.docker.attestation.manifest.v1+json","#,
                r#""config":{"mediaType":"application/vnd.oci.empty.v1+json","#,
                r#""digest":"sha256:EMPTY","size":2},"#,
                r#""layers":[{"mediaType":"application/vnd.in-toto+json","#,
                r#""digest":"sha256:STATEMENT","size":435,"#,
                r#""annotations":{"in-toto.io/predicate-type":"https://slsa.dev/provenance/v1"}}],"#,
                r#""subject":{"mediaType":"application/vnd.oci.image.manifest.v1+json","#,
                r#""digest":"sha256:IMAGE","size":8}}"#,
            )
        );
        assert_eq!(entry_without_digest(&entry, &manifest), ENTRY);
    }

    #[test]
    fn the_older_form_is_an_image_of_no_platform() {
        let [_, config, manifest, entry] = attached(false);
        assert_eq!(
            short(&config),
            concat!(
                r#"{"architecture":"unknown","os":"unknown","config":{},"#,
                r#""rootfs":{"type":"layers","diff_ids":["sha256:STATEMENT"]}}"#
            )
        );
        let of_config = Digest::of(config.as_bytes()).to_string();
        assert_eq!(
            short(&manifest).replace(&of_config, "CONFIG"),
            concat!(
                r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","#,
                r#""config":{"mediaType":"application/vnd.oci.image.config.v1+json","#,
                r#""digest":"CONFIG","size":167},"#,
                r#""layers":[{"mediaType":"application/vnd.in-toto+json","#,
                r#""digest":"sha256:STATEMENT","size":435,"#,
                r#""annotations":{"in-toto.io/predicate-type":"https://slsa.dev/provenance/v1"}}]}"#,
            )
        );
        assert_eq!(entry_without_digest(&entry, &manifest), ENTRY);
    }

    const ENTRY: &str = concat!(
        r#"{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"MANIFEST","#,
        r#""size":0,"annotations":{"vnd.docker.reference.digest":"sha256:IMAGE","#,
        r#""vnd.docker.reference.type":"attestation-manifest"},"#,
        r#""platform":{"architecture":"unknown","os":"unknown"}}"#,
    );

    /// Without what is about the bytes of the manifest.
    fn entry_without_digest(entry: &str, manifest: &str) -> String {
        let digest = Digest::of(manifest.as_bytes()).to_string();
        let size = format!("\"size\":{}", manifest.len());
        short(
            &entry
                .replace(&digest, "MANIFEST")
                .replace(&size, "\"size\":0"),
        )
    }
}
