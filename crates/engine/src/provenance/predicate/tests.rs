//! Whole predicates.

use std::time::Duration;

use super::*;

fn time(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn capture(options: &[(&str, &str)]) -> Capture {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let dependency = |uri: &str, algorithm, digest: &str| {
        let dependency = Dependency::new(uri.to_owned(), algorithm, digest.to_owned());
        (uri.to_owned(), dependency)
    };
    Capture {
        asked: Asked {
            frontend: "dockerfile.v0".to_owned(),
            options: options.iter().map(owned).collect(),
        },
        images: BTreeMap::from([dependency("pkg:docker/a@1", "sha256", "11")]),
        git: BTreeMap::from([dependency("https://host/r.git#main", "sha1", "22")]),
        http: BTreeMap::from([dependency("https://host/f", "sha256", "33")]),
        secrets: BTreeMap::from([("token".to_owned(), true), ("more".to_owned(), false)]),
        ssh: BTreeMap::from([("default".to_owned(), false)]),
        dockerfile: Some(Dockerfile {
            name: "Dockerfile".to_owned(),
            path: None,
            text: "FROM a:1\n".to_owned(),
        }),
        steps: Steps {
            config: json!({"llbDefinition": []}),
            locations: json!({"step0": {}}),
        },
        invocation: "k7x0".to_owned(),
        started: time(1),
        finished: time(2),
        ..Capture::default()
    }
}

/// What a client of BuildKit's asks for, with what is left out of it.
const OPTIONS: &[(&str, &str)] = &[
    ("attest:provenance", "mode=max"),
    ("build-arg:MODE", "fast"),
    ("context", "https://me:pw@host/r.git#main:sub"),
    ("filename", "docker/Dockerfile"),
    ("label:a", "b"),
    ("local-sessionid:context", "s"),
    ("platform", "linux/amd64"),
    ("target", "app"),
    ("vcs:revision", "44"),
    ("vcs:source", "https://me:pw@host/r.git"),
];

fn dependencies() -> Value {
    json!([
        {"uri": "pkg:docker/a@1", "digest": {"sha256": "11"}},
        {"uri": "https://host/r.git#main", "digest": {"sha1": "22"}},
        {"uri": "https://host/f", "digest": {"sha256": "33"}},
    ])
}

#[test]
fn all_that_is_known_as_slsa_1() {
    let provenance = Provenance {
        builder_id: "https://builder".to_owned(),
        reproducible: true,
        ..Provenance::default()
    };
    assert_eq!(
        provenance.predicate_type(),
        "https://slsa.dev/provenance/v1"
    );
    assert_eq!(
        provenance.predicate(&capture(OPTIONS)),
        json!({
            "buildDefinition": {
                "buildType": "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md",
                "externalParameters": {
                    "configSource": {
                        "uri": "https://host/r.git#main:sub",
                        "digest": {"sha1": "22"},
                        "path": "docker/Dockerfile",
                    },
                    "request": {
                        "frontend": "dockerfile.v0",
                        "args": {"build-arg:MODE": "fast", "label:a": "b", "target": "app"},
                        "secrets": [{"id": "more", "optional": true}, {"id": "token"}],
                        "ssh": [{"id": "default", "optional": true}],
                    },
                },
                "internalParameters": {
                    "builderPlatform": Platform::host().to_string(),
                    "buildConfig": {"llbDefinition": []},
                },
                "resolvedDependencies": dependencies(),
            },
            "runDetails": {
                "builder": {"id": "https://builder"},
                "metadata": {
                    "invocationId": "k7x0",
                    "startedOn": "1970-01-01T00:00:01Z",
                    "finishedOn": "1970-01-01T00:00:02Z",
                    "buildkit_metadata": {
                        "vcs": {"revision": "44", "source": "https://host/r.git"},
                        "source": {"infos": [{
                            "filename": "Dockerfile",
                            "language": "Dockerfile",
                            "data": "RlJPTSBhOjEK",
                        }], "locations": {"step0": {}}},
                    },
                    "buildkit_completeness": {"request": true, "resolvedDependencies": true},
                    "buildkit_hermetic": true,
                    "buildkit_reproducible": true,
                },
            },
        })
    );
}

#[test]
fn nothing_that_may_be_secret_as_slsa_1() {
    let provenance = Provenance {
        mode: ProvenanceMode::Min,
        ..Provenance::default()
    };
    let capture = Capture {
        locals: BTreeSet::from(["context".to_owned(), "dockerfile".to_owned()]),
        network: true,
        ..capture(&[("build-arg:MODE", "fast"), ("target", "app")])
    };
    assert_eq!(
        provenance.predicate(&capture),
        json!({
            "buildDefinition": {
                "buildType": "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md",
                "externalParameters": {
                    "configSource": {},
                    "request": {
                        "frontend": "dockerfile.v0",
                        "args": {"target": "app"},
                        "locals": [{"name": "context"}, {"name": "dockerfile"}],
                    },
                },
                "internalParameters": {"builderPlatform": Platform::host().to_string()},
                "resolvedDependencies": dependencies(),
            },
            "runDetails": {
                "builder": {"id": ""},
                "metadata": {
                    "invocationId": "k7x0",
                    "startedOn": "1970-01-01T00:00:01Z",
                    "finishedOn": "1970-01-01T00:00:02Z",
                    "buildkit_metadata": {},
                    "buildkit_completeness": {"request": false, "resolvedDependencies": false},
                },
            },
        })
    );
}

#[test]
fn the_older_form() {
    let provenance = Provenance {
        version: ProvenanceVersion::V02,
        mode: ProvenanceMode::Min,
        ..Provenance::default()
    };
    assert_eq!(
        provenance.predicate_type(),
        "https://slsa.dev/provenance/v0.2"
    );
    assert_eq!(
        provenance.predicate(&capture(&[("filename", "Dockerfile")])),
        json!({
            "builder": {"id": ""},
            "buildType": "https://mobyproject.org/buildkit@v1",
            "invocation": {
                "configSource": {"entryPoint": "Dockerfile"},
                "parameters": {"frontend": "dockerfile.v0"},
                "environment": {"platform": Platform::host().to_string()},
            },
            "materials": dependencies(),
            "metadata": {
                "buildInvocationID": "k7x0",
                "buildStartedOn": "1970-01-01T00:00:01Z",
                "buildFinishedOn": "1970-01-01T00:00:02Z",
                "completeness": {"parameters": true, "environment": true, "materials": true},
                "reproducible": false,
                "https://mobyproject.org/buildkit@v1#metadata": {},
                "https://mobyproject.org/buildkit@v1#hermetic": true,
            },
        })
    );
}
