//! What each command does, one file each.

mod archives;
mod bake;
mod build;
mod buildctl;
mod builders;
mod builds;
mod cache_mounts;
mod check;
mod completion;
mod containers;
mod cp;
mod create;
mod debug;
mod doctor;
mod du;
mod elsewhere;
mod fsck;
mod history;
mod images;
mod imagetools;
mod inspect;
mod load;
mod login;
mod man;
mod prune;
mod pull;
mod push;
mod rm;
mod rmi;
mod run;
mod save;
mod serve;
pub(crate) mod session;
mod signals;
mod tag;
mod terminal;
mod version;

use crate::args::cache::Cache;
use crate::args::container::Container;
use crate::args::image::Image;
use crate::args::system::{Builder, Store, System};
use crate::args::{Arguments, Command};
use crate::environment::Environment;
use crate::error::Error;
use crate::ui::Ui;
use crate::{remote, rootless};

pub(crate) use buildctl::buildctl;
use session::Session;

/// Does what `arguments` ask for; the exit code of the process.
///
/// # Errors
/// It could not be done.
pub(crate) fn run(
    arguments: Arguments,
    environment: &Environment,
    ui: &mut Ui<'_>,
) -> Result<u8, Error> {
    let Arguments { global, command } = arguments;
    remote::refuse_elsewhere(&command, &global, environment)?;
    let builder = remote::pick(&command, &global, environment)?;
    let entered = match command.needs_store() && builder.is_none() {
        true => rootless::enter(environment),
        false => Ok(Vec::new()),
    };
    let mut session = Session::new(global, environment, ui);
    session.builder = builder;
    if let Command::Doctor(args) = command {
        return doctor::run(&mut session, &args, entered);
    }
    entered?;
    carry_out(&mut session, command)
}

fn carry_out(session: &mut Session<'_, '_>, command: Command) -> Result<u8, Error> {
    match command {
        Command::Build(args)
        | Command::Image(Image::Build(args))
        | Command::Builder(Builder::Build(args)) => return build::run(session, &args),
        Command::Bake(args) | Command::Builder(Builder::Bake(args)) => {
            return bake::run(session, &args);
        }
        Command::Run(args) | Command::Container(Container::Run(args)) => {
            return run::run(session, &args);
        }
        Command::Create(args) | Command::Container(Container::Create(args)) => {
            create::run(session, &args)
        }
        Command::Cp(args) | Command::Container(Container::Cp(args)) => cp::run(session, &args),
        Command::Ps(args) | Command::Container(Container::Ls(args)) => {
            containers::run(session, &args)
        }
        Command::Rm(args) | Command::Container(Container::Rm(args)) => rm::run(session, &args),
        Command::Inspect(args) => inspect::run(session, &args, None),
        Command::Container(Container::Inspect(args)) => {
            inspect::run(session, &args, Some("container"))
        }
        Command::Image(image) => run_image(session, image),
        Command::Images(args) => images::run(session, &args),
        Command::History(args) => match args.command {
            Some(command) => builds::run(session, &command),
            None => history::run(session, &args.image),
        },
        Command::Builder(Builder::History(command)) => builds::run(session, &command),
        Command::Imagetools(command) | Command::Builder(Builder::Imagetools(command)) => {
            imagetools::run(session, &command)
        }
        Command::Tag(args) => tag::run(session, &args),
        Command::Rmi(args) => rmi::run(session, &args),
        Command::Pull(args) => pull::run(session, &args),
        Command::Push(args) => push::run(session, &args),
        Command::Save(args) => save::run(session, &args),
        Command::Load(args) => load::run(session, &args),
        Command::Du(args)
        | Command::System(System::Df(args))
        | Command::Builder(Builder::Du(args)) => du::run(session, &args),
        Command::Prune(args) | Command::System(System::Prune(args)) => {
            prune::system(session, &args)
        }
        Command::Builder(Builder::Prune(args)) => prune::builder(session, &args),
        Command::Builder(command) => builders::run(session, &command),
        Command::Debug(args) => return debug::run(session, &args),
        Command::Cache(Cache::Mounts(args)) => cache_mounts::run(session, &args),
        Command::Store(Store::Gc(args)) => prune::policy(session, &args),
        Command::Store(Store::Fsck(args)) => return fsck::run(session, &args),
        Command::Version(args) => version::run(session, &args),
        Command::Serve(args) => serve::run(session, &args),
        Command::Completion(args) => completion::run(session, &args),
        Command::Man(args) => man::run(session, &args),
        // Done by whoever calls this, who knows more.
        Command::Doctor(_) => Ok(()),
        Command::Login(_) => Err(login::refuse("login")),
        Command::Logout(_) => Err(login::refuse("logout")),
    }?;
    Ok(0)
}

fn run_image(session: &mut Session<'_, '_>, image: Image) -> Result<(), Error> {
    match image {
        Image::Build(args) => build::run(session, &args).map(drop),
        Image::History(args) => history::run(session, &args),
        Image::Inspect(args) => inspect::run(session, &args, Some("image")),
        Image::Load(args) => load::run(session, &args),
        Image::Ls(args) => images::run(session, &args),
        Image::Prune(args) => prune::images(session, &args),
        Image::Pull(args) => pull::run(session, &args),
        Image::Push(args) => push::run(session, &args),
        Image::Rm(args) => rmi::run(session, &args),
        Image::Save(args) => save::run(session, &args),
        Image::Tag(args) => tag::run(session, &args),
    }
}
