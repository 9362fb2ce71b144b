//! What outputs say about times, of a build here and there.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::{build, here};
use crate::kiln::{Project, Ran, tool};
use crate::serving::Daemon;

const EPOCH: &str = "SOURCE_DATE_EPOCH=1500000000";

/// A file from before the time that the build is given, and one from after it.
fn project() -> Project {
    let files = [
        ("Dockerfile", "FROM scratch\nCOPY old new /\n"),
        ("old", "1"),
        ("new", "2"),
    ];
    let project = Project::new(&files);
    for (name, seconds) in [("old", 1_000_000_000), ("new", 1_600_000_000)] {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let file = File::options().write(true).open(project.join(name));
        file.unwrap().set_modified(time).unwrap();
    }
    project
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

/// In short: when the archive's entry and the image were made, which time the layer's descriptor
/// tells, and those of the files in it.
fn image(archive: &Path, out: &Path) -> String {
    fs::create_dir_all(out).unwrap();
    let (archive, place) = (archive.to_str().unwrap(), out.to_str().unwrap());
    tool("tar", &["-xf", archive, "-C", place]);
    let blob = |digest: &Value| {
        let name = digest.as_str().unwrap().replace(':', "/");
        out.join("blobs").join(name)
    };
    let index = json(&fs::read(out.join("index.json")).unwrap());
    let entry = &index["manifests"][0];
    let manifest = json(&fs::read(blob(&entry["digest"])).unwrap());
    let config = json(&fs::read(blob(&manifest["config"]["digest"])).unwrap());
    let layer = &manifest["layers"][0];
    let made = &entry["annotations"]["org.opencontainers.image.created"];
    let told = &layer["annotations"]["buildkit/rewritten-timestamp"];
    let created = match config["created"].as_str() {
        Some("2017-07-14T02:40:00Z") => "epoch",
        Some("1970-01-01T00:00:07Z") => "7",
        _ => "now",
    };
    let files = files(&blob(&layer["digest"]));
    format!("{made} {created} {told} {files}")
}

/// The times of both files.
fn files(archive: &Path) -> String {
    let out = archive.with_extension("files");
    fs::create_dir_all(&out).unwrap();
    let (archive, place) = (archive.to_str().unwrap(), out.to_str().unwrap());
    tool("tar", &["-xf", archive, "-C", place]);
    of_directory(&out)
}

fn of_directory(directory: &Path) -> String {
    let time = |name: &str| {
        let metadata = fs::metadata(directory.join(name)).unwrap();
        let since = metadata.modified().unwrap();
        let since = since.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        since.as_secs().to_string()
    };
    format!("{} {}", time("old"), time("new"))
}

/// What a build makes here and there.
fn both(what: &str, output: &str, look: impl Fn(&Path) -> String) -> String {
    type How = fn(&Daemon, &Project, &[&str]) -> Ran;
    let (daemon, project) = (Daemon::new(), project());
    let places: [How; 2] = [here, build];
    let [one, other] = places.map(|how| {
        let place = daemon.kiln.scratch("out").join("it");
        let output = output.replace("DEST", place.to_str().unwrap());
        let ran = how(&daemon, &project, &["--build-arg", EPOCH, "-o", &output]);
        assert_eq!(ran.code, 0, "{what}: {}", ran.stderr);
        look(&place)
    });
    assert_eq!(daemon.stop().code, 0);
    assert_eq!(one, other, "{what}");
    one
}

#[test]
fn each_image_has_the_times_that_its_output_says() {
    let epoch = "\"2017-07-14T02:40:00Z\" epoch";
    for (attributes, expected) in [
        ("", format!("{epoch} null 1000000000 1500000000")),
        (
            ",rewrite-timestamp=true",
            format!("{epoch} \"1500000000\" 1000000000 1500000000"),
        ),
        (
            ",rewrite-timestamp=false",
            format!("{epoch} null 1000000000 1600000000"),
        ),
        (
            ",source-date-epoch=7,rewrite-timestamp=true",
            "\"1970-01-01T00:00:07Z\" 7 \"7\" 7 7".to_owned(),
        ),
        (
            ",source-date-epoch=",
            "null epoch null 1000000000 1600000000".to_owned(),
        ),
    ] {
        let output = format!("type=oci,dest=DEST,compression=uncompressed{attributes}");
        let made = both(attributes, &output, |archive| {
            image(archive, &archive.with_extension("unpacked"))
        });
        assert_eq!(made, expected, "{attributes}");
    }
}

#[test]
fn files_are_no_later_than_their_output_says() {
    for (attributes, expected) in [
        ("", "1000000000 1500000000"),
        (",source-date-epoch=7", "7 7"),
        (",source-date-epoch=", "1000000000 1600000000"),
    ] {
        let output = format!("type=tar,dest=DEST{attributes}");
        assert_eq!(both(attributes, &output, files), expected, "{attributes}");
        let output = format!("type=local,dest=DEST{attributes}");
        let made = both(attributes, &output, of_directory);
        assert_eq!(made, expected, "{attributes}");
    }
}
