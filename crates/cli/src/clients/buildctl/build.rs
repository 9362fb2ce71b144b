//! `buildctl build` as flags of `kiln build`.

use std::collections::BTreeMap;
use std::path::Path;

use super::flags::Flags;
use crate::args::build::Build;
use crate::environment::Environment;
use crate::error::{Error, USAGE};

const VALUED: &[&str] = &[
    "output",
    "o",
    "progress",
    "local",
    "frontend",
    "opt",
    "import-cache",
    "export-cache",
    "secret",
    "ssh",
    "allow",
    "metadata-file",
    "oci-layout",
    "trace",
    "source-policy-file",
    "ref-file",
    "registry-auth-tlscontext",
    "debug-json-cache-metrics",
];

/// Front ends that are kiln's own under the names of images.
const OWN: &str = "docker/dockerfile";

/// What `words` ask for.
///
/// # Errors
/// They ask for something that kiln does not have.
pub(super) fn read(words: &[String], environment: &Environment) -> Result<Build, Error> {
    let (mut flags, rest) = Flags::read(words, VALUED, false)?;
    super::nothing_more(&rest)?;
    let mut options = pairs("--opt", flags.all("opt"))?;
    let locals = pairs("--local", flags.all("local"))?;
    front_end(flags.take("frontend"), &mut options)?;
    let mut output = flags.all("output");
    output.extend(flags.all("o"));
    output.iter_mut().for_each(to_standard_output);
    let mut build = Build {
        call: "build".to_owned(),
        output,
        no_output: true,
        no_cache: flags.take_switch("no-cache"),
        progress: flags.take("progress"),
        cache_from: flags.all("import-cache"),
        cache_to: flags.all("export-cache"),
        secret: flags.all("secret"),
        ssh: flags.all("ssh"),
        allow: flags.all("allow"),
        metadata_file: flags.take("metadata-file"),
        network: String::new(),
        ..Build::default()
    };
    flags.end("buildctl build")?;
    sources(&mut build, &mut options, &locals, environment)?;
    more(&mut build, options)?;
    Ok(build)
}

/// An archive for docker goes to standard output if it goes nowhere else; to kiln it is an image in
/// the store then.
fn to_standard_output(output: &mut String) {
    let is_docker = output.split(',').any(|field| field == "type=docker");
    if is_docker && !output.split(',').any(|field| field.starts_with("dest=")) {
        output.push_str(",dest=-");
    }
}

/// `NAME=VALUE` each.
fn pairs(flag: &str, values: Vec<String>) -> Result<BTreeMap<String, String>, Error> {
    let pair = |value: String| match value.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err(Error::new(format!(
            "invalid value {value:?} for {flag}: expected NAME=VALUE"
        ))
        .exit(USAGE)),
    };
    values.into_iter().map(pair).collect()
}

/// The one front end that kiln has.
fn front_end(name: Option<String>, options: &mut BTreeMap<String, String>) -> Result<(), Error> {
    let refuse = |what: &str| {
        Err(Error::new(format!(
            "kiln as buildctl does not provide {what}: use --frontend dockerfile.v0"
        ))
        .exit(USAGE))
    };
    match name.as_deref() {
        Some("dockerfile.v0") => Ok(()),
        Some("gateway.v0") => match options.remove("source") {
            Some(source) if source.trim_start_matches("docker.io/").starts_with(OWN) => Ok(()),
            Some(source) => refuse(&format!("the front end {source}")),
            None => refuse("the front end gateway.v0 without a source"),
        },
        Some(other) => refuse(&format!("the front end {other}")),
        None => refuse("definitions on standard input"),
    }
}

fn sources(
    build: &mut Build,
    options: &mut BTreeMap<String, String>,
    locals: &BTreeMap<String, String>,
    environment: &Environment,
) -> Result<(), Error> {
    let missing =
        |name: &str| Error::new(format!("--local {name}=DIRECTORY is missing")).exit(USAGE);
    let filename = options.remove("filename");
    let directory = locals.get("dockerfile");
    match options.remove("context") {
        Some(elsewhere) => {
            build.context = elsewhere;
            build.file = filename;
        }
        None => {
            build.context = locals
                .get("context")
                .ok_or_else(|| missing("context"))?
                .clone();
            let directory = directory.ok_or_else(|| missing("dockerfile"))?;
            let filename = filename.unwrap_or_else(|| "Dockerfile".to_owned());
            let path = environment.absolute(Path::new(directory)).join(filename);
            build.file = Some(path.to_string_lossy().into_owned());
        }
    }
    let named: Vec<String> = options
        .keys()
        .filter(|name| name.starts_with("context:"))
        .cloned()
        .collect();
    for option in named {
        let value = options.remove(&option).unwrap_or_default();
        let name = option.trim_start_matches("context:");
        let value = match value.strip_prefix("local:") {
            Some(local) => locals.get(local).ok_or_else(|| missing(local))?.clone(),
            None => value,
        };
        build.build_context.push(format!("{name}={value}"));
    }
    Ok(())
}

