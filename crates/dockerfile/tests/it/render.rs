//! What comes of a Dockerfile, as text.

use std::fmt::Write as _;

use dockerfile::{
    Diagnostic, HistoryLayer, ImageAnswer, Lowered, Lowering, Outline, OutlineArg, OutlineMount,
    Source, Step, TargetImage,
};
use graph::{
    Chmod, Copy, Edge, ExecOp, FileAction, FileActionKind, FileInput, Graph, MountSource, Op,
    Owner, OwnerName, SecretTarget, SourceOp, Vertex,
};

use crate::case::Given;

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Everything: diagnostics, questions, graph, config.
pub(crate) fn outcome(text: &str, given: Given) -> String {
    let parsed = dockerfile::parse(text);
    let source = parsed.source.clone();
    let mut out = String::new();
    if given.show.iter().any(|what| what == "parsed") {
        for meta in &parsed.meta_args {
            writeln!(out, "{meta:?}").unwrap();
        }
        for stage in &parsed.stages {
            writeln!(out, "{stage:#?}").unwrap();
        }
    }
    if given.show.iter().any(|what| what == "targets") {
        for target in parsed.targets() {
            writeln!(out, "{target:?}").unwrap();
        }
    }
    match lower(parsed, &given, &mut out) {
        Ok(lowered) => show(&mut out, &lowered, &given, &source),
        Err(diagnostics) => show_diagnostics(&mut out, &diagnostics, &source, &given),
    }
    // The digest is the same everywhere and long.
    out.replace(&format!("@{DIGEST}"), "@sha256:0")
}

fn lower(
    parsed: dockerfile::Parsed,
    given: &Given,
    out: &mut String,
) -> Result<Lowered, Vec<Diagnostic>> {
    let mut lowering = Lowering::new(parsed, given.options.clone())?;
    let asked = |what: &str| given.show.iter().any(|shown| shown == what);
    loop {
        match lowering.step()? {
            Step::Done(lowered) => return Ok(*lowered),
            Step::NeedTime(op) => {
                if asked("questions") {
                    writeln!(out, "asks for the time of {op:?}").unwrap();
                }
                lowering.set_epoch(given.time);
            }
            Step::NeedImages(questions) => {
                for question in questions {
                    if asked("questions") {
                        writeln!(out, "asks {} for {}", question.name, question.platform).unwrap();
                    }
                    let name = question.reference.to_string();
                    let known = given.images.get(&name);
                    let Some((config, layers)) = known else {
                        if given.is_offline {
                            lowering.leave_open(question.id);
                            continue;
                        }
                        return Err(vec![lowering.refuse(question.id, "not found")]);
                    };
                    lowering.answer(ImageAnswer {
                        question: question.id,
                        reference: question.reference.with_digest(DIGEST.parse().unwrap()),
                        config: config.clone(),
                        layers: *layers,
                    });
                }
            }
        }
    }
}

fn show(out: &mut String, lowered: &Lowered, given: &Given, source: &Source) {
    let asked = |what: &str| {
        given
            .show
            .iter()
            .any(|shown| shown == what || shown == "all")
    };
    show_diagnostics(out, &lowered.warnings, source, given);
    if asked("graph") {
        show_graph(out, &lowered.graph);
        show_place(out, "target", lowered.target.file_system);
        for target in &lowered.more_targets {
            show_place(out, &format!("target {}", target.stage), target.file_system);
        }
        for edge in &lowered.required {
            show_place(out, "requires", Some(*edge));
        }
    }
    if given.show.iter().any(|shown| shown == "scan") {
        show_scan(out, &lowered.target);
        lowered
            .more_targets
            .iter()
            .for_each(|target| show_scan(out, target));
    }
    if asked("names") {
        for (id, vertex) in lowered.graph.iter() {
            let mark = if vertex.meta.ignore_cache {
                " (no cache)"
            } else {
                ""
            };
            writeln!(out, "{} {}{mark}", id.index(), vertex.meta.name).unwrap();
        }
    }
    show_target(out, &lowered.target, &asked);
    for target in &lowered.more_targets {
        if asked("config") || asked("history") {
            writeln!(out, "# {}", target.stage).unwrap();
        }
        show_target(out, target, &asked);
    }
    if given.show.iter().any(|shown| shown == "outline") {
        show_outline(out, &lowered.outline);
    }
    if asked("epoch") {
        writeln!(out, "epoch {:?}", lowered.source_date_epoch).unwrap();
    }
}

