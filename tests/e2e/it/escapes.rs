//! Steps that try to get out: by system calls, by files of the kernel, by links that lead to the
//! host, by the network. Each attempt has a name, and none comes to anything.

use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;

use testkit::Scratch;

use crate::kiln::{Kiln, Project, tool};
use crate::place::{Place, skip};

/// Interpreter of the attempts by system calls; Debian always has it.
const PERL: &str = "/usr/bin/perl";
const SECRET: &str = "known to the host alone";

/// A build on busybox that has the host's perl.
fn with_perl(dockerfile: &str) -> Project {
    let project = Project::of(&format!("FROM alpine\nCOPY host/ /\n{dockerfile}"));
    let libraries = tool("ldd", &[PERL]);
    let words = libraries.split_whitespace();
    for file in words.filter(|word| word.starts_with('/')).chain([PERL]) {
        let to = project.join("host").join(file.trim_start_matches('/'));
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(file, to).unwrap();
    }
    project
}

/// What the build leaves in `/result`.
fn result(kiln: &Kiln, project: &Project) -> String {
    let scratch = Scratch::new();
    kiln.lend(scratch.path());
    let output = format!("type=tar,dest={}", scratch.join("out.tar").display());
    kiln.build(project, &["-o", &output]);
    let tar = scratch.join("out.tar");
    tool("tar", &["-xOf", tar.to_str().unwrap(), "result"])
}

/// System calls that a step may not make, whoever kiln is.
fn calls(kiln: &Kiln) {
    let calls = include_str!("escapes/calls.pl");
    let project = with_perl(
        "COPY calls.pl /\nRUN /usr/bin/perl /calls.pl >/result\nFROM scratch AS out\nCOPY --from=0 /result /\n",
    );
    project.write("calls.pl", calls);
    let result = result(kiln, &project);
    let attempts = calls.lines().filter(|line| line.starts_with("try_call("));
    let names: Vec<&str> = attempts
        .map(|line| line.split('"').nth(1).unwrap())
        .collect();
    let told: Vec<&str> = result
        .lines()
        .filter_map(|line| line.split(": ").next())
        .collect();
    assert_eq!(told, names);
    let got_through: Vec<&str> = result
        .lines()
        .filter(|line| !line.ends_with("not permitted") && !line.ends_with("not implemented"))
        .collect();
    assert_eq!(got_through, Vec::<&str>::new());
}

/// An attempt of `steps.txt`.
struct Attempt<'a> {
    name: &'a str,
    script: String,
    /// One of these is told.
    expected: Vec<&'a str>,
}

fn attempts<'a>(host: &str) -> Vec<Attempt<'a>> {
    let text: &'static str = include_str!("escapes/steps.txt");
    let parse = |text: &'static str| {
        let (name, rest) = text.split_once('\n').unwrap();
        let (script, expected) = rest.rsplit_once("\n=> ").unwrap();
        Attempt {
            name,
            script: script.replace("HOST", host),
            expected: expected.trim_end().split(" | ").collect(),
        }
    };
    text.split("## ").skip(1).map(parse).collect()
}

/// What a shell can do, whoever kiln is.
fn steps(kiln: &Kiln) {
    let host = Scratch::new();
    let _secret = host.file("secret", SECRET);
    let attempts = attempts(host.path().to_str().unwrap());
    let project = with_perl(
        "COPY steps /steps\nRUN sh /steps/all >/result; true\nFROM scratch AS out\nCOPY --from=0 /result /\n",
    );
    // An attempt signals all of them, and the step ends with its shell.
    let mut all = String::from("trap '' TERM\n");
    for (number, attempt) in attempts.iter().enumerate() {
        project.write(&format!("steps/{number}"), &attempt.script);
        all.push_str(&format!(
            "echo; echo '## {}'; sh /steps/{number} 2>&1 </dev/null\n",
            attempt.name
        ));
    }
    project.write("steps/all", &all);
    let result = result(kiln, &project);
    let mut told = result.split("## ").skip(1);
    for attempt in &attempts {
        let (name, told) = told
            .next()
            .unwrap_or_default()
            .split_once('\n')
            .unwrap_or_default();
        assert_eq!(name, attempt.name, "{result}");
        let is_told = attempt
            .expected
            .iter()
            .any(|expected| told.contains(expected));
        assert!(is_told, "{name}: {told}");
    }
    assert!(!result.contains(SECRET));
}

#[test]
fn system_calls() {
    if std::env::consts::ARCH != "x86_64" {
        return skip("attempts by system calls are for x86_64");
    }
    calls(&Kiln::new());
    if let Some(place) = Place::subordinate() {
        calls(&Kiln::in_place(place));
    }
    if let Some(place) = Place::single() {
        calls(&Kiln::in_place(place));
    }
}

