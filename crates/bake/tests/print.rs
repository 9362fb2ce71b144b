//! What bake files come to, case by case: each file of `print` has bake files, what is typed, and
//! all that `docker buildx bake --print` (0.29.1) prints for them, or the
//! error that kiln has instead.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use bake::{File, Given, USUAL_FILES};

/// The parts of a case, by their names.
fn parts(text: &str) -> BTreeMap<String, String> {
    let mut parts = BTreeMap::new();
    let mut name = String::new();
    for line in text.split_inclusive('\n') {
        let heading = line
            .strip_prefix("-- ")
            .and_then(|line| line.strip_suffix(" --\n"));
        match heading {
            Some(heading) => heading.clone_into(&mut name),
            None => parts
                .entry(name.clone())
                .or_insert_with(String::new)
                .push_str(line),
        }
        parts.entry(name.clone()).or_default();
    }
    parts
}

struct Typed {
    targets: Vec<String>,
    files: Vec<String>,
    set: Vec<String>,
}

fn typed(parts: &BTreeMap<String, String>) -> Typed {
    let mut typed = Typed {
        targets: Vec::new(),
        files: Vec::new(),
        set: Vec::new(),
    };
    for line in parts
        .get("args")
        .map(String::as_str)
        .unwrap_or_default()
        .lines()
    {
        match line.split_once(' ') {
            Some(("--set", set)) => typed.set.push(set.to_owned()),
            Some(("-f", file)) => typed.files.push(file.to_owned()),
            _ => typed.targets.push(line.to_owned()),
        }
    }
    if typed.files.is_empty() {
        typed.files = USUAL_FILES.map(str::to_owned).to_vec();
    }
    typed
}

fn printed(parts: &BTreeMap<String, String>) -> String {
    let typed = typed(parts);
    let files = typed.files.iter().filter_map(|name| {
        let text = parts.get(name)?.clone();
        Some(File {
            name: name.clone(),
            text,
        })
    });
    let files: Vec<File> = files.collect();
    let environment = parts.get("env").map(String::as_str).unwrap_or_default();
    let pair = |line: &str| {
        let (name, value) = line.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    };
    let built_in = [
        ("BAKE_CMD_CONTEXT", "cwd://"),
        ("BAKE_LOCAL_PLATFORM", "linux/amd64"),
    ];
    let built_in = built_in.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let environment = environment.lines().filter_map(pair).collect();
    let dot_env = parts.get(".env");
    let dot_env = dot_env.and_then(|text| bake::dot_env(text, &environment).ok());
    let mut given = Given {
        environment,
        built_in: built_in.into(),
        dot_env: dot_env.unwrap_or_default(),
        home: Some("/root".to_owned()),
        ..Given::default()
    };
    let read = |path: String| Some((path.clone(), parts.get(&path)?.clone()));
    let wanted = bake::variable_files(&files, &given);
    given.variable_files = wanted.into_iter().flatten().filter_map(read).collect();
    let selected = bake::read(&files, &given)
        .and_then(|definitions| definitions.select(&typed.targets, &typed.set));
    match selected {
        Ok(selection) => selection.to_json() + "\n",
        Err(error) => format!("{error}\n"),
    }
}

#[test]
fn files_come_to_what_buildx_prints() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/print");
    let mut wrong = String::new();
    let mut count = 0;
    let mut paths: Vec<_> = fs::read_dir(cases)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    for path in paths {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let parts = parts(&fs::read_to_string(&path).unwrap());
        let expected = parts.get("print").or_else(|| parts.get("error")).unwrap();
        let found = printed(&parts);
        count += 1;
        if found != *expected {
            let differs = |(a, b): (&str, &str)| (a != b).then(|| format!("- {b}\n+ {a}\n"));
            let lines = found.lines().zip(expected.lines()).find_map(differs);
            write!(wrong, "{name}:\n{}", lines.unwrap_or_else(|| found.clone())).unwrap();
        }
    }
    assert!(count > 0 && wrong.is_empty(), "{wrong}");
}
