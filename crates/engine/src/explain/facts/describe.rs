//! Ops in words, without values that may be secrets.

use graph::{
    CacheSharing, ContentHash as _, ContentHasher, ExecOp, FileActionKind, FileOp, FileOwner,
    Mount, MountSource, NetworkMode, SecretTarget, SecurityMode,
};

use super::{ACTION, Facts, PLACE, SCRIPT, SHELL, Subject};

/// What the description of a bind mount begins with.
pub(super) const BIND: &str = "a bind of";

impl Facts {
    /// What a process is given.
    pub(super) fn exec(&mut self, exec: &ExecOp, instruction: &str) {
        for entry in exec.process.env.iter() {
            let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
            self.add(Subject::Variable(name.to_owned()), short_digest(value));
        }
        let (script, shell) = exec.process.args.split_last().unzip();
        self.set(SCRIPT, short_digest(script.map_or("", String::as_str)));
        // Without a shell everything is in the text of the instruction.
        if !is_exec_form(instruction) {
            self.set(SHELL, shell.unwrap_or_default().join(" "));
        }
        self.set("the working directory", exec.process.cwd.clone());
        self.set("the user", or(&exec.process.user, "root"));
        self.set("the network mode", network(exec.network).to_owned());
        self.set("the security mode", security(exec.security).to_owned());
        let hostname = exec.hostname.as_deref().unwrap_or_default();
        self.set("the host name", or(hostname, "the sandbox's own"));
        let hosts = exec.extra_hosts.iter();
        let hosts: Vec<String> = hosts
            .map(|extra| format!("{}={}", extra.host, extra.address))
            .collect();
        self.set("the list of extra hosts", or(&hosts.join(", "), "empty"));
        for device in &exec.devices {
            self.set(&format!("device {}", device.name), device.digest.hex());
        }
        for mount in exec.mounts.iter().filter(|mount| mount.target != "/") {
            self.mount(mount);
        }
    }

    /// What is done to files.
    pub(super) fn file(&mut self, op: &FileOp) {
        let mut hasher = ContentHasher::new("fact");
        op.feed(&mut hasher);
        self.set(ACTION, hasher.finish().hex());
        let mut places: Vec<&str> = Vec::new();
        for action in &op.actions {
            let place = match &action.kind {
                FileActionKind::Copy(copy) => &copy.destination,
                FileActionKind::Mkfile(file) => &file.path,
                FileActionKind::Mkdir(directory) => &directory.path,
                FileActionKind::Remove(remove) => &remove.path,
                FileActionKind::Symlink(link) => &link.path,
            };
            if !places.contains(&place.as_str()) {
                places.push(place);
            }
        }
        self.set(PLACE, places.join(" "));
    }

    fn mount(&mut self, mount: &Mount) {
        let mut place = mount.target.clone();
        if let MountSource::Secret { id, at, digest, .. } = &mount.source {
            if let SecretTarget::Env(name) = at {
                place.clone_from(name);
            }
            if let Some(digest) = digest {
                self.add(Subject::Secret(id.clone()), short_digest_of(digest));
            }
        }
        self.add(Subject::Mount(place), described(mount));
    }
}

/// `RUN ["a", "b"]`, with or without flags.
fn is_exec_form(instruction: &str) -> bool {
    let mut words = instruction.split_whitespace().skip(1);
    let first = words.find(|word| !word.starts_with("--"));
    first.is_some_and(|word| word.starts_with('['))
}

fn described(mount: &Mount) -> String {
    let mut words = match &mount.source {
        MountSource::Bind { selector, .. } => format!("{BIND} {}", or(selector, "/")),
        MountSource::Cache {
            id,
            sharing,
            input,
            selector,
            mode,
            owner,
        } => {
            let sharing = match sharing {
                CacheSharing::Shared => "shared",
                CacheSharing::Private => "private",
                CacheSharing::Locked => "locked",
            };
            let seed = input.map(|_| format!(", seeded from {}", or(selector, "/")));
            let rights = rights(*mode, *owner);
            format!("{sharing} cache {id}{}{rights}", seed.unwrap_or_default())
        }
        MountSource::Tmpfs { size } => match size {
            Some(bytes) => format!("a tmpfs of {bytes} bytes"),
            None => "a tmpfs".to_owned(),
        },
        MountSource::Secret {
            id, at, required, ..
        } => {
            let place = match at {
                SecretTarget::File { mode, owner } => rights(*mode, *owner),
                SecretTarget::Env(_) => " as a variable".to_owned(),
            };
            format!("{}secret {id}{place}", need(*required))
        }
        MountSource::Ssh {
            id,
            mode,
            owner,
            required,
        } => {
            let rights = rights(*mode, *owner);
            format!("{}SSH agent {id}{rights}", need(*required))
        }
    };
    let is_files = matches!(
        mount.source,
        MountSource::Bind { .. } | MountSource::Cache { .. }
    );
    match (is_files, mount.read_only) {
        (true, true) => words.push_str(", read-only"),
        (true, false) => words.push_str(", writable"),
        (false, _) => {}
    }
    words
}

fn rights(mode: u32, owner: FileOwner) -> String {
    format!(" with mode {mode:04o} of {}:{}", owner.uid, owner.gid)
}

const fn need(required: bool) -> &'static str {
    if required { "required " } else { "" }
}

const fn network(mode: NetworkMode) -> &'static str {
    match mode {
        NetworkMode::Default => "default",
        NetworkMode::Host => "host",
        NetworkMode::None => "none",
    }
}

const fn security(mode: SecurityMode) -> &'static str {
    match mode {
        SecurityMode::Sandbox => "sandbox",
        SecurityMode::Insecure => "insecure",
    }
}

fn or(text: &str, when_empty: &str) -> String {
    match text {
        "" => when_empty.to_owned(),
        text => text.to_owned(),
    }
}

/// Enough to see that two values differ, too little to find out what they are by trying.
pub(super) fn short_digest(value: &str) -> String {
    short_digest_of(value.as_bytes())
}

fn short_digest_of(value: &[u8]) -> String {
    let mut hasher = ContentHasher::new("fact");
    hasher.bytes(value);
    hasher.finish().hex().chars().take(8).collect()
}
