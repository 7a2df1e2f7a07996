//! The command line: arguments, and one file a command.

mod apply;
mod check;
mod completions;
mod docker_config;
mod doctor;
mod jobs;
mod output;
mod plan;
mod rehearse;
mod run;
mod settings;
mod status;
mod trigger;
mod why;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgMatches, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use secrecy::SecretString;

use crate::daemon::source::{Reading, SourceError};
use crate::settings::{
    DownloadArgs, GitArgs, HarborArgs, KubernetesArgs, OutputArgs, RepositoryArgs, RunningArgs, Said,
    SecretVariables, ServingArgs, Settings, SettingsError,
};

/// How a command ended, as its exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: done, converged, no fault.
    Success,
    /// 1: faults, or an error that was printed.
    Failure,
    /// 3: not everything is converged; trying again may help.
    Failed,
    /// 4: something is parked or held: a person has to do something.
    Parked,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        // 2 is what clap ends with when the arguments are wrong.
        Self::from(match exit {
            Exit::Success => 0,
            Exit::Failure => 1,
            Exit::Failed => 3,
            Exit::Parked => 4,
        })
    }
}

/// Whatever can end a command early; printed once, with its chain.
pub type CliError = Box<dyn std::error::Error + Send + Sync>;

const ABOUT: &str =
    "Gives every team of an Otomi platform its place in Harbor, from each commit of the values repository";

/// What is logged unless said otherwise. kube logs each failed answer as an error, whatever we make of it.
const QUIET: &str = "warn,kube_client=off";

const AFTER_HELP: &str = "\
Exit status: 0 done or converged, 1 faults or an error, 2 wrong arguments,
3 not converged (trying again may help), 4 parked or held (a person has to act).

Settings come from flags, then HARBORAGE_* variables, then the file of --config.
Try it with no server at all: harborage rehearse PATH";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(name = "harborage", version, about = ABOUT, after_help = AFTER_HELP, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Debug, Args)]
struct CommonArgs {
    /// A YAML file with settings, its keys spelt like the flags
    #[arg(
        long,
        env = "HARBORAGE_CONFIG",
        value_name = "FILE",
        global = true,
        help_heading = "Output"
    )]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(check::CheckArgs),
    Plan(plan::PlanArgs),
    Apply(apply::ApplyArgs),
    Run(run::RunArgs),
    Rehearse(rehearse::RehearseArgs),
    Status(status::StatusArgs),
    Why(why::WhyArgs),
    Trigger(trigger::TriggerArgs),
    Doctor(doctor::DoctorArgs),
    DockerConfig(docker_config::DockerConfigArgs),
    Jobs(jobs::JobsArgs),
    Settings(settings::SettingsArgs),
    Completions(completions::CompletionsArgs),
}

/// Every setting, for the commands that work with the servers.
#[derive(Debug, Clone, Args)]
struct AllSettings {
    #[command(flatten)]
    repository: RepositoryArgs,
    #[command(flatten)]
    git: GitArgs,
    #[command(flatten)]
    harbor: HarborArgs,
    #[command(flatten)]
    kubernetes: KubernetesArgs,
    #[command(flatten)]
    downloads: DownloadArgs,
    #[command(flatten)]
    running: RunningArgs,
    #[command(flatten)]
    serving: ServingArgs,
    #[command(flatten)]
    output: OutputArgs,
}

impl From<AllSettings> for Said {
    fn from(settings: AllSettings) -> Self {
        join([
            settings.repository.into(),
            settings.git.into(),
            settings.harbor.into(),
            settings.kubernetes.into(),
            settings.downloads.into(),
            settings.running.into(),
            settings.serving.into(),
            settings.output.into(),
        ])
    }
}

/// The values repository, as the first argument of a command.
#[derive(Debug, Clone, Default, Args)]
struct PathArg {
    /// The values repository: a checkout, a bare clone, a plain folder, or a URL [default: --repository]
    #[arg(value_name = "PATH|URL")]
    path: Option<PathBuf>,
}

impl PathArg {
    fn into_said(self) -> Said {
        Said {
            repository: self.path,
            ..Said::default()
        }
    }
}

/// What a command needs that asks the daemon, or looks at its journal.
#[derive(Debug, Clone, Args)]
struct DaemonArgs {
    /// The folder of the journal [default: ./harborage-state]
    #[arg(long, env = "HARBORAGE_STATE", value_name = "DIR")]
    state: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

impl From<DaemonArgs> for Said {
    fn from(arguments: DaemonArgs) -> Self {
        let state = Self {
            state: arguments.state,
            ..Self::default()
        };
        join([state, arguments.output.into()])
    }
}

/// Secrets and other facts of the environment, read by `main` alone.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// Secrets that came as variables.
    pub secrets: SecretVariables,
    /// Whether `NO_COLOR` is set.
    pub no_color: bool,
}

