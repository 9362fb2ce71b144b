//! What every command works with: the environment, the way out, and the engine when it asks.

use std::fs;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use engine::events::{ProgressSender, channel};
use engine::{Config, Engine, EngineError, EngineOptions, SystemClock};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::signals::{Held, end_on};
use crate::args::Global;
use crate::build::{ProgressMode, source_rules};
use crate::environment::Environment;
use crate::error::{CliError, Error};
use crate::keeper::{Keeper, KeeperError, There};
use crate::progress::{Display, Plain, RawJson, Renderer, Summary, Tty};
use crate::remote::{self, Builder, Host};
use crate::ui::Ui;

/// How much of what steps write may wait to be shown.
pub(super) const LOG_BYTES: u32 = 4 << 20;

/// What every command works with.
#[derive(Debug)]
pub(super) struct Session<'a, 'ui> {
    pub(super) global: Global,
    pub(super) environment: &'a Environment,
    pub(super) ui: &'a mut Ui<'ui>,
    /// The builder that carries the command out, if that is another process.
    pub(super) builder: Option<Builder>,
}

impl<'a, 'ui> Session<'a, 'ui> {
    pub(super) const fn new(
        global: Global,
        environment: &'a Environment,
        ui: &'a mut Ui<'ui>,
    ) -> Self {
        Self {
            global,
            environment,
            ui,
            builder: None,
        }
    }

    /// Opens the store.
    pub(super) fn engine(&self) -> Result<Engine, Error> {
        Ok(Engine::open(self.engine_options()?)?)
    }

    /// Opens the store for builds, which keep to the rules about sources that there are.
    pub(super) fn building_engine(&self) -> Result<Engine, Error> {
        let rules = source_rules(self.environment)?;
        let engine = self.engine()?;
        if let Some(rules) = rules {
            engine.use_judge(Arc::new(rules));
        }
        Ok(engine)
    }

    /// The daemon that keeps images and containers; none if this process does.
    pub(super) fn host(&self) -> Result<Option<Host>, Error> {
        remote::named(&self.global, self.environment)
    }

    /// Who keeps images and containers.
    pub(super) fn keeper(&self) -> Result<Keeper, Error> {
        Ok(match self.host()? {
            Some(host) => Keeper::There(There::new(&host, self.environment)),
            None => Keeper::Here(self.engine()?),
        })
    }

    /// How the store is opened.
    pub(super) fn engine_options(&self) -> Result<EngineOptions, Error> {
        engine_options(&self.global, self.environment)
    }

    /// Collects by policy if that is due: beside what follows, or before it if `kiln.toml` says so.
    /// What goes wrong is told, since the command itself went well.
    pub(super) fn collect_if_due(&mut self, engine: &Engine) {
        if let Err(error) = self.try_collect_if_due(engine) {
            let message = &error.message;
            self.ui
                .say(&format!("WARNING: the cache is not collected: {message}"));
        }
    }

    fn try_collect_if_due(&mut self, engine: &Engine) -> Result<(), Error> {
        if !engine.gc_is_due()? {
            return Ok(());
        }
        if let Some(failure) = engine.gc_failure()? {
            let text = format!("WARNING: the last collection of the cache failed: {failure}");
            self.ui.say(&text);
        }
        if engine.waits_for_gc() {
            engine.gc(false)?;
            return Ok(());
        }
        let root = self.environment.store_root(self.global.root.as_deref())?;
        let (files, _) = self.environment.config_files(self.global.config.as_deref());
        let config = files.iter().find(|path| path.exists());
        crate::background::collect(&root, config.map(PathBuf::as_path))
            .map_err(|source| Error::new(format!("cannot start in the background: {source}")))
    }

    /// The present time.
    pub(super) fn now(&self) -> SystemTime {
        (self.environment.now)()
    }

    /// Runs `work` to its end and shows its progress on standard error meanwhile, with why steps
    /// run when it `explains`. The first interrupt cancels it; the second ends the process.
    pub(super) fn show<T, F>(
        &mut self,
        mode: ProgressMode,
        explains: bool,
        work: impl FnOnce(ProgressSender, CancellationToken) -> F,
    ) -> Result<(T, Summary), Error>
    where
        F: Future<Output = T>,
    {
        let (sender, mut receiver) = channel(LOG_BYTES);
        let display = Display {
            renderer: self.renderer(mode),
            explains,
        };
        let now = self.environment.now;
        let err = self.ui.err();
        block_on(async {
            let cancel = CancellationToken::new();
            let work = work(sender, cancel.clone());
            let shown = display.run(&mut receiver, err, now);
            tokio::join!(cancel_on_signal(work, cancel), shown)
        })
    }

