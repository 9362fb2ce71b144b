//! Bake files, and what they may ask for.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use bake::{BakeError, Definitions, File, Given};
use jiff::Timestamp;

use super::allow::Allowed;
use crate::args::bake::Bake;
use crate::environment::Environment;
use crate::error::{Error, io_text};
use crate::ui;
use crate::values::go_bool;

/// Longer files are no bake files.
const MAX_TEXT: u64 = 4 << 20;

/// The file of variables that all compose files may use.
const DOT_ENV: &str = ".env";

/// What the files define that were named, or else those that are there.
pub(super) fn read(args: &Bake, environment: &Environment) -> Result<Definitions, Error> {
    let mut named = args.file.clone();
    if named.is_empty()
        && let Some(files) = environment.text("BUILDX_BAKE_FILE")?
    {
        let separator = environment
            .text("BUILDX_BAKE_PATH_SEPARATOR")?
            .unwrap_or(":");
        let files = files.split(separator).map(str::trim);
        named.extend(files.filter(|file| !file.is_empty()).map(str::to_owned));
    }
    let files = match named.is_empty() {
        true => usual(environment)?,
        false => named
            .iter()
            .map(|name| file(name, environment))
            .collect::<Result<_, _>>()?,
    };
    if files.is_empty() {
        return Err(Error::new("couldn't find a bake definition").hint(
            "write docker-bake.hcl, docker-bake.json or compose.yaml here, or name a file with -f",
        ));
    }
    let mut given = given(args, environment)?;
    if bake::has_compose(&files) {
        variables(args, &files, environment, &mut given)?;
    }
    bake::read(&files, &given).map_err(wrong)
}

/// Reads the files of variables that compose files may use.
fn variables(
    args: &Bake,
    files: &[File],
    environment: &Environment,
    given: &mut Given,
) -> Result<(), Error> {
    let allowed = Allowed::of(args, environment)?;
    let read = |name: &str| -> Result<Option<String>, Error> {
        let path = environment.absolute(Path::new(name));
        if !path.exists() || name == DOT_ENV && path.is_dir() {
            return Ok(None);
        }
        allowed.check_read(path.clone())?;
        let read = fs::File::open(&path).and_then(text);
        read.map(Some)
            .map_err(|error| Error::new(format!("open {name}: {}", io_text(&error))))
    };
    if let Some(text) = read(DOT_ENV)? {
        given.dot_env = bake::dot_env(&text, &given.environment).map_err(wrong)?;
    }
    for name in bake::variable_files(files, given).map_err(wrong)? {
        let text = read(&name)?;
        given.variable_files.extend(text.map(|text| (name, text)));
    }
    Ok(())
}

fn wrong(error: BakeError) -> Error {
    Error::new(error.to_string())
}

fn usual(environment: &Environment) -> Result<Vec<File>, Error> {
    let is_there = |name: &str| environment.absolute(Path::new(name)).is_file();
    let names = bake::USUAL_FILES
        .iter()
        .copied()
        .filter(|name| is_there(name));
    names.map(|name| file(name, environment)).collect()
}

fn file(name: &str, environment: &Environment) -> Result<File, Error> {
    let name = name.strip_prefix("cwd://").unwrap_or(name);
    let text = match name {
        "-" => text(ui::input()),
        path => fs::File::open(environment.absolute(Path::new(path))).and_then(text),
    };
    match text {
        Ok(text) => Ok(File {
            name: name.to_owned(),
            text,
        }),
        Err(error) => Err(Error::new(format!("open {name}: {}", io_text(&error)))),
    }
}

fn text(read: impl io::Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    read.take(MAX_TEXT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_TEXT {
        return Err(io::Error::other("more than 4 MiB"));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::other("not UTF-8"))
}

fn given(args: &Bake, environment: &Environment) -> Result<Given, Error> {
    let lookup = environment.text("BUILDX_BAKE_DISABLE_VARS_ENV_LOOKUP")?;
    let is_hidden = lookup.and_then(go_bool) == Some(true);
    let variables = environment.variables.iter().filter(|_| !is_hidden);
    let variables = variables
        .filter_map(|(name, value)| Some((name.to_str()?.to_owned(), value.to_str()?.to_owned())));
    let platform = oci::Platform::host().to_string();
    let built_in = [
        ("BAKE_CMD_CONTEXT".to_owned(), "cwd://".to_owned()),
        ("BAKE_LOCAL_PLATFORM".to_owned(), platform),
    ];
    let mut random = [0; 32];
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())
        .map_err(|error| Error::new(format!("the machine has no random numbers: {error}")))?;
    Ok(Given {
        environment: variables.collect(),
        variables: args
            .var
            .iter()
            .map(|text| pair(text))
            .collect::<Result<_, _>>()?,
        built_in: built_in.into(),
        now: Timestamp::try_from((environment.now)()).unwrap_or_default(),
        home: environment.raw("HOME"),
        random,
        ..Given::default()
    })
}

fn pair(text: &str) -> Result<(String, String), Error> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(crate::error::choice("--var", text, "expected NAME=VALUE")),
    }
}
