//! Commands and flags of docker's that kiln does not have, and what to do instead.
//!
//! They are listed so that a script that was written for docker fails with the name of what is
//! missing, and not with a guess. Flags that only repeat a default are here too: kiln takes a
//! flag when it does what the flag says, and else says so.

/// Commands that build an image.
const BUILD: &[&str] = &["build"];
/// Commands that make a container.
const CONTAINER: &[&str] = &["run", "create"];

/// Commands about images in registries, of which some have names of others.
const IMAGETOOLS: &str = "imagetools";

/// Flags by the commands that have them in docker.
const FLAGS: &[(&[&str], &str, &str)] = &[
    (BUILD, "--cgroup-parent", "start kiln in that cgroup"),
    (
        BUILD,
        "--compress",
        "a local context is read in place and never sent",
    ),
    (
        BUILD,
        "--disable-content-trust",
        "images are named by digest to be certain of them",
    ),
    (BUILD, "--force-rm", "steps leave no containers behind"),
    (
        BUILD,
        "--isolation",
        "set KILN_ISOLATION to namespaces or chroot",
    ),
    (BUILD, "--policy", "name base images by digest"),
    (BUILD, "--rm", "steps leave no containers behind"),
    (
        BUILD,
        "--security-opt",
        "steps run with docker's default profile",
    ),
    (
        BUILD,
        "--squash",
        "copy the result into a last stage FROM scratch",
    ),
    (
        CONTAINER,
        "--attach",
        "a container's output is always attached",
    ),
    (CONTAINER, "-a", "a container's output is always attached"),
    (
        CONTAINER,
        "--cap-add",
        "containers have docker's default capabilities",
    ),
    (
        CONTAINER,
        "--cap-drop",
        "containers have docker's default capabilities",
    ),
    (CONTAINER, "--cidfile", "the command prints the ID"),
    (
        CONTAINER,
        "--detach",
        "kiln has no daemon that would keep it: use the shell's &",
    ),
    (
        CONTAINER,
        "-d",
        "kiln has no daemon that would keep it: use the shell's &",
    ),
    (
        CONTAINER,
        "--device",
        "containers have docker's default devices",
    ),
    (
        CONTAINER,
        "--dns",
        "containers use the host's /etc/resolv.conf",
    ),
    (
        CONTAINER,
        "--gpus",
        "containers have docker's default devices",
    ),
    (
        CONTAINER,
        "--init",
        "a container's process 1 is its command",
    ),
    (
        &["create"],
        "--interactive",
        "`kiln run` creates and starts",
    ),
    (&["create"], "-i", "`kiln run` creates and starts"),
    (CONTAINER, "--label", "label the image"),
    (CONTAINER, "-l", "label the image"),
    (
        CONTAINER,
        "--memory-reservation",
        "--memory is what it may take at most",
    ),
    (
        CONTAINER,
        "--mount",
        "copy files in and out with `kiln container cp`",
    ),
    (
        CONTAINER,
        "--privileged",
        "containers have docker's default capabilities",
    ),
    (
        CONTAINER,
        "--publish",
        "the default network is the host's, where the ports are already reachable",
    ),
    (
        CONTAINER,
        "-p",
        "the default network is the host's, where the ports are already reachable",
    ),
    (
        CONTAINER,
        "--publish-all",
        "the default network is the host's, where the ports are already reachable",
    ),
    (
        CONTAINER,
        "-P",
        "the default network is the host's, where the ports are already reachable",
    ),
    (
        CONTAINER,
        "--read-only",
        "the container's own layer is always writable",
    ),
    (
        CONTAINER,
        "--restart",
        "kiln has no daemon that would restart it",
    ),
    (
        CONTAINER,
        "--security-opt",
        "containers have docker's default profile",
    ),
    (
        CONTAINER,
        "--tmpfs",
        "write to the container's own file system",
    ),
    (&["create"], "--tty", "`kiln run` creates and starts"),
    (&["create"], "-t", "`kiln run` creates and starts"),
    (
        CONTAINER,
        "--volume",
        "copy files in and out with `kiln container cp`",
    ),
    (
        CONTAINER,
        "-v",
        "copy files in and out with `kiln container cp`",
    ),
    (
        CONTAINER,
        "--volumes-from",
        "copy files in and out with `kiln container cp`",
    ),
    (&["pull", "push"], "--all-tags", "name each tag"),
    (&["pull", "push"], "-a", "name each tag"),
    (
        &["pull", "push"],
        "--disable-content-trust",
        "images are named by digest to be certain of them",
    ),
    (
        &["push"],
        "--platform",
        "kiln pushes what the name leads to",
    ),
    (
        &["save", "load", "history", "inspect"],
        "--platform",
        "kiln takes the image for this machine's platform",
    ),
    (
        &["rmi", "rm"],
        "--no-prune",
        "layers that others use are always kept",
    ),
    (
        &["rmi"],
        "--platform",
        "kiln removes the name, for all platforms",
    ),
    (&["rm"], "--link", "kiln has no links between containers"),
    (&["rm"], "-l", "kiln has no links between containers"),
    (
        &["images", "ls"],
        "--tree",
        "kiln shows the image for this machine's platform",
    ),
    (&["ps", "ls"], "--last", "use --all"),
    (&["ps", "ls"], "-n", "use --all"),
    (&["ps", "ls"], "--latest", "use --all"),
    (&["ps", "ls"], "-l", "use --all"),
    (
        &["ps", "ls"],
        "--size",
        "`kiln du` shows what the store holds",
    ),
    (&["ps", "ls"], "-s", "`kiln du` shows what the store holds"),
    (
        &["inspect"],
        "--size",
        "`kiln du` shows what the store holds",
    ),
    (&["inspect"], "-s", "`kiln du` shows what the store holds"),
    (&["prune"], "--volumes", "kiln makes no volumes"),
    (
        &["prune", "du"],
        "--timeout",
        "there is no builder to be waited for",
    ),
    (
        &["imagetools create", "imagetools inspect"],
        "--builder",
        "kiln asks registries itself, as kiln.toml says",
    ),
    (
        &["du"],
        "--filter",
        "`kiln du --verbose --format json` lists everything",
    ),
];

