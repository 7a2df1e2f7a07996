//! What can be said, on the command line, in the environment and in the settings file.

use std::path::PathBuf;

use clap::Args;
use serde::{Deserialize, Serialize};

use crate::telemetry::LogFormat;

macro_rules! settings {
    ($(
        $(#[$group_attribute:meta])*
        $group:ident, $heading:literal {
            $($(#[$attribute:meta])* $field:ident: $type:ty, $name:literal, $variable:literal;)*
        }
    )*) => {
        $(
            $(#[$group_attribute])*
            #[derive(Debug, Clone, Default, Args)]
            #[command(next_help_heading = $heading)]
            pub struct $group {
                $(
                    $(#[$attribute])*
                    #[arg(long = $name, env = $variable, hide_env_values = true)]
                    pub $field: Option<$type>,
                )*
            }

            impl From<$group> for Said {
                fn from(group: $group) -> Self {
                    Self { $($field: group.$field,)* ..Self::default() }
                }
            }
        )*

        /// Everything that was said, each part of it optional. The settings file has these keys.
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
        pub struct Said {
            $($(
                #[doc = concat!("`--", $name, "`, `", $variable, "`")]
                #[serde(skip_serializing_if = "Option::is_none")]
                pub $field: Option<$type>,
            )*)*
        }

        impl Said {
            /// Every setting: its argument id, its flag and its environment variable.
            pub const NAMES: &'static [(&'static str, &'static str, &'static str)] =
                &[$($((stringify!($field), $name, $variable)),*),*];

            /// What is said here, and where nothing is, what is said in `other`.
            #[must_use]
            pub fn or(self, other: Self) -> Self {
                Self { $($($field: self.$field.or(other.$field),)*)* }
            }
        }
    };
}

settings! {
    /// Where the values are, and how they are read.
    RepositoryArgs, "Repository" {
        /// The values repository: a checkout, a bare clone, a plain folder, or a URL to fetch (https, http, ssh)
        #[arg(value_name = "PATH|URL")]
        repository: PathBuf, "repository", "HARBORAGE_REPOSITORY";
        /// The branch, tag or commit to follow [default: HEAD]
        #[arg(value_name = "REF")]
        reference: String, "reference", "HARBORAGE_REFERENCE";
        /// Read the working tree instead of a commit; a folder that is no repository is always read so
        #[arg(num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
        working_tree: bool, "working-tree", "HARBORAGE_WORKING_TREE";
        /// The folder below which env/ is [default: the root]
        #[arg(value_name = "PATH")]
        root: String, "root", "HARBORAGE_ROOT";
        /// The layout, when it should not be detected: clouds, charts, apps, dirs or sealed
        #[arg(value_name = "LAYOUT")]
        layout: String, "layout", "HARBORAGE_LAYOUT";
        /// The cluster that this is, for a repository of many (layout clouds)
        #[arg(value_name = "CLOUD/NAME")]
        cluster: String, "cluster", "HARBORAGE_CLUSTER";
        /// The registry's host [default: harbor., then the repository's domainSuffix]
        #[arg(value_name = "HOST")]
        registry_host: String, "registry-host", "HARBORAGE_REGISTRY_HOST";
        /// A folder of job files that replace the built-in ones of the same name
        #[arg(value_name = "DIR")]
        jobs: PathBuf, "jobs", "HARBORAGE_JOBS";
    }
    /// How a repository behind a URL is fetched.
    GitArgs, "Git host" {
        /// Who signs in at the git host [default: the URL's user, else git]
        #[arg(value_name = "NAME")]
        git_username: String, "git-username", "HARBORAGE_GIT_USERNAME";
        /// The file with the password, or the access token that stands for one (or `HARBORAGE_GIT_PASSWORD`)
        #[arg(value_name = "FILE")]
        git_password_file: PathBuf, "git-password-file", "HARBORAGE_GIT_PASSWORD_FILE";
        /// The file with a token that is sent as a bearer token instead (or `HARBORAGE_GIT_TOKEN`)
        #[arg(value_name = "FILE")]
        git_token_file: PathBuf, "git-token-file", "HARBORAGE_GIT_TOKEN_FILE";
        /// A PEM file with certificate authorities to trust beside the system's
        #[arg(value_name = "FILE")]
        git_ca_file: PathBuf, "git-ca-file", "HARBORAGE_GIT_CA_FILE";
        /// The private key to sign in with over ssh (ed25519 or ecdsa, without a passphrase)
        #[arg(value_name = "FILE")]
        git_ssh_key_file: PathBuf, "git-ssh-key-file", "HARBORAGE_GIT_SSH_KEY_FILE";
        /// The keys that ssh hosts must have, as ssh-keyscan prints them
        #[arg(value_name = "FILE")]
        git_known_hosts_file: PathBuf, "git-known-hosts-file", "HARBORAGE_GIT_KNOWN_HOSTS_FILE";
        /// How long one fetch may take in all [default: 5m]
        #[arg(value_name = "DURATION")]
        git_timeout: String, "git-timeout", "HARBORAGE_GIT_TIMEOUT";
        /// How much one fetch may bring, in MiB [default: 1024]
        #[arg(value_name = "MIB")]
        git_limit: usize, "git-limit", "HARBORAGE_GIT_LIMIT";
    }
    /// How Harbor is reached.
    HarborArgs, "Harbor" {
        /// Harbor's base URL, such as <http://harbor-core.harbor>
        #[arg(value_name = "URL")]
        harbor_url: String, "harbor-url", "HARBORAGE_HARBOR_URL";
        /// The Harbor administrator to sign in as [default: admin]
        #[arg(value_name = "NAME")]
        harbor_username: String, "harbor-username", "HARBORAGE_HARBOR_USERNAME";
        /// The file with that administrator's password (or `HARBORAGE_HARBOR_PASSWORD`)
        #[arg(value_name = "FILE")]
        harbor_password_file: PathBuf, "harbor-password-file", "HARBORAGE_HARBOR_PASSWORD_FILE";
        /// A PEM file with a certificate authority to trust beside the system's
        #[arg(value_name = "FILE")]
        harbor_ca_file: PathBuf, "harbor-ca-file", "HARBORAGE_HARBOR_CA_FILE";
        /// The file with the client secret of Harbor's OIDC client (or `HARBORAGE_OIDC_CLIENT_SECRET`)
        #[arg(value_name = "FILE")]
        oidc_client_secret_file: PathBuf, "oidc-client-secret-file", "HARBORAGE_OIDC_CLIENT_SECRET_FILE";
        /// Harbor writes in flight at most [default: 4]
        #[arg(value_name = "N")]
        harbor_writes: usize, "harbor-writes", "HARBORAGE_HARBOR_WRITES";
        /// Harbor reads in flight at most [default: 16]
        #[arg(value_name = "N")]
        harbor_reads: usize, "harbor-reads", "HARBORAGE_HARBOR_READS";
        /// How long one call may take [default: 30s]
        #[arg(value_name = "DURATION")]
        call_timeout: String, "call-timeout", "HARBORAGE_CALL_TIMEOUT";
    }
    /// How Kubernetes is reached.
    KubernetesArgs, "Kubernetes" {
        /// A kubeconfig file [default: in-cluster, or $KUBECONFIG, or ~/.kube/config]
        #[arg(value_name = "FILE")]
        kubeconfig: PathBuf, "kubeconfig", "HARBORAGE_KUBECONFIG";
        /// The context of the kubeconfig file [default: its current one]
        #[arg(value_name = "NAME")]
        kube_context: String, "kube-context", "HARBORAGE_KUBE_CONTEXT";
        /// The API server's URL, instead of a kubeconfig file
        #[arg(value_name = "URL")]
        kubernetes_url: String, "kubernetes-url", "HARBORAGE_KUBERNETES_URL";
        /// The file with the bearer token for that URL
        #[arg(value_name = "FILE")]
        kubernetes_token_file: PathBuf, "kubernetes-token-file", "HARBORAGE_KUBERNETES_TOKEN_FILE";
        /// A PEM file with the certificate authority of that URL
        #[arg(value_name = "FILE")]
        kubernetes_ca_file: PathBuf, "kubernetes-ca-file", "HARBORAGE_KUBERNETES_CA_FILE";
        /// Kubernetes writes in flight at most [default: 16]
        #[arg(value_name = "N")]
        kubernetes_writes: usize, "kubernetes-writes", "HARBORAGE_KUBERNETES_WRITES";
        /// Kubernetes reads in flight at most [default: 16]
        #[arg(value_name = "N")]
        kubernetes_reads: usize, "kubernetes-reads", "HARBORAGE_KUBERNETES_READS";
        /// Create a team's namespace when it is missing, instead of waiting for it
        #[arg(num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
        create_namespaces: bool, "create-namespaces", "HARBORAGE_CREATE_NAMESPACES";
    }
    /// Whose tokens are taken for the download of push logins.
    DownloadArgs, "Downloads" {
        /// The issuer of tokens, exactly as they name it [default: the repository's Keycloak]
        #[arg(value_name = "URL")]
        oidc_issuer: String, "oidc-issuer", "HARBORAGE_OIDC_ISSUER";
        /// Whom tokens must be for, one of their aud [default: the repository's OIDC client]
        #[arg(value_name = "NAME")]
        oidc_audience: String, "oidc-audience", "HARBORAGE_OIDC_AUDIENCE";
        /// A PEM file with certificate authorities of the issuer to trust beside the system's
        #[arg(value_name = "FILE")]
        oidc_ca_file: PathBuf, "oidc-ca-file", "HARBORAGE_OIDC_CA_FILE";
        /// Take ID tokens, too, which Otomi's oauth2-proxy puts in the place of access tokens
        #[arg(num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
        oidc_id_tokens: bool, "oidc-id-tokens", "HARBORAGE_OIDC_ID_TOKENS";
    }
    /// How the engine runs.
    RunningArgs, "Running" {
        /// The folder of the journal [default: ./harborage-state]
        #[arg(value_name = "DIR")]
        state: PathBuf, "state", "HARBORAGE_STATE";
        /// How often the repository is looked at [default: 30s]
        #[arg(value_name = "DURATION")]
        poll: String, "poll", "HARBORAGE_POLL";
        /// Teams that are worked on at once, at most [default: 64]
        #[arg(value_name = "N")]
        lanes: usize, "lanes", "HARBORAGE_LANES";
        /// How long a graceful stop may take [default: 25s]
        #[arg(value_name = "DURATION")]
        stop_deadline: String, "stop-deadline", "HARBORAGE_STOP_DEADLINE";
    }
    /// Where the daemon listens.
    ServingArgs, "Serving" {
        /// Where webhooks and the API are served, such as 0.0.0.0:8080 [default: nowhere]
        #[arg(value_name = "ADDRESS")]
        listen: String, "listen", "HARBORAGE_LISTEN";
        /// Where metrics and health are served, such as 0.0.0.0:9090 [default: nowhere]
        #[arg(value_name = "ADDRESS")]
        metrics_listen: String, "metrics-listen", "HARBORAGE_METRICS_LISTEN";
        /// The file with the secrets that webhooks are signed with, one a line; it is read again when it changes
        #[arg(value_name = "FILE")]
        webhook_secret_file: PathBuf, "webhook-secret-file", "HARBORAGE_WEBHOOK_SECRET_FILE";
    }
    /// What is printed.
    OutputArgs, "Output" {
        /// What is logged: LEVEL or TARGET=LEVEL,… [default: warn, and info for run]
        #[arg(value_name = "FILTER")]
        log: String, "log", "HARBORAGE_LOG";
        /// The form of a log line [default: text]
        #[arg(value_enum, value_name = "FORMAT")]
        log_format: LogFormat, "log-format", "HARBORAGE_LOG_FORMAT";
        /// When to use colour [default: auto]
        #[arg(value_enum, value_name = "WHEN")]
        colour: Colour, "colour", "HARBORAGE_COLOUR";
        /// The OpenTelemetry collector that traces are sent to over HTTP, such as <http://collector:4318>
        #[arg(value_name = "URL")]
        otlp_endpoint: String, "otlp-endpoint", "HARBORAGE_OTLP_ENDPOINT";
    }
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Colour {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}
