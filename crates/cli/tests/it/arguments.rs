//! What command lines mean: each case is a line and, of the plan that it makes, what differs from
//! the plan of `kiln build .`; or the error.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::PathBuf;

use cli::args::{self, Command, Parsed};
use cli::build::plan;
use cli::environment::{Environment, Terminals};
use cli::error::Error;

pub(crate) fn environment(variables: &[(&str, &str)]) -> Environment {
    let variables = variables
        .iter()
        .map(|(name, value)| (name.into(), value.into()));
    Environment {
        arguments: Vec::new(),
        variables: variables.collect::<BTreeMap<OsString, OsString>>(),
        working_directory: PathBuf::from("/here"),
        is_root: true,
        terminals: Terminals::default(),
        now: || std::time::SystemTime::UNIX_EPOCH,
    }
}

/// The words of a line; `'…'` is one word.
pub(crate) fn words(line: &str) -> Vec<OsString> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for character in line.chars() {
        match character {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            _ => words.last_mut().unwrap().push(character),
        }
    }
    words.into_iter().map(OsString::from).collect()
}

fn outcome(line: &str, environment: &Environment) -> Result<String, Error> {
    match args::parse(&words(line), 80)? {
        Parsed::Print(text) => Ok(text),
        Parsed::Run(arguments) => match arguments.command {
            Command::Build(typed) => Ok(format!("{:#?}", plan(&typed, environment)?)),
            other => Ok(format!("{other:#?}")),
        },
    }
}

fn check(environment: &Environment, lines: &[&str]) -> String {
    let plain = outcome("kiln build .", &self::environment(&[])).unwrap();
    let plain: HashSet<&str> = plain.lines().collect();
    let mut text = String::new();
    for line in lines {
        let _ = writeln!(text, "$ {line}");
        match outcome(line, environment) {
            Ok(debug) => {
                let mut is_own = false;
                for line in debug.lines() {
                    // What only closes belongs to what it closes.
                    let closes = line.chars().all(|c| " }]),".contains(c));
                    is_own = !plain.contains(line) || (is_own && closes);
                    if is_own {
                        text.push_str(&format!("{line}\n"));
                    }
                }
            }
            Err(error) => {
                let _ = writeln!(text, "{}: {}", error.exit_code, error.message);
            }
        }
        text.push('\n');
    }
    text
}

#[test]
fn sources_and_names() {
    golden!(check(
        &environment(&[]),
        &[
            "kiln build .",
            "kiln b sub/dir",
            "kiln builder build /abs",
            "kiln buildx build -t a -t b:1 -tc:2 .",
            "kiln image build --tag=example.com:5000/x/y:z .",
            "kiln build . -f other/Dockerfile",
            "kiln build -f=Dockerfile.build .",
            "kiln build -fDockerfile.build .",
            "kiln build -f - .",
            "kiln build -",
            "kiln build -f - -",
            "kiln build -f x -",
            "kiln build https://example.com/x.git",
            "kiln build --target one --target two .",
            "kiln build -t Upper .",
            "kiln build -t a@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 .",
            "kiln build --build-context one=docker-image://alpine --build-context alpine:latest=dir .",
            "kiln build --build-context one .",
            "kiln build --build-context one=https://example.com .",
            "kiln build --build-context 'One!=dir' .",
            "kiln build",
            "kiln build a b",
        ],
    ));
}

#[test]
fn values() {
    golden!(check(
        &environment(&[("FROM_ENV", "1"), ("TOKEN", "secret"), ("EMPTY", "")]),
        &[
            "kiln build --build-arg A=1 --build-arg A=2 --build-arg FROM_ENV --build-arg UNSET --build-arg EMPTY .",
            "kiln build --build-arg =x .",
            "kiln build --label a=b --label c --label d==e .",
            "kiln build --no-cache .",
            "kiln build --no-cache=true .",
            "kiln build --no-cache=true --no-cache=false .",
            "kiln build --no-cache=maybe .",
            "kiln build --no-cache-filter a,b --no-cache-filter c .",
            "kiln build --no-cache --no-cache-filter a .",
            "kiln build --pull .",
            "kiln build --pull=newer .",
            "kiln build --pull=false .",
            "kiln build --pull=sometimes .",
            "kiln build --platform linux/arm64 .",
            "kiln build --platform linux/amd64,linux/arm64 .",
            "kiln build --platform linux/arm64 --platform linux/amd64,linux/arm64/v8 .",
            "kiln build --platform linux/amd64,linux/arm64 -o type=docker,dest=x .",
            "kiln build --platform pdp11 .",
            "kiln build --network none .",
            "kiln build --network host .",
            "kiln build --network mine .",
            "kiln build --add-host a:1.2.3.4 --add-host b=::1 .",
            "kiln build --add-host a .",
            "kiln build --allow network.host,security.insecure --allow device .",
            "kiln build --allow device=v.org/x=a --allow device=v.org/y,alias=y .",
            "kiln build --allow device=v.org/x,as=y .",
            "kiln build --allow what .",
            "kiln build --build-arg SOURCE_DATE_EPOCH=context .",
            "kiln build --shm-size 128m .",
            "kiln build --shm-size lots .",
            "kiln build --ulimit nofile=10:20 .",
            "kiln build --ulimit what=1 .",
            "kiln build --resource memory=2g,pids=500 --resource time=10m --resource cpuset-cpus=0,2 .",
            "kiln build -m 1g --memory-swap -1 -c 512 --cpu-period 50000 --cpu-quota=-1 --cpuset-cpus 0 --cpuset-mems 0 .",
            "kiln build -m 1g --resource memory=2g .",
            "kiln build --resource pids .",
            "kiln build --resource cores=1 .",
            "kiln build --memory lots .",
            "kiln build --memory-swap 1g .",
            "kiln build --jobs 4 .",
            "kiln build --jobs 0 .",
            "kiln build --secret id=a,src=file --secret id=b,env=TOKEN --secret id=TOKEN --secret id=c .",
            "kiln build --secret id=b,env=NOT_SET .",
            "kiln build --secret 'id=a,\"src=with,comma\"' .",
            "kiln build --secret src=a .",
            "kiln build -q --iidfile id --metadata-file /meta.json .",
            "kiln build --progress plain .",
            "kiln build --progress rawjson .",
            "kiln build --progress none .",
            "kiln build --progress tty .",
            "kiln build --progress bars .",
            "kiln build -q --progress plain .",
            "kiln build --explain -q .",
            "kiln build --explain --progress none .",
        ],
    ));
}

