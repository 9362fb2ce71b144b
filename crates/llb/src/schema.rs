//! The messages of an op by number and name, as BuildKit's newest `solver/pb/ops.proto` has them.
//!
//! A decoder skips what it does not know. Here nothing may be skipped, so every message is also
//! walked over with this table in hand.

use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use crate::error::Problem;

/// A message.
#[derive(Debug)]
pub struct Message {
    /// Its name in the definition of the protocol.
    pub name: &'static str,
    /// What it may have.
    pub fields: &'static [Field],
}

/// A field of a message.
#[derive(Debug)]
pub struct Field {
    /// Its number.
    pub number: u32,
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
}

/// What a field holds.
#[derive(Debug)]
pub enum Kind {
    /// A number, a truth or an enumerated value; several may be packed.
    Number,
    /// Text or bytes.
    Bytes,
    /// A message.
    Message(&'static Message),
}

/// Makes the table of each message; those that it is made of are named.
macro_rules! messages {
    ($($id:ident = $name:literal { $(($number:literal, $field:literal, $kind:expr)),* $(,)? };)*) => {
        $(static $id: Message = Message {
            name: $name,
            fields: &[$(Field { number: $number, name: $field, kind: $kind }),*],
        };)*
    };
}

/// An op.
pub static OP: &Message = &OP_MESSAGE;

messages! {
    OP_MESSAGE = "Op" { (1, "inputs", Kind::Message(&INPUT)), (2, "exec", Kind::Message(&EXEC_OP)), (3, "source", Kind::Message(&SOURCE_OP)), (4, "file", Kind::Message(&FILE_OP)), (5, "build", Kind::Message(&BUILD_OP)), (6, "merge", Kind::Message(&MERGE_OP)), (7, "diff", Kind::Message(&DIFF_OP)), (8, "passthrough", Kind::Message(&PASSTHROUGH_OP)), (10, "platform", Kind::Message(&PLATFORM)), (11, "constraints", Kind::Message(&WORKER_CONSTRAINTS)) };
    INPUT = "Input" { (1, "digest", Kind::Bytes), (2, "index", Kind::Number) };
    EXEC_OP = "ExecOp" { (1, "meta", Kind::Message(&META)), (2, "mounts", Kind::Message(&MOUNT)), (3, "network", Kind::Number), (4, "security", Kind::Number), (5, "secretenv", Kind::Message(&SECRET_ENV)), (6, "cdiDevices", Kind::Message(&CDIDEVICE)) };
    META = "Meta" { (1, "args", Kind::Bytes), (2, "env", Kind::Bytes), (3, "cwd", Kind::Bytes), (4, "user", Kind::Bytes), (5, "proxy_env", Kind::Message(&PROXY_ENV)), (6, "extraHosts", Kind::Message(&HOST_IP)), (7, "hostname", Kind::Bytes), (9, "ulimit", Kind::Message(&ULIMIT)), (10, "cgroupParent", Kind::Bytes), (11, "removeMountStubsRecursive", Kind::Number), (12, "validExitCodes", Kind::Number) };
    PROXY_ENV = "ProxyEnv" { (1, "http_proxy", Kind::Bytes), (2, "https_proxy", Kind::Bytes), (3, "ftp_proxy", Kind::Bytes), (4, "no_proxy", Kind::Bytes), (5, "all_proxy", Kind::Bytes) };
    HOST_IP = "HostIP" { (1, "Host", Kind::Bytes), (2, "IP", Kind::Bytes) };
    ULIMIT = "Ulimit" { (1, "Name", Kind::Bytes), (2, "Soft", Kind::Number), (3, "Hard", Kind::Number) };
    MOUNT = "Mount" { (1, "input", Kind::Number), (2, "selector", Kind::Bytes), (3, "dest", Kind::Bytes), (4, "output", Kind::Number), (5, "readonly", Kind::Number), (6, "mountType", Kind::Number), (19, "TmpfsOpt", Kind::Message(&TMPFS_OPT)), (20, "cacheOpt", Kind::Message(&CACHE_OPT)), (21, "secretOpt", Kind::Message(&SECRET_OPT)), (22, "SSHOpt", Kind::Message(&SSHOPT)), (23, "resultID", Kind::Bytes), (24, "contentCache", Kind::Number) };
    TMPFS_OPT = "TmpfsOpt" { (1, "size", Kind::Number) };
    CACHE_OPT = "CacheOpt" { (1, "ID", Kind::Bytes), (2, "sharing", Kind::Number) };
    SECRET_OPT = "SecretOpt" { (1, "ID", Kind::Bytes), (2, "uid", Kind::Number), (3, "gid", Kind::Number), (4, "mode", Kind::Number), (5, "optional", Kind::Number) };
    SSHOPT = "SSHOpt" { (1, "ID", Kind::Bytes), (2, "uid", Kind::Number), (3, "gid", Kind::Number), (4, "mode", Kind::Number), (5, "optional", Kind::Number) };
    SECRET_ENV = "SecretEnv" { (1, "ID", Kind::Bytes), (2, "name", Kind::Bytes), (3, "optional", Kind::Number) };
    CDIDEVICE = "CDIDevice" { (1, "name", Kind::Bytes), (2, "optional", Kind::Number) };
    SOURCE_OP = "SourceOp" { (1, "identifier", Kind::Bytes), (2, "attrs", Kind::Message(&ATTRIBUTES)) };
    FILE_OP = "FileOp" { (2, "actions", Kind::Message(&FILE_ACTION)) };
    FILE_ACTION = "FileAction" { (1, "input", Kind::Number), (2, "secondaryInput", Kind::Number), (3, "output", Kind::Number), (4, "copy", Kind::Message(&FILE_ACTION_COPY)), (5, "mkfile", Kind::Message(&FILE_ACTION_MK_FILE)), (6, "mkdir", Kind::Message(&FILE_ACTION_MK_DIR)), (7, "rm", Kind::Message(&FILE_ACTION_RM)), (8, "symlink", Kind::Message(&FILE_ACTION_SYMLINK)) };
    FILE_ACTION_COPY = "FileActionCopy" { (1, "src", Kind::Bytes), (2, "dest", Kind::Bytes), (3, "owner", Kind::Message(&CHOWN_OPT)), (4, "mode", Kind::Number), (5, "followSymlink", Kind::Number), (6, "dirCopyContents", Kind::Number), (7, "attemptUnpackDockerCompatibility", Kind::Number), (8, "createDestPath", Kind::Number), (9, "allowWildcard", Kind::Number), (10, "allowEmptyWildcard", Kind::Number), (11, "timestamp", Kind::Number), (12, "include_patterns", Kind::Bytes), (13, "exclude_patterns", Kind::Bytes), (14, "alwaysReplaceExistingDestPaths", Kind::Number), (15, "modeStr", Kind::Bytes), (16, "required_paths", Kind::Bytes) };
    CHOWN_OPT = "ChownOpt" { (1, "user", Kind::Message(&USER_OPT)), (2, "group", Kind::Message(&USER_OPT)) };
    USER_OPT = "UserOpt" { (1, "byName", Kind::Message(&NAMED_USER_OPT)), (2, "byID", Kind::Number) };
    NAMED_USER_OPT = "NamedUserOpt" { (1, "name", Kind::Bytes), (2, "input", Kind::Number) };
    FILE_ACTION_MK_FILE = "FileActionMkFile" { (1, "path", Kind::Bytes), (2, "mode", Kind::Number), (3, "data", Kind::Bytes), (4, "owner", Kind::Message(&CHOWN_OPT)), (5, "timestamp", Kind::Number) };
    FILE_ACTION_MK_DIR = "FileActionMkDir" { (1, "path", Kind::Bytes), (2, "mode", Kind::Number), (3, "makeParents", Kind::Number), (4, "owner", Kind::Message(&CHOWN_OPT)), (5, "timestamp", Kind::Number) };
    FILE_ACTION_RM = "FileActionRm" { (1, "path", Kind::Bytes), (2, "allowNotFound", Kind::Number), (3, "allowWildcard", Kind::Number) };
    FILE_ACTION_SYMLINK = "FileActionSymlink" { (1, "oldpath", Kind::Bytes), (2, "newpath", Kind::Bytes), (3, "owner", Kind::Message(&CHOWN_OPT)), (4, "timestamp", Kind::Number) };
    BUILD_OP = "BuildOp" { (1, "builder", Kind::Number), (2, "inputs", Kind::Message(&BUILD_INPUTS)), (3, "def", Kind::Bytes), (4, "attrs", Kind::Message(&ATTRIBUTES)) };
    BUILD_INPUT = "BuildInput" { (1, "input", Kind::Number) };
    MERGE_OP = "MergeOp" { (1, "inputs", Kind::Message(&MERGE_INPUT)) };
    MERGE_INPUT = "MergeInput" { (1, "input", Kind::Number) };
    DIFF_OP = "DiffOp" { (1, "lower", Kind::Message(&LOWER_DIFF_INPUT)), (2, "upper", Kind::Message(&UPPER_DIFF_INPUT)) };
    LOWER_DIFF_INPUT = "LowerDiffInput" { (1, "input", Kind::Number) };
    UPPER_DIFF_INPUT = "UpperDiffInput" { (1, "input", Kind::Number) };
    PASSTHROUGH_OP = "PassthroughOp" { (1, "id", Kind::Bytes), (2, "outputs", Kind::Number) };
    PLATFORM = "Platform" { (1, "Architecture", Kind::Bytes), (2, "OS", Kind::Bytes), (3, "Variant", Kind::Bytes), (4, "OSVersion", Kind::Bytes), (5, "OSFeatures", Kind::Bytes) };
    WORKER_CONSTRAINTS = "WorkerConstraints" { (1, "filter", Kind::Bytes) };
    ATTRIBUTES = "map entry" { (1, "key", Kind::Bytes), (2, "value", Kind::Bytes) };
    BUILD_INPUTS = "map entry" { (1, "key", Kind::Bytes), (2, "value", Kind::Message(&BUILD_INPUT)) };
}

impl Message {
    /// Makes sure that `bytes`, which are a message of this kind, have no other fields.
    pub(crate) fn check(&'static self, mut bytes: &[u8]) -> Result<(), Problem> {
        let malformed = |error: prost::DecodeError| Problem::Malformed(error.to_string());
        while !bytes.is_empty() {
            let (number, wire) = decode_key(&mut bytes).map_err(malformed)?;
            let field = self.fields.iter().find(|field| field.number == number);
            let Some(field) = field else {
                return Err(Problem::UnknownField {
                    message: self.name,
                    number,
                });
            };
            match (&field.kind, wire) {
                (Kind::Message(message), WireType::LengthDelimited) => {
                    let length = decode_varint(&mut bytes).map_err(malformed)?;
                    let length = usize::try_from(length).unwrap_or(usize::MAX);
                    let Some((inside, rest)) = bytes.split_at_checked(length) else {
                        return Err(Problem::Malformed("buffer underflow".to_owned()));
                    };
                    message.check(inside)?;
                    bytes = rest;
                }
                _ => skip_field(wire, number, &mut bytes, DecodeContext::default())
                    .map_err(malformed)?,
            }
        }
        Ok(())
    }
}
