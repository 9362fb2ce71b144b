//! What bake files ask for beyond the working directory, by the flags that would allow it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use bake::{File, Given};

use super::allow::Allowed;
use super::{question, target};
use crate::args::bake::Bake;
use crate::environment::{Environment, Terminals};
use crate::error::Error;

/// A directory to bake in, with others beside it.
struct Place {
    root: tempfile::TempDir,
    variables: Vec<(&'static str, &'static str)>,
}

impl Place {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let place = Self {
            root,
            variables: vec![("SSH_AUTH_SOCK", "/run/agent")],
        };
        let path = place.path();
        for directory in ["work/x@", "work/github.com", "work/own", "out"] {
            fs::create_dir_all(path.join(directory)).unwrap();
        }
        for file in ["Dockerfile", "work/Dockerfile", "work/own/Dockerfile"] {
            fs::write(path.join(file), "FROM scratch\n").unwrap();
        }
        symlink("../out", path.join("work/link")).unwrap();
        symlink("../out/new", path.join("work/dangling")).unwrap();
        symlink("../Dockerfile", path.join("work/Dockerfile.link")).unwrap();
        symlink("../../out/ignored", path.join("work/own/.dockerignore")).unwrap();
        place
    }

    fn path(&self) -> &Path {
        self.root.path()
    }

    fn environment(&self) -> Environment {
        let variables = self.variables.iter();
        let variables = variables.map(|(name, value)| (name.into(), value.into()));
        Environment {
            arguments: Vec::new(),
            variables: variables.collect(),
            working_directory: self.path().join("work"),
            is_root: true,
            terminals: Terminals::default(),
            now: || std::time::SystemTime::UNIX_EPOCH,
        }
    }

    /// The flags that would allow what a target with this body asks for.
    fn missing(&self, body: &str, args: &Bake) -> String {
        let file = File {
            name: "docker-bake.hcl".to_owned(),
            text: format!("target \"default\" {{\n{body}\n}}\n"),
        };
        let definitions = bake::read(&[file], &Given::default()).unwrap();
        let selection = definitions.select(&[], &[]).unwrap();
        let environment = self.environment();
        let checked = || -> Result<(), Error> {
            let plans = target::plans(args, &selection, &environment, |_| true)?;
            let questions = question::all(args, &selection, &environment)?;
            let plans = plans.iter().map(|planned| &planned.plan);
            let plans = plans.chain(questions.iter().map(question::Question::plan));
            Allowed::of(args, &environment)?.check(plans, &environment)
        };
        let root = self.path().canonicalize().unwrap();
        match checked() {
            Ok(()) => String::new(),
            Err(error) => {
                let hint = error.hints.first().unwrap_or(&error.message);
                let flags = hint.strip_prefix("to grant them: ").unwrap_or(hint);
                flags.replace(root.to_str().unwrap(), "ROOT")
            }
        }
    }
}

fn allowing(rights: &[&str]) -> Bake {
    Bake {
        allow: rights.iter().map(|right| (*right).to_owned()).collect(),
        ..Bake::default()
    }
}