/// All other options, each with its flag.
fn more(build: &mut Build, options: BTreeMap<String, String>) -> Result<(), Error> {
    let each = |value: String| value.split(',').map(str::to_owned).collect::<Vec<_>>();
    for (name, value) in options {
        if let Some(name) = name.strip_prefix("build-arg:") {
            build.build_arg.push(format!("{name}={value}"));
            continue;
        }
        if let Some(name) = name.strip_prefix("label:") {
            build.label.push(format!("{name}={value}"));
            continue;
        }
        match name.as_str() {
            "attest:provenance" if value.is_empty() => build.provenance = Some("true".to_owned()),
            "attest:provenance" => build.provenance = Some(value),
            "attest:sbom" if value.is_empty() => build.sbom = Some("true".to_owned()),
            "attest:sbom" => build.sbom = Some(value),
            "target" => build.target.push(value),
            "platform" => build.platform.push(value),
            "no-cache" if value.is_empty() => build.no_cache = true,
            "no-cache" => build.no_cache_filter = each(value),
            "image-resolve-mode" => {
                build.pull = (value == "pull").then(|| "always".to_owned());
            }
            "force-network-mode" => build.network = value,
            "shm-size" => build.shm_size = Some(value),
            "add-hosts" => build.add_host = each(value),
            "ulimit" => build.ulimit = each(value),
            "memory" => build.limits.0.memory = Some(value),
            "memswap" => build.limits.0.memory_swap = Some(value),
            "cpushares" => build.limits.0.cpu_shares = Some(value),
            "cpuperiod" => build.limits.0.cpu_period = Some(value),
            "cpuquota" => build.limits.0.cpu_quota = Some(value),
            "cpusetcpus" => build.limits.0.cpuset_cpus = Some(value),
            "cpusetmems" => build.limits.0.cpuset_mems = Some(value),
            _ => {
                let message = format!("kiln does not support --opt {name}: leave it out");
                return Err(Error::new(message).exit(USAGE));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Build, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let environment = Environment {
            arguments: Vec::new(),
            variables: BTreeMap::new(),
            working_directory: "/work".into(),
            is_root: true,
            terminals: crate::environment::Terminals::default(),
            now: || std::time::UNIX_EPOCH,
        };
        super::read(&words, &environment).map_err(|error| error.message)
    }

    #[test]
    fn what_options_become() {
        let build = read(
            "--frontend=dockerfile.v0 --local context=. --local dockerfile=d --opt filename=F \
             --opt target=app --opt attest:provenance=mode=min --opt build-arg:A=b=c -opt label:l=m --opt context:n=local:o \
             --local o=/o --output type=image,name=x,push=true --no-cache",
        )
        .unwrap();
        assert_eq!(build.file.as_deref(), Some("/work/d/F"));
        assert_eq!(
            (build.context.as_str(), build.target),
            (".", vec!["app".to_owned()])
        );
        assert_eq!(
            (build.build_arg, build.label),
            (vec!["A=b=c".into()], vec!["l=m".into()])
        );
        assert_eq!(build.build_context, ["n=/o"]);
        assert_eq!(build.output, ["type=image,name=x,push=true"]);
        assert!(build.no_cache && build.no_output);
        assert_eq!(build.provenance.as_deref(), Some("mode=min"));
    }

    #[test]
    fn what_is_not_there_is_named() {
        for (line, message) in [
            (
                "--local context=.",
                "kiln as buildctl does not provide definitions on standard input: use --frontend \
                 dockerfile.v0",
            ),
            (
                "--frontend dockerfile.v0 --local context=.",
                "--local dockerfile=DIRECTORY is missing",
            ),
            (
                "--frontend dockerfile.v0 --local context=. --local dockerfile=. --opt cgroup-parent=x",
                "kiln does not support --opt cgroup-parent: leave it out",
            ),
            (
                "--frontend gateway.v0 --opt source=a/b",
                "kiln as buildctl does not provide the front end a/b: use --frontend dockerfile.v0",
            ),
            (
                "--frontend dockerfile.v0 --trace x --local context=. --local dockerfile=.",
                "kiln does not support --trace of buildctl build: leave it out",
            ),
        ] {
            assert_eq!(read(line).unwrap_err(), message);
        }
    }
}