/// Commands of docker's.
const COMMANDS: &[(&str, &str)] = &[
    ("attach", "`kiln run` is attached until it ends"),
    ("commit", "build an image with `kiln build`"),
    ("compose", "kiln builds images and runs single containers"),
    ("diff", "copy files out with `kiln container cp`"),
    ("exec", "`kiln run` starts a new container of an image"),
    (
        "export",
        "`kiln container cp NAME:/ -` writes the file system as a tar",
    ),
    ("import", "build an image FROM scratch with ADD"),
    ("info", "see `kiln version` and `kiln du`"),
    ("kill", "`kiln run` passes signals on"),
    ("logs", "`kiln run` prints what its container prints"),
    ("search", "kiln asks registries for images by name only"),
    ("start", "`kiln run` creates and starts"),
    ("stop", "`kiln run` passes signals on"),
    ("wait", "`kiln run` waits for its container"),
];

/// What to say about `flag` of the command at `words`; nothing when docker has no such flag.
#[must_use]
pub fn flag(words: &[String], flag: &str) -> Option<String> {
    let command = match words {
        [.., parent, command] if parent == IMAGETOOLS => format!("{parent} {command}"),
        _ => words.last()?.clone(),
    };
    let name = match flag.strip_prefix("--") {
        Some(_) => flag.split('=').next()?.to_owned(),
        None => flag.chars().take(2).collect(),
    };
    let (_, _, instead) = FLAGS
        .iter()
        .find(|(commands, flag, _)| commands.contains(&command.as_str()) && *flag == name)?;
    Some(format!("kiln does not support {name}: {instead}"))
}

/// What to say about the command `word` after `words`; nothing when docker has no such command.
#[must_use]
pub fn command(words: &[String], word: &str) -> Option<String> {
    let holders: &[&str] = &["container", "builder", "system"];
    if words
        .last()
        .is_some_and(|holder| !holders.contains(&holder.as_str()))
    {
        return None;
    }
    let (_, instead) = COMMANDS.iter().find(|(name, _)| *name == word)?;
    Some(format!("kiln has no command `{word}`: {instead}"))
}