#[test]
fn outputs() {
    golden!(check(
        &environment(&[("SOURCE_DATE_EPOCH", "0")]),
        &[
            "kiln build -o out .",
            "kiln build -o - .",
            "kiln build -o type=local,dest=out .",
            "kiln build -o type=local,dest=out,platform-split=false .",
            "kiln build -o type=tar,dest=/out.tar .",
            "kiln build -o type=tar .",
            "kiln build -o type=image,name=a,push=true .",
            "kiln build -o 'type=image,\"name=a,b:2\"' .",
            "kiln build -o type=registry -t a .",
            "kiln build -o type=registry .",
            "kiln build -o type=docker .",
            "kiln build -o type=docker,dest=a.tar .",
            "kiln build -o type=oci,dest=a.tar,compression=zstd,compression-level=19,force-compression=true,oci-mediatypes=false .",
            "kiln build -o type=oci,tar=false,dest=layout .",
            "kiln build -o type=oci,tar=false .",
            "kiln build -o type=oci,dest=a.tar,rewrite-timestamp=true .",
            "kiln build -o type=oci,dest=a.tar,rewrite-timestamp=false .",
            "kiln build -o type=oci,dest=a.tar,source-date-epoch=5 .",
            "kiln build -o type=local,dest=out,source-date-epoch= .",
            "kiln build -o type=tar,source-date-epoch=noon .",
            "kiln build -o type=oci,dest=a.tar,compression-level=12 .",
            "kiln build -o type=oci,dest=a.tar,compression=estargz .",
            "kiln build -o type=oci,dest=a.tar,push=true .",
            "kiln build -o type=image,unpack=true .",
            "kiln build -o type=image,push=x .",
            "kiln build -o type=local .",
            "kiln build -o type=cacheonly .",
            "kiln build -o dest=x .",
            "kiln build -o type=oci,x .",
            "kiln build -o 'type=\"x' .",
            "kiln build --push -t a .",
            "kiln build --push .",
            "kiln build --push -t a -o type=image -o out .",
            "kiln build --load -o out .",
            "kiln build --iidfile x -o out .",
            "kiln build -o - -o type=oci .",
            "kiln build -q -o - .",
        ],
    ));
}

#[test]
fn of_the_environment() {
    let line = &["kiln build ."];
    let of = |variables: &[(&str, &str)]| check(&environment(variables), line);
    golden!(
        [
            of(&[("SOURCE_DATE_EPOCH", "1600000000")]),
            of(&[("SOURCE_DATE_EPOCH", "yesterday")]),
            of(&[("BUILDKIT_PROGRESS", "rawjson")]),
            of(&[("BUILDKIT_PROGRESS", "bars")]),
            of(&[("DOCKER_DEFAULT_PLATFORM", "linux/arm64")]),
            check(
                &environment(&[("BUILDKIT_PROGRESS", "plain"), ("SOURCE_DATE_EPOCH", "1")]),
                &[
                    "kiln build --progress rawjson --build-arg SOURCE_DATE_EPOCH=2 .",
                    "kiln build -q ."
                ],
            ),
        ]
        .concat()
    );
}

#[test]
fn other_commands() {
    golden!(check(
        &environment(&[]),
        &[
            "kiln run -it --rm alpine sh -c 'echo -e x'",
            "kiln run -h name -e A=1 -eB=2 --env-file f --net none -w /x -u 1:2 --entrypoint sh alpine -h -v --help",
            "kiln container create --name extract app:build",
            "kiln container cp -aL extract:/path ./app",
            "kiln container cp extract:/path -",
            "kiln cp - extract:/path",
            "kiln container rm -f extract other",
            "kiln container ls -aq",
            "kiln ps -f name=x",
            "kiln image ls --digests --no-trunc -f dangling=true alpine",
            "kiln images --format '{{.ID}}'",
            "kiln image rm -f a b",
            "kiln history --human=false -q a",
            "kiln inspect --type image -f '{{.Id}}' a",
            "kiln save -o x.tar a b",
            "kiln load -qi x.tar",
            "kiln --root /r images --config /c -D",
            "kiln store fsck --deep",
            "kiln system prune -af --filter until=24h",
        ],
    ));
}

#[test]
fn refusals() {
    golden!(check(
        &environment(&[]),
        &[
            "kiln images --nope",
            "kiln images --quite",
            "kiln images -z",
            "kiln images a b",
            "kiln images --filter",
            "kiln images --no-trunc=x",
            "kiln imags",
            "kiln image nope",
            "kiln exec x sh",
            "kiln container logs x",
            "kiln tag a",
            "kiln rmi",
            "kiln load x",
            "kiln build --ssh default .",
            "kiln build --cache-from=type=local,src=x .",
            "kiln build --squash .",
            "kiln run -v /a:/b alpine",
            "kiln run -p 80:80 alpine",
            "kiln run -d alpine",
            "kiln pull -a alpine",
            "kiln --nope build .",
        ],
    ));
}