#[test]
fn files_of_the_kernel() {
    steps(&Kiln::new());
    // A root that is not that of the mounts has something beneath it.
    steps(&Kiln::in_place(Place::Chroot));
    steps(&Kiln::in_place(Place::ChrootOfMount));
    if let Some(place) = Place::subordinate() {
        steps(&Kiln::in_place(place));
    }
}

/// Builds that name a directory of the host's, `HOST`, by links of the image or of the context. The
/// context has links `file` to a file there and `dir` to the directory; `l` in the image leads there.
const PATHS: &[(&str, &str)] = &[
    ("COPY to a link", "COPY mine /l/"),
    ("COPY to a file behind a link", "COPY mine /l/secret"),
    ("COPY of a link of the context", "COPY file /x"),
    ("COPY of what is behind a link", "COPY dir/secret /x"),
    ("COPY of a directory behind a link", "COPY dir/ /x/"),
    ("COPY of the host by its path", "COPY HOST/secret /x"),
    (
        "COPY of what is above",
        "COPY ../../../../../../HOST/secret /x",
    ),
    ("COPY of a pattern behind a link", "COPY d*/s* /x/"),
    (
        "COPY with its directories",
        "COPY --parents dir/./secret /x/",
    ),
    ("COPY from a stage, of a link", "COPY --from=base /l /x"),
    (
        "COPY from a stage, behind a link",
        "COPY --from=base /l/secret /x",
    ),
    (
        "COPY from a stage, through the root of a process",
        "COPY --from=base /proc/self/root/HOST/secret /x",
    ),
    ("ADD to a link", "ADD mine.tar /l/"),
    (
        "ADD of an archive with a link and a file behind it",
        "ADD trick.tar /x/",
    ),
    ("WORKDIR behind a link", "WORKDIR /l/made"),
    (
        "a bind mount on a link",
        "RUN --mount=type=bind,source=mine,target=/l/mounted true",
    ),
    (
        "a bind mount of what is above",
        "RUN --mount=type=bind,source=../../HOST,target=/x cat /x/secret",
    ),
    (
        "a bind mount of a link",
        "RUN --mount=type=bind,source=dir,target=/x cat /x/secret",
    ),
    (
        "a bind mount of a link in a stage",
        "RUN --mount=type=bind,from=base,source=/l,target=/x cat /x/secret",
    ),
    (
        "a writable bind mount of the context",
        "RUN --mount=type=bind,rw,target=/x echo changed >/x/mine; echo changed >/x/dir/secret",
    ),
    (
        "a secret on a link",
        "RUN --mount=type=secret,id=s,target=/l/secret true",
    ),
    (
        "a secret on a link to a file",
        "RUN ln -s HOST/secret /f\nRUN --mount=type=secret,id=s,target=/f true",
    ),
    (
        "a cache on a link",
        "RUN --mount=type=cache,target=/l/cache touch /l/cache/x",
    ),
    (
        "a cache with a link in it",
        "RUN --mount=type=cache,target=/c ln -sfn HOST /c/l\nRUN --mount=type=cache,target=/c --mount=type=tmpfs,target=/c/l/t cat /c/l/secret",
    ),
    (
        "a cache that begins as a link of a stage",
        "RUN --mount=type=cache,from=base,source=/l,target=/c cat /c/secret",
    ),
    (
        "a file system in memory on a link",
        "RUN --mount=type=tmpfs,target=/l/t touch /l/t/x",
    ),
    (
        "names of users behind a link",
        "RUN rm /etc/passwd; ln -s HOST/secret /etc/passwd\nUSER known\nRUN true",
    ),
    (
        "names of hosts behind a link",
        "RUN ln -sf HOST/secret /etc/hosts; ln -sf HOST/made /etc/resolv.conf\nRUN echo >>/etc/hosts; true",
    ),
    (
        "kernel files that are links",
        "RUN ln -s HOST /x; rm -rf /sys /dev; ln -s HOST /dev; ln -s HOST /sys; true\nRUN true",
    ),
    ("a shell that is a link", "SHELL [\"/l/secret\"]\nRUN true"),
];

/// What the image of [`PATHS`] begins with.
const BASE: &str = "FROM alpine AS base\nRUN ln -s HOST /l\nFROM base\n";

fn trick() -> Vec<u8> {
    // A link out, and a file behind it: `ln -s HOST d; tar d; rm d; mkdir d; tar -r d/secret`.
    let scratch = Scratch::new();
    let path = scratch.path().to_str().unwrap();
    let script = "cd $0; ln -s ../../../../../../../../tmp d; tar -cf t d; rm d; mkdir d; echo x >d/made; tar -rf t d/made";
    tool("sh", &["-c", script, path]);
    std::fs::read(scratch.join("t")).unwrap()
}

