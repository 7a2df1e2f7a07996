//! What a person can ask of the suite.

use std::path::PathBuf;

use clap::Parser;

/// Runs harborage against real servers, scenario by scenario
#[derive(Debug, Parser)]
#[command(
    name = "e2e/run",
    max_term_width = 100,
    after_help = "\
Examples: e2e/run
          e2e/run --only renamed --keep
          e2e/run --harbor https://harbor.example.com --harbor-admin-password-file password
Servers that are not named are started on loopback and stopped at the end. What would have to break a
server that is named is left out, and the table says so. Everything that a scenario makes is named after
teams of the suite's own (team-e2e-…) and removed from named servers at its end; Harbor's configuration is not set back."
)]
pub(crate) struct Options {
    /// Name the scenarios and what each would leave out, and run none
    #[arg(long)]
    pub(crate) list: bool,
    /// Run only the scenarios whose name has this in it; can be given again
    #[arg(long, value_name = "NAME")]
    pub(crate) only: Vec<String>,
    /// Leave the servers up at the end, say where they are, and wait for Ctrl-C
    #[arg(long)]
    pub(crate) keep: bool,
    /// A Harbor that runs already, instead of the rehearsal's
    #[arg(long, value_name = "URL")]
    pub(crate) harbor: Option<String>,
    /// The file with its administrator's password
    #[arg(long, value_name = "FILE", requires = "harbor")]
    pub(crate) harbor_admin_password_file: Option<PathBuf>,
    /// A PEM file with its certificate authority
    #[arg(long, value_name = "FILE", requires = "harbor")]
    pub(crate) harbor_ca_file: Option<PathBuf>,
    /// A Kubernetes that runs already: a kubeconfig file of its administrator's, without programs to log in
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// A Keycloak that runs already
    #[arg(long, value_name = "URL")]
    pub(crate) keycloak: Option<String>,
    /// The file with its administrator's password (the user is `admin`)
    #[arg(long, value_name = "FILE", requires = "keycloak")]
    pub(crate) keycloak_admin_password_file: Option<PathBuf>,
    /// The folder of the servers' programs
    #[arg(
        long,
        value_name = "DIR",
        env = "HARBORAGE_E2E_SERVERS",
        hide_short_help = true
    )]
    pub(crate) servers: PathBuf,
    /// The program to run
    #[arg(
        long,
        value_name = "FILE",
        env = "HARBORAGE_E2E_PROGRAM",
        hide_short_help = true
    )]
    pub(crate) program: PathBuf,
}