impl Environment {
    /// Takes what harborage needs from the variables of the process.
    pub fn from_variables(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut environment = Self::default();
        for (name, value) in variables {
            match name.as_str() {
                "HARBORAGE_HARBOR_PASSWORD" => {
                    environment.secrets.harbor_password = Some(SecretString::from(value));
                }
                "HARBORAGE_OIDC_CLIENT_SECRET" => {
                    environment.secrets.oidc_client_secret = Some(SecretString::from(value));
                }
                "HARBORAGE_GIT_PASSWORD" => {
                    environment.secrets.git_password = Some(SecretString::from(value));
                }
                "HARBORAGE_GIT_TOKEN" => environment.secrets.git_token = Some(SecretString::from(value)),
                "NO_COLOR" => environment.no_color = !value.is_empty(),
                _ => {}
            }
        }
        environment
    }
}

/// What every command is given beside its own arguments.
struct Invocation {
    config: Option<PathBuf>,
    environment: Environment,
    matches: ArgMatches,
}

impl Invocation {
    /// The settings that hold for a command that said this.
    fn settings(&self, said: Said) -> Result<Settings, SettingsError> {
        Settings::load(said, self.config.as_deref(), self.environment.secrets.clone())
    }

    /// Settings, with logging started.
    fn start(&self, said: Said, default_filter: &str) -> Result<(Settings, output::Output), CliError> {
        let settings = self.settings(said)?;
        let output = output::Output::new(
            settings.said.colour.unwrap_or_default(),
            self.environment.no_color,
        );
        let filter = settings.said.log.as_deref().unwrap_or(default_filter);
        crate::telemetry::start(
            filter,
            settings.said.log_format.unwrap_or_default(),
            output.colour_on_stderr(),
            settings.otlp_endpoint()?.as_ref(),
        )?;
        Ok((settings, output))
    }
}

/// Parses the arguments and carries out the command. Wrong arguments, `--help` and `--version` end
/// the process as clap does it.
///
/// # Errors
/// Whatever the command could not do.
pub async fn main(
    arguments: impl IntoIterator<Item = OsString>,
    environment: Environment,
) -> Result<Exit, CliError> {
    let matches = Cli::command().get_matches_from(arguments);
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let matches = matches
        .subcommand()
        .map(|(_, matches)| matches.clone())
        .unwrap_or_default();
    let invocation = Invocation {
        config: cli.common.config,
        environment,
        matches,
    };
    let ended = match cli.command {
        Command::Check(arguments) => check::check(arguments, &invocation).await,
        Command::Plan(arguments) => plan::plan(arguments, &invocation).await,
        Command::Apply(arguments) => apply::apply(arguments, &invocation).await,
        Command::Run(arguments) => run::run(arguments, &invocation).await,
        Command::Rehearse(arguments) => rehearse::rehearse(arguments, &invocation).await,
        Command::Status(arguments) => status::status(arguments, &invocation).await,
        Command::Why(arguments) => why::why(arguments, &invocation).await,
        Command::Trigger(arguments) => trigger::trigger(arguments, &invocation).await,
        Command::Doctor(arguments) => doctor::doctor(arguments, &invocation).await,
        Command::DockerConfig(arguments) => docker_config::docker_config(arguments, &invocation).await,
        Command::Jobs(arguments) => jobs::jobs(arguments, &invocation),
        Command::Settings(arguments) => settings::settings(arguments, &invocation),
        Command::Completions(arguments) => completions::completions(&arguments),
    };
    crate::telemetry::finish().await;
    ended
}

/// Joins the groups of arguments that a command has; what comes first goes first.
fn join<const N: usize>(groups: [Said; N]) -> Said {
    groups.into_iter().fold(Said::default(), Said::or)
}

/// Shows the faults of what was read, as `check` does. `None` when it is refused.
fn accept(
    reading: Result<Reading, SourceError>,
    output: output::Output,
) -> Result<Option<Reading>, CliError> {
    let (reading, faults) = match reading {
        Ok(reading) => {
            let faults = reading.snapshot.faults.clone();
            (Some(reading), faults)
        }
        Err(SourceError::Refused { faults, .. }) => (None, faults),
        Err(error) => return Err(error.into()),
    };
    if !faults.is_empty() {
        output::remark(&crate::snapshot::render(&faults, output.colour_on_stderr()))?;
    }
    if reading.is_none() {
        output::remark("the repository is refused: what all teams share is at fault, and nothing was done")?;
    }
    Ok(reading)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_an_example() {
        for command in Cli::command()
            .get_subcommands()
            .filter(|command| command.get_name() != "help")
        {
            let help = command.clone().render_long_help().to_string();
            assert!(
                help.contains("Example"),
                "{} --help has no example",
                command.get_name()
            );
        }
    }
}