#[test]
fn what_is_beyond_the_directory_is_asked_for_however_it_is_written() {
    let place = Place::new();
    let cases = BTreeMap::from([
        ("context = \".\"", ""),
        ("context = \"..\"", "--allow=fs.read=ROOT"),
        ("context = \"link\"", "--allow=fs.read=ROOT/out"),
        ("context = \"github.com/../..\"", "--allow=fs.read=ROOT"),
        (
            "context = \"own\"\ndockerfile = \"Dockerfile\"",
            "--allow=fs.read=ROOT/out/ignored",
        ),
        (
            "dockerfile = \"Dockerfile.link\"",
            "--allow=fs.read=ROOT/Dockerfile",
        ),
        (
            "dockerfile = \"github.com/../../Dockerfile\"",
            "--allow=fs.read=ROOT/Dockerfile",
        ),
        (
            "context = \"https://example.com/x.git\"\ndockerfile = \"/etc/passwd\"",
            "--allow=fs.read=/etc/passwd",
        ),
        (
            "context = \"https://example.com/x.git\"\ndockerfile = \"cwd://../Dockerfile\"",
            "--allow=fs.read=ROOT/Dockerfile",
        ),
        (
            "context = \"https://example.com/x.git\"\ndockerfile = \"sub/Dockerfile\"",
            "",
        ),
        ("contexts = { x = \"./x@/../..\" }", "--allow=fs.read=ROOT"),
        ("contexts = { x = \"link/..\" }", "--allow=fs.read=ROOT"),
        (
            "contexts = { x = \"oci-layout:///layout:1\" }",
            "--allow=fs.read=/layout",
        ),
        (
            "contexts = { x = \"docker-image://alpine\", y = \"https://example.com/y.git\" }",
            "",
        ),
        ("secret = [\"id=x,src=own/secret\"]", ""),
        ("secret = [\"id=../x\"]", "--allow=fs.read=ROOT/x"),
        (
            "secret = [{ id = \"x\", src = \"dangling\" }]",
            "--allow=fs.read=ROOT/out/new",
        ),
        ("ssh = [\"default\"]", "--allow=ssh"),
        ("ssh = [\"default=\"]", "--allow=ssh"),
        ("ssh = [\"x=own/key,../key\"]", "--allow=fs.read=ROOT/key"),
        (
            "cache-from = [{ type = \"local\", \" src\" = \"../c\" }]",
            "--allow=fs.read=ROOT/c",
        ),
        (
            "cache-to = [{ type = \"local\", \" dest\" = \"../c\" }]",
            "--allow=fs.write=ROOT/c",
        ),
        (
            "cache-to = [\"type=local, dest=../c\"]",
            "--allow=fs.write=ROOT/c",
        ),
        (
            "output = [{ type = \"local\", Dest = \"../o\" }]",
            "--allow=fs.write=ROOT/o",
        ),
        ("output = [\"../o\"]", "--allow=fs.write=ROOT/o"),
        ("output = [\"own/out\"]", ""),
        (
            "output = [\"type=oci,dest=dangling\"]",
            "--allow=fs.write=ROOT/out/new",
        ),
        ("network = \"host\"", "--allow=network.host"),
        (
            "entitlements = [\"network.host,security.insecure\"]",
            "--allow=network.host --allow=security.insecure",
        ),
        (
            "entitlements = [\"device=vendor.example/d\"]",
            "--allow=device=vendor.example/d",
        ),
        ("entitlements = [\"device\"]", "--allow=device"),
        ("context = \"..\"\ncall = \"check\"", "--allow=fs.read=ROOT"),
    ]);
    for (body, expected) in cases {
        let missing = place.missing(body, &Bake::default());
        assert_eq!(missing, expected, "{body}");
    }
}

#[test]
fn what_is_allowed_is_not_asked_for() {
    let mut place = Place::new();
    let beyond = "context = \"..\"\nssh = [\"default\"]\noutput = [\"../out/x\"]\n\
         entitlements = [\"network.host\", \"device=d\", \"device=e,alias=f\"]";
    for (rights, expected) in [
        (
            &["fs=..", "ssh", "network.host", "device=d", "device=e"][..],
            "",
        ),
        (&["fs=*", "ssh", "network.host,device"], ""),
        (
            &["fs.read=*", "fs.write=../out", "device"],
            "--allow=network.host --allow=ssh",
        ),
        (
            &["fs=../o", "ssh", "network.host", "device"],
            "--allow=fs.read=ROOT --allow=fs.write=ROOT/out/x",
        ),
    ] {
        assert_eq!(
            place.missing(beyond, &allowing(rights)),
            expected,
            "{rights:?}"
        );
    }
    let unknown = place.missing(beyond, &allowing(&["fs.see=x"]));
    assert!(unknown.contains("kiln knows device, fs,"), "{unknown}");
    // That paths are not asked about says nothing of anything else.
    place.variables.push(("BUILDX_BAKE_ENTITLEMENTS_FS", "0"));
    let missing = place.missing(beyond, &allowing(&["device", "network.host"]));
    assert_eq!(missing, "--allow=ssh");
}
