//! `harborage run`: the daemon.

use std::sync::Arc;

use clap::Args;

use super::{AllSettings, CliError, Exit, Invocation, PathArg, join};
use crate::daemon::instruments::Instruments;
use crate::daemon::pass::Surroundings;
use crate::daemon::serving::Serving;
use crate::daemon::{connect, open_journal, service, source::Source};
use crate::run::meter::Meter;
use crate::shutdown;

/// Run the daemon: a pass over everything, then each new commit and each drift
#[derive(Debug, Args)]
#[command(after_help = "\
Example: harborage run --config /etc/harborage/settings.yaml --log-format json

It stops on SIGTERM or Ctrl-C once the steps in hand are done, at the latest after --stop-deadline;
a second signal ends it at once. Whatever is cut off is finished at the next start.")]
pub(super) struct RunArgs {
    #[command(flatten)]
    path: PathArg,
    #[command(flatten)]
    settings: AllSettings,
}

pub(super) async fn run(arguments: RunArgs, invocation: &Invocation) -> Result<Exit, CliError> {
    let said = join([arguments.path.into_said(), arguments.settings.into()]);
    let (settings, _) = invocation.start(said, "info,kube_client=off")?;
    let run = settings.run()?;
    let sources = settings.source()?;
    let instruments = Instruments::start(sources.git.timeout);
    let meter: Arc<dyn Meter> = instruments.metrics.clone();
    let source = Source::open_metered(&settings.repository()?, &sources, Some(&run.state), &meter)?;
    let (harbor, kubernetes) = (settings.harbor()?, settings.kubernetes()?);
    let servers = connect::connect(&harbor, &kubernetes, &meter).await?;
    let journal = open_journal(&run.state).await?;
    tracing::info!(
        repository.location = source.location(), harbor.url = %harbor.url, state.path = %run.state.display(),
        "harborage {} follows {}", env!("CARGO_PKG_VERSION"), source.location()
    );
    let stop = shutdown::watch_signals()?;
    let surroundings = Surroundings::new(servers.harbor, servers.cluster, Arc::new(journal));
    let serving = Serving {
        settings: settings.serving()?,
        downloads: settings.downloads()?,
        logins: servers.logins,
    };
    service::run(source, surroundings, run, instruments, serving, stop).await?;
    Ok(Exit::Success)
}
