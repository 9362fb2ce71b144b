//! The step that scans: the scanner's own command over its own file system, with what it scans
//! mounted beside it, read-only.

use dockerfile::TargetImage;
use graph::{
    Edge, ExecOp, Graph, ImageSource, Meta, Mount, MountSource, NetworkMode, Op, Process,
    PullPolicy, SecurityMode, SourceOp,
};
use oci::{DEFAULT_PATH, Platform};

use super::{CORE, Sbom, SbomError};
use crate::error::EngineError;
use crate::image::ResolvedImage;

const TARGET: &str = "/run/src/core/sbom";
const MORE: &str = "/run/src/extras";
const RESULT: &str = "/run/out";
/// What names of file systems beside the target begin with.
const MORE_PREFIX: &str = "sbom-";
/// Which output of the step the scanner writes to.
const OUTPUT: u32 = 1;

/// A scanner.
pub(crate) struct Scanner {
    image: ImageSource,
    process: Process,
}

impl Scanner {
    /// The command of `image` as `sbom` has it run.
    pub(crate) fn new(
        sbom: &Sbom,
        image: &ResolvedImage,
        platform: Platform,
        pull: PullPolicy,
    ) -> Result<Self, SbomError> {
        let config = &image.image.config.config;
        let parts = [&config.entrypoint, &config.cmd].into_iter();
        let args: Vec<String> = parts.flatten().flatten().cloned().collect();
        if args.is_empty() {
            return Err(SbomError::NoCommand(sbom.generator.clone()));
        }
        let mut env = config.env.clone();
        if !env.iter().any(|entry| entry.starts_with("PATH=")) {
            env.insert(0, format!("PATH={DEFAULT_PATH}"));
        }
        env.push(format!("BUILDKIT_SCAN_DESTINATION={RESULT}/"));
        env.push(format!("BUILDKIT_SCAN_SOURCE={TARGET}"));
        let parameters = sbom.parameters.iter();
        env.extend(parameters.map(|(name, value)| format!("BUILDKIT_SCAN_{name}={value}")));
        Ok(Self {
            image: ImageSource {
                reference: image.reference.clone(),
                platform,
                pull,
            },
            process: Process {
                args,
                env: env.into(),
                cwd: match config.working_dir.as_str() {
                    "" => "/".to_owned(),
                    directory => directory.to_owned(),
                },
                user: String::new(),
            },
        })
    }

    /// Adds to the graph that `target`, which is for `platform`, is scanned; what comes of it.
    pub(crate) fn scan(
        &self,
        graph: &mut Graph,
        target: &TargetImage,
        platform: &Platform,
    ) -> Result<Edge, EngineError> {
        let failed = |error: graph::GraphError| EngineError::Solve(error.to_string());
        let image = Op::Source(SourceOp::Image(self.image.clone()));
        let meta = |name: String, ignore_cache| Meta {
            name,
            ignore_cache,
            ..Meta::default()
        };
        let reference = &self.image.reference;
        let root = graph.add(image, Vec::new(), meta(reference.to_string(), false));
        let mut shown = Shown::default();
        shown.mount("/", Some(root.map_err(failed)?.into()), Some(0));
        shown.mount(RESULT, None, Some(OUTPUT));
        shown.mount(TARGET, target.file_system, None);
        for (name, edge) in &target.scan.more {
            shown.mount(&format!("{MORE}/{MORE_PREFIX}{name}"), *edge, None);
        }
        shown.mounts.push(Mount {
            target: "/tmp".to_owned(),
            source: MountSource::Tmpfs { size: None },
            read_only: false,
        });
        let mut process = self.process.clone();
        if !target.scan.more.is_empty() {
            let more = format!("BUILDKIT_SCAN_SOURCE_EXTRAS={MORE}");
            process.env = process.env.iter().cloned().chain([more]).collect();
        }
        let name = format!(
            "[{}] generating {CORE} using {reference}",
            platform.normalised()
        );
        let op = Op::Exec(exec(process, shown.mounts));
        let scan = graph.add(op, shown.inputs, meta(name, target.scan.ignore_cache));
        Ok(Edge {
            vertex: scan.map_err(failed)?,
            output: OUTPUT,
        })
    }
}

/// What a scanner sees.
#[derive(Default)]
struct Shown {
    mounts: Vec<Mount>,
    inputs: Vec<Edge>,
}

impl Shown {
    /// A file system at `target`; it can be written to if that makes an output.
    fn mount(&mut self, target: &str, edge: Option<Edge>, output: Option<u32>) {
        let place = u32::try_from(self.inputs.len()).unwrap_or(u32::MAX);
        self.mounts.push(Mount {
            target: target.to_owned(),
            source: MountSource::Bind {
                input: edge.map(|_| place),
                selector: String::new(),
                output,
            },
            read_only: output.is_none(),
        });
        self.inputs.extend(edge);
    }
}

fn exec(process: Process, mounts: Vec<Mount>) -> ExecOp {
    ExecOp {
        process,
        mounts,
        network: NetworkMode::Default,
        security: SecurityMode::Sandbox,
        devices: Vec::new(),
        extra_hosts: Vec::new(),
        hostname: None,
        shm_size: None,
        ulimits: Vec::new(),
        proxy: std::collections::BTreeMap::new(),
        valid_exit_codes: Vec::new(),
    }
}