    /// The same for a transfer, which an interrupt drops.
    pub(super) fn transfer<T, F>(
        &mut self,
        quiet: bool,
        work: impl FnOnce(ProgressSender) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, KeeperError>>,
    {
        self.transfer_in(self.transfer_mode(quiet), work)
    }

    /// The same with its progress shown so.
    pub(super) fn transfer_in<T, F>(
        &mut self,
        mode: ProgressMode,
        work: impl FnOnce(ProgressSender) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, KeeperError>>,
    {
        let held = Held::begin();
        let (done, mut summary) = self.show(mode, false, |sender, cancel| {
            let work = work(sender);
            async move {
                tokio::select! {
                    () = cancel.cancelled() => Err(EngineError::Cancelled.into()),
                    done = work => done,
                }
            }
        })?;
        drop(held);
        let failures = summary.failures();
        if done.is_err() && !failures.is_empty() {
            self.ui.output(&failures);
        }
        Ok(done?)
    }

    fn renderer(&self, mode: ProgressMode) -> Renderer {
        let colours = self.environment.os("NO_COLOR").is_none();
        match mode {
            ProgressMode::Tty => Renderer::Tty(Tty::new(colours, self.now())),
            ProgressMode::Plain => Renderer::Plain(Plain::default()),
            ProgressMode::RawJson => Renderer::RawJson(RawJson::default()),
            ProgressMode::Quiet => Renderer::Quiet,
        }
    }

    /// How the progress of a transfer is shown.
    pub(super) const fn transfer_mode(&self, quiet: bool) -> ProgressMode {
        match (quiet, self.environment.terminals.stderr) {
            (true, _) => ProgressMode::Quiet,
            (false, true) => ProgressMode::Tty,
            (false, false) => ProgressMode::Plain,
        }
    }
}

/// How the store is opened.
pub(super) fn engine_options(
    global: &Global,
    environment: &Environment,
) -> Result<EngineOptions, Error> {
    options(config(global, environment)?, global, environment)
}

/// How the store is opened with this configuration.
pub(crate) fn options(
    config: Config,
    global: &Global,
    environment: &Environment,
) -> Result<EngineOptions, Error> {
    let docker_config = environment.docker_config();
    Ok(EngineOptions {
        root: environment.store_root(global.root.as_deref())?,
        config,
        docker_config: docker_config.map(|directory| directory.join("config.json")),
        helper_path: environment.program_path(),
        fetch_variables: environment.fetch_variables(),
        clock: Arc::new(SystemClock),
    })
}

/// What the file says. `KILN_ISOLATION` is stronger.
pub(super) fn config(global: &Global, environment: &Environment) -> Result<Config, Error> {
    let mut config = config_file(global, environment)?;
    if let Some(name) = environment.text("KILN_ISOLATION")? {
        let isolation = name.parse();
        config.build.isolation = Some(isolation.map_err(CliError::Isolation)?);
    }
    Ok(config)
}

fn config_file(global: &Global, environment: &Environment) -> Result<Config, Error> {
    let (files, is_required) = environment.config_files(global.config.as_deref());
    for path in files {
        match fs::read_to_string(&path) {
            Ok(text) => {
                let parsed = Config::parse(&text);
                return Ok(parsed.map_err(|source| CliError::Config { path, source })?);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && !is_required => {}
            Err(source) => {
                let action = "open";
                return Err(CliError::File {
                    action,
                    path,
                    source,
                }
                .into());
            }
        }
    }
    Ok(Config::default())
}

/// Runs `work` on this thread; further threads only where something blocks.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CliError::Runtime)?;
    let done = runtime.block_on(work);
    // What still blocks, such as a read of standard input, is not waited for.
    runtime.shutdown_background();
    Ok(done)
}

/// `work`'s outcome; a signal cancels it.
async fn cancel_on_signal<T>(work: impl Future<Output = T>, cancel: CancellationToken) -> T {
    tokio::pin!(work);
    let signals = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    );
    let (Ok(mut interrupt), Ok(mut terminate)) = signals else {
        // Without handlers a signal ends the process, as the kernel has it.
        return work.await;
    };
    tokio::select! {
        done = &mut work => return done,
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    cancel.cancel();
    std::thread::spawn(|| end_on(&[SignalKind::interrupt()], || true));
    work.await
}
