//! What a person can ask of the suite.

use std::path::PathBuf;

use clap::Parser;

/// Runs harborage against real servers, scenario by scenario
#[derive(Debug, Parser)]
#[command(
    name = "e2e/run",
    bin_name = "e2e/run",
    max_term_width = 100,
    after_help = "\
Examples: e2e/run
          e2e/run --only renamed --keep
          e2e/run --harbor https://harbor.example.com --harbor-admin-password-file password
Servers that are not named are started on loopback and stopped at the end. A scenario that breaks a server
that is named, or needs one of the suite's own, is skipped, and the table says so. What the suite makes on named
servers is named after it (team-e2e-…, harborage-e2e-…) and removed at the end, also when the run is told to
stop. Harbor's configuration is not set back."
)]
pub(crate) struct Options {
    /// Name the scenarios and the servers that each breaks, and run none
    #[arg(long)]
    pub(crate) list: bool,
    /// Run only the scenarios whose name has this in it; can be given again
    #[arg(long, value_name = "NAME")]
    pub(crate) only: Vec<String>,
    /// Leave the servers up at the end, say where they are, and wait for Ctrl-C
    #[arg(long)]
    pub(crate) keep: bool,
    /// A Harbor that runs already, instead of the rehearsal's
    #[arg(long, value_name = "URL", requires = "harbor_admin_password_file")]
    pub(crate) harbor: Option<String>,
    /// The file with its administrator's password
    #[arg(long, value_name = "FILE", requires = "harbor", value_parser = absolute)]
    pub(crate) harbor_admin_password_file: Option<PathBuf>,
    /// A PEM file with its certificate authority
    #[arg(long, value_name = "FILE", requires = "harbor", value_parser = absolute)]
    pub(crate) harbor_ca_file: Option<PathBuf>,
    /// A Kubernetes that runs already: a kubeconfig file of its administrator's, without programs to log in
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// A Keycloak that runs already
    #[arg(long, value_name = "URL", requires = "keycloak_admin_password_file")]
    pub(crate) keycloak: Option<String>,
    /// The file with its administrator's password (the user is `admin`)
    #[arg(long, value_name = "FILE", requires = "keycloak")]
    pub(crate) keycloak_admin_password_file: Option<PathBuf>,
    /// A PEM file with its certificate authority
    #[arg(long, value_name = "FILE", requires = "keycloak")]
    pub(crate) keycloak_ca_file: Option<PathBuf>,
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

/// A path that harborage may be given, whose folder is another.
fn absolute(path: &str) -> std::io::Result<PathBuf> {
    std::path::absolute(path)
}