fn show_place(out: &mut String, what: &str, edge: Option<Edge>) {
    let at = edge.map_or("scratch".to_owned(), place);
    writeln!(out, "{what} {at}").unwrap();
}

fn show_scan(out: &mut String, target: &TargetImage) {
    let mark = if target.scan.ignore_cache {
        " (no cache)"
    } else {
        ""
    };
    writeln!(out, "scan {}{mark}", target.stage).unwrap();
    for (name, edge) in &target.scan.more {
        show_place(out, &format!("scan {name}"), *edge);
    }
}

fn show_target(out: &mut String, target: &TargetImage, asked: &dyn Fn(&str) -> bool) {
    if asked("config") {
        let config = &target.config;
        let text = oci::to_canonical_json(&config.config).unwrap();
        let platform = oci::Platform::new(&config.os, &config.architecture, &config.variant);
        writeln!(out, "platform {platform}").unwrap();
        if !config.author.is_empty() {
            writeln!(out, "author {}", config.author).unwrap();
        }
        writeln!(out, "config {}", String::from_utf8(text).unwrap()).unwrap();
    }
    if asked("history") {
        for (entry, layer) in target.config.history.iter().zip(&target.history_layers) {
            let layer = match layer {
                HistoryLayer::Base => "base".to_owned(),
                HistoryLayer::Steps => "steps".to_owned(),
                HistoryLayer::Empty => "empty".to_owned(),
                HistoryLayer::Vertex(edge) => place(*edge),
            };
            writeln!(out, "history {layer}: {:?}", entry.created_by).unwrap();
        }
    }
}

fn show_outline(out: &mut String, outline: &Outline) {
    let about = |text: &Option<String>| text.clone().unwrap_or_default();
    let (name, description) = (about(&outline.name), about(&outline.description));
    writeln!(out, "outline {name:?} {description:?}").unwrap();
    for arg in &outline.args {
        let description = about(&arg.description);
        let OutlineArg {
            name, value, span, ..
        } = arg;
        let line = span.first_line;
        writeln!(out, "  arg {name} {value:?} {description:?} @{line}").unwrap();
    }
    for (kind, mounts) in [("secret", &outline.secrets), ("ssh", &outline.ssh)] {
        for OutlineMount { id, required, span } in mounts {
            let line = span.first_line;
            writeln!(out, "  {kind} {id} required {required} @{line}").unwrap();
        }
    }
}

fn show_diagnostics(out: &mut String, diagnostics: &[Diagnostic], source: &Source, given: &Given) {
    for diagnostic in diagnostics {
        if given.show.iter().any(|shown| shown == "excerpts") {
            out.push_str(&diagnostic.render(source));
            continue;
        }
        let lines: Vec<String> = diagnostic
            .spans
            .iter()
            .map(|span| match span.first_line == span.last_line {
                true => span.first_line.to_string(),
                false => format!("{}-{}", span.first_line, span.last_line),
            })
            .collect();
        let kind = format!("{:?}", diagnostic.severity).to_lowercase();
        let lines = lines.join(",");
        let at = if lines.is_empty() {
            String::new()
        } else {
            format!(" at {lines}")
        };
        writeln!(out, "{kind}{at}: {diagnostic}").unwrap();
        if given.show.iter().any(|shown| shown == "help")
            && let Some(help) = &diagnostic.help
        {
            writeln!(out, "    help: {help}").unwrap();
        }
    }
}

