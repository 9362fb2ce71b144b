//! What a daemon says of itself when it is asked: its version, and what it can be told.

use std::ffi::OsString;
use std::fmt::Write as _;

use super::Daemon;
use super::setting::{Does, Kind, Setting};

/// The page that the command line asks for, if it does.
pub(super) fn asked(daemon: &Daemon, line: &[OsString]) -> Option<String> {
    let has = |names: &[&str]| {
        line.iter()
            .any(|word| names.iter().any(|name| word == name))
    };
    if has(&["--help", "-h"]) {
        return Some(help(daemon));
    }
    if has(&["--version", "-v"]) {
        return Some(format!("{}\n", (daemon.version)()));
    }
    None
}

fn help(daemon: &Daemon) -> String {
    let name = daemon.name;
    let mut text = format!("Usage:  {name} [OPTIONS]\n\nkiln in the place of {name}\n\nOptions:\n");
    let mut line = |flag: &str, does: &str| {
        // Writing to a text does not fail.
        let _ = writeln!(text, "      {flag:<42} {does}");
    };
    for setting in daemon
        .settings
        .iter()
        .filter(|setting| !setting.flag.is_empty())
    {
        line(&flag(setting), &does(setting));
    }
    line("-h, --help", "This page");
    line("-v, --version", "The version");
    text
}

fn flag(setting: &Setting) -> String {
    let letter = setting.short.map(|letter| format!("-{letter}, "));
    let value = match setting.kind {
        Kind::Switch => "",
        Kind::Texts => " list",
        Kind::Number => " int",
        Kind::Text | Kind::Any => " string",
    };
    format!("{}--{}{value}", letter.unwrap_or_default(), setting.flag)
}

fn does(setting: &Setting) -> String {
    match setting.does {
        Does::Is(path) => format!("{path} of kiln.toml"),
        Does::Becomes(_) => match setting.key {
            "" => String::new(),
            key => format!("As {key} of the file"),
        },
        Does::Nothing(why) => format!("No effect: {why}"),
        Does::Refused(_, instead) => format!("Refused: {instead}"),
    }
}