/// One build, after which the host is as it was.
fn stays_inside(kiln: &Kiln, name: &str, dockerfile: &str) {
    let scratch = Scratch::new();
    let host = scratch.dir("host");
    std::fs::write(host.join("secret"), format!("{SECRET}:x:0:0::/:/bin/sh\n")).unwrap();
    let before = testkit::tree::list(&host);
    let host_path = host.to_str().unwrap();
    let project = Project::of(&format!("{BASE}{dockerfile}\n").replace("HOST", host_path));
    project.write("mine", "mine\n");
    std::os::unix::fs::symlink(host.join("secret"), project.join("file")).unwrap();
    std::os::unix::fs::symlink(&host, project.join("dir")).unwrap();
    std::fs::write(project.join("trick.tar"), trick()).unwrap();
    let mine = project.join("mine");
    tool(
        "tar",
        &[
            "-C",
            project.path().to_str().unwrap(),
            "-cf",
            project.join("mine.tar").to_str().unwrap(),
            "mine",
        ],
    );
    let out = scratch.join("out.tar");
    let output = format!("type=tar,dest={}", out.display());
    let secret = format!("id=s,src={}", mine.display());
    let ran = kiln.try_build(&project, &["--secret", &secret, "-o", &output]);
    assert_eq!(testkit::tree::list(&host), before, "{name}");
    assert_eq!(std::fs::read_to_string(&mine).unwrap(), "mine\n", "{name}");
    assert!(!ran.stderr.contains(SECRET), "{name}: {}", ran.stderr);
    let image = std::fs::read(&out).unwrap_or_default();
    let is_in = image
        .windows(SECRET.len())
        .any(|bytes| bytes == SECRET.as_bytes());
    assert!(!is_in, "{name}");
}

#[test]
fn links_to_the_host() {
    let kiln = Kiln::new();
    for (name, dockerfile) in PATHS {
        stays_inside(&kiln, name, dockerfile);
    }
    kiln.assert_clean();
}

/// A result that is written twice to one directory, whose first form has a link where the second has
/// a directory.
#[test]
fn a_result_that_leads_out_of_its_directory() {
    let kiln = Kiln::new();
    let scratch = Scratch::new();
    let (host, out) = (scratch.dir("host"), scratch.join("out"));
    let output = format!("type=local,dest={}", out.display());
    let link = format!(
        "FROM alpine AS a\nRUN mkdir /o; ln -s {} /o/l\nFROM scratch\nCOPY --from=a /o /\n",
        host.display()
    );
    kiln.build(&Project::of(&link), &["-o", &output]);
    let file = "FROM alpine AS a\nRUN mkdir -p /o/l; echo x >/o/l/made\nFROM scratch\nCOPY --from=a /o /\n";
    let _ran = kiln.try_build(&Project::of(file), &["-o", &output]);
    assert_eq!(testkit::tree::list(&host), "");
}

#[test]
fn no_network_is_none() {
    let name = format!("kiln-test-{}", std::process::id());
    let address = {
        use std::os::linux::net::SocketAddrExt as _;
        SocketAddr::from_abstract_name(&name).unwrap()
    };
    let _listener = UnixListener::bind_addr(&address).unwrap();
    let connect = format!(
        "sub try_connect {{ my ($name, $kind, $to) = @_; socket(S, $kind, 1, 0); print $name, connect(S, $to) ? \"in\" : $!, \"\\n\" }}
         try_connect(\"meta-data: \", 2, pack(\"S n C4 x8\", 2, 80, 169, 254, 169, 254));
         try_connect(\"the host: \", 2, pack(\"S n C4 x8\", 2, 1, 127, 0, 0, 1));
         try_connect(\"a socket without a file: \", 1, pack(\"S a*\", 1, \"\\0{name}\"));\n"
    );
    let script = "FROM alpine\nCOPY host/ /\nCOPY connect.pl /\n\
         RUN --network=none { /usr/bin/perl /connect.pl; ls /sys/class/net; } >/result 2>&1; true\n\
         FROM scratch AS out\nCOPY --from=0 /result /\n";
    let project = with_perl("");
    project.write("Dockerfile", script);
    project.write("connect.pl", &connect);
    let result = result(&Kiln::new(), &project);
    assert_eq!(
        result,
        "meta-data: Network is unreachable\nthe host: Connection refused\n\
         a socket without a file: Connection refused\nlo\n"
    );
}

/// Programs that an image makes set-user-ID are out of reach of the host's users.
#[test]
fn programs_of_images_are_out_of_reach() {
    use std::os::unix::fs::PermissionsExt as _;
    let kiln = Kiln::new();
    kiln.build(
        &Project::of("FROM alpine\nRUN cp /bin/busybox /su; chmod 4755 /su\n"),
        &[],
    );
    for folder in ["snapshots", "cache-mounts", "containers"] {
        let path = kiln.root().join(folder);
        let mode = Path::new(&path).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o700, "{folder}");
    }
}