fn show_graph(out: &mut String, graph: &Graph) {
    for (id, vertex) in graph.iter() {
        let lines = vertex.meta.locations.iter();
        let lines: Vec<String> = lines.map(|at| at.first_line.to_string()).collect();
        let at = if lines.is_empty() {
            String::new()
        } else {
            format!(" @{}", lines.join(","))
        };
        let mark = if vertex.meta.ignore_cache {
            " (no cache)"
        } else {
            ""
        };
        writeln!(out, "{} {}{at}{mark}", id.index(), vertex.meta.name).unwrap();
        show_op(out, vertex);
    }
}

fn show_op(out: &mut String, vertex: &Vertex) {
    let inputs: Vec<String> = vertex.inputs.iter().map(|edge| place(*edge)).collect();
    let inputs = inputs.join(" ");
    match &vertex.op {
        Op::Source(source) => writeln!(out, "    {}", show_source(source)).unwrap(),
        Op::Exec(exec) => {
            writeln!(out, "    exec [{inputs}] {:?}", exec.process.args).unwrap();
            show_exec(out, exec);
        }
        Op::File(file) => {
            writeln!(out, "    file [{inputs}]").unwrap();
            for action in &file.actions {
                writeln!(out, "      {}", show_action(action)).unwrap();
            }
        }
        Op::Merge(_) => writeln!(out, "    merge [{inputs}]").unwrap(),
        Op::Diff(_) => writeln!(out, "    diff [{inputs}]").unwrap(),
    }
}

fn show_source(source: &SourceOp) -> String {
    match source {
        SourceOp::Image(image) => {
            format!(
                "image {} {} {:?}",
                image.reference, image.platform, image.pull
            )
        }
        SourceOp::Local(local) => format!("local {} exclude {:?}", local.name, local.exclude),
        SourceOp::Archive(archive) => format!("archive {}", archive.digest),
        SourceOp::Git(git) => format!(
            "git {} ref {:?} subdir {:?} keep {} checksum {:?}",
            git.url, git.reference, git.subdirectory, git.keep_git_directory, git.checksum
        ),
        SourceOp::Http(http) => format!(
            "http {} as {} checksum {:?}",
            http.url,
            http.file_name,
            http.checksum.map(|checksum| checksum.to_string())
        ),
    }
}

fn show_exec(out: &mut String, exec: &ExecOp) {
    let process = &exec.process;
    writeln!(out, "      env {:?}", process.env).unwrap();
    if process.cwd != "/" || !process.user.is_empty() {
        writeln!(out, "      cwd {} user {:?}", process.cwd, process.user).unwrap();
    }
    for mount in &exec.mounts {
        if mount.target == "/" {
            continue;
        }
        let access = if mount.read_only { "ro" } else { "rw" };
        let shown = show_mount(&mount.source);
        writeln!(out, "      mount {} {access} {shown}", mount.target).unwrap();
    }
    for device in &exec.devices {
        writeln!(out, "      device {}", device.name).unwrap();
    }
    let rest = (exec.network, exec.security);
    if rest != Default::default() {
        writeln!(out, "      network {:?} security {:?}", rest.0, rest.1).unwrap();
    }
    let meta = (
        &exec.extra_hosts,
        &exec.hostname,
        exec.shm_size,
        &exec.ulimits,
        &exec.proxy,
    );
    if meta != (&Vec::new(), &None, None, &Vec::new(), &Default::default()) {
        writeln!(out, "      {meta:?}").unwrap();
    }
}

