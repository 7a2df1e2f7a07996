//! `harborage docker-config`: a team's push login, for an operator.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use secrecy::ExposeSecret as _;

use super::{CliError, Exit, Invocation, PathArg, join, output};
use crate::daemon::downloads;
use crate::daemon::source::Source;
use crate::settings::{GitArgs, KubernetesArgs, OutputArgs, RepositoryArgs};

/// Print a team's docker configuration, which its members push images with
#[derive(Debug, Args)]
#[command(after_help = "\
Examples: harborage docker-config demo values/ --output docker-team-demo.json
          skopeo copy --authfile docker-team-demo.json oci:hello docker://harbor.example.com/team-demo/hello
It is read with your own access to Kubernetes and asks for no token. The cluster's audit log tells of it;
harborage's record of downloads does not.")]
pub(super) struct DockerConfigArgs {
    /// The team, without team- in front
    #[arg(value_name = "TEAM")]
    team: String,
    #[command(flatten)]
    path: PathArg,
    /// Write it to a file that only you can read, and that must not be there yet
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print it although the team's settings do not let its members download it
    #[arg(long)]
    as_admin: bool,
    #[command(flatten)]
    repository: RepositoryArgs,
    #[command(flatten)]
    git: GitArgs,
    #[command(flatten)]
    kubernetes: KubernetesArgs,
    #[command(flatten)]
    printing: OutputArgs,
}

pub(super) async fn docker_config(
    arguments: DockerConfigArgs,
    invocation: &Invocation,
) -> Result<Exit, CliError> {
    let said = join([
        arguments.path.into_said(),
        arguments.repository.into(),
        arguments.git.into(),
        arguments.kubernetes.into(),
        arguments.printing.into(),
    ]);
    let (settings, _) = invocation.start(said, super::QUIET)?;
    let source = Source::open(&settings.repository()?, &settings.source()?, None)?;
    let kubernetes = settings.kubernetes()?;
    let login = downloads::push_login(&source, &kubernetes, &arguments.team, arguments.as_admin).await?;
    let login = login.expose_secret();
    match &arguments.output {
        Some(path) => {
            write(path, login).map_err(|error| format!("failed to write {}: {error}", path.display()))?;
        }
        // What a shell hands on is text, and JSON is.
        None => output::print(&String::from_utf8_lossy(login))?,
    }
    Ok(Exit::Success)
}

/// Writes a file that was not there, for its owner alone.
fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(content)?;
    file.sync_all()
}