fn show_mount(source: &MountSource) -> String {
    match source {
        MountSource::Bind {
            input,
            selector,
            output,
        } => format!("bind {input:?} {selector:?} -> {output:?}"),
        MountSource::Cache {
            id,
            sharing,
            input,
            selector,
            mode,
            owner,
        } => format!(
            "cache {id} {sharing:?} from {input:?} {selector:?} {mode:o} {}:{}",
            owner.uid, owner.gid
        ),
        MountSource::Tmpfs { size } => format!("tmpfs {size:?}"),
        MountSource::Secret {
            id,
            at,
            required,
            digest,
        } => {
            let at = match at {
                SecretTarget::File { mode, owner } => {
                    format!("file {mode:o} {}:{}", owner.uid, owner.gid)
                }
                SecretTarget::Env(name) => format!("env {name}"),
            };
            match digest {
                None => format!("secret {id} {at} required {required}"),
                Some(digest) => format!("secret {id} {at} required {required} digest {digest:?}"),
            }
        }
        MountSource::Ssh {
            id,
            mode,
            owner,
            required,
        } => format!(
            "ssh {id} {mode:o} {}:{} required {required}",
            owner.uid, owner.gid
        ),
    }
}

fn show_action(action: &FileAction) -> String {
    let input = show_input(action.input);
    let output = action
        .output
        .map_or(String::new(), |output| format!(" -> {output}"));
    match &action.kind {
        FileActionKind::Copy(copy) => format!("{input} {}{output}", show_copy(copy)),
        FileActionKind::Mkfile(file) => format!(
            "{input} mkfile {} {:o} {:?} {}{output}",
            file.path,
            file.mode,
            String::from_utf8_lossy(&file.data),
            show_owner(file.owner.as_ref())
        ),
        FileActionKind::Mkdir(directory) => format!(
            "{input} mkdir {} {:o} parents {} {}{output}",
            directory.path,
            directory.mode,
            directory.parents,
            show_owner(directory.owner.as_ref())
        ),
        FileActionKind::Remove(remove) => format!("{input} remove {}{output}", remove.path),
        FileActionKind::Symlink(link) => panic!("no Dockerfile makes {link:?}"),
    }
}

fn show_copy(copy: &Copy) -> String {
    let mut text = format!(
        "copy {}:{} to {} {}",
        show_input(copy.from),
        copy.source,
        copy.destination,
        show_owner(copy.owner.as_ref())
    );
    match &copy.mode {
        None => {}
        Some(Chmod::Octal(bits)) => write!(text, " mode {bits:o}").unwrap(),
        Some(Chmod::Symbolic(changes)) => write!(text, " mode {changes}").unwrap(),
    }
    let flags = [
        ("follow", copy.follow_links),
        ("contents", copy.directory_contents),
        ("wildcard", copy.wildcard),
        ("allow-empty", copy.allow_empty_wildcard),
        ("create", copy.create_destination),
        ("unpack", copy.unpack),
        ("parents", copy.parents),
    ];
    for (name, _) in flags.iter().filter(|(_, set)| *set) {
        write!(text, " {name}").unwrap();
    }
    if !copy.exclude.is_empty() {
        write!(text, " exclude {:?}", copy.exclude).unwrap();
    }
    text
}

fn show_owner(owner: Option<&Owner>) -> String {
    let name = |name: &Option<OwnerName>| match name {
        None => "-".to_owned(),
        Some(OwnerName::Id(id)) => id.to_string(),
        Some(OwnerName::Name(name)) => format!("{name:?}"),
    };
    match owner {
        None => "owner kept".to_owned(),
        Some(owner) => format!("owner {}:{}", name(&owner.user), name(&owner.group)),
    }
}

fn show_input(input: FileInput) -> String {
    match input {
        FileInput::Scratch => "scratch".to_owned(),
        FileInput::Input(index) => format!("in{index}"),
        FileInput::Action(index) => format!("#{index}"),
    }
}

fn place(edge: Edge) -> String {
    match edge.output {
        0 => edge.vertex.index().to_string(),
        output => format!("{}.{output}", edge.vertex.index()),
    }
}
