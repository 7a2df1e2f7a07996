//! The values repository and the job files, and what a commit asks for by them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use tracing::{Span, field, info_span};

use super::origin::Origin;
pub use super::source_error::SourceError;
use crate::edge::watch::Watched;
use crate::run::declaration::{JobDeclarations, JobSummary, PlatformInputs};
use crate::run::engine::{Asked, Intent};
use crate::run::meter::{Meter, unmetered};
use crate::run::{Rules, chain};
use crate::serve::webhook::Subject;
use crate::settings::SourceSettings;
use crate::snapshot::{Snapshot, SnapshotBuilder, SnapshotError, SnapshotOptions};
use crate::values::Revision;
use crate::values::names::{SecretName, TeamId};

/// What one state of the repository says, and what it asks for.
#[derive(Debug, Clone)]
pub struct Reading {
    /// What it says.
    pub snapshot: Arc<Snapshot>,
    /// What it asks for; `None` where it has Harbor switched off.
    pub intent: Option<Intent>,
    /// When the commit was made, by its own clock; of a working tree nobody knows.
    pub committed: Option<DateTime<Utc>>,
}

/// A repository with the jobs that say what its teams get.
#[derive(Clone)]
pub struct Source(Arc<Inner>);

struct Inner {
    origin: Origin,
    options: SnapshotOptions,
    jobs: JobDeclarations,
    /// Keeps what was parsed, so that the cost of a commit follows what changed.
    builder: Mutex<SnapshotBuilder>,
}

impl Source {
    /// The job whose schedule looks for drift.
    pub const SWEEP: &str = "repair-drift";

    /// Opens a repository and reads the job files. Of one behind a URL a copy is kept in the state folder,
    /// or, without one, as long as this lives. Nothing is fetched yet.
    ///
    /// # Errors
    /// When the location is no repository and no folder, or the job files are at fault.
    ///
    /// # Panics
    /// Outside of the runtime.
    pub fn open(
        location: &Path,
        settings: &SourceSettings,
        state: Option<&Path>,
    ) -> Result<Self, SourceError> {
        Self::open_metered(location, settings, state, &unmetered())
    }

    /// [`Source::open`], with calls to the git host counted.
    ///
    /// # Errors
    /// As [`Source::open`].
    ///
    /// # Panics
    /// Outside of the runtime.
    pub fn open_metered(
        location: &Path,
        settings: &SourceSettings,
        state: Option<&Path>,
        meter: &Arc<dyn Meter>,
    ) -> Result<Self, SourceError> {
        let options = SnapshotOptions {
            layout: settings.layout.as_deref().map(str::parse).transpose()?,
            root: settings.root.clone().unwrap_or_default(),
            cluster: settings.cluster.clone(),
            registry_host: settings.registry_host.clone(),
        };
        let jobs = read_jobs(settings.jobs.as_deref())?;
        Ok(Self(Arc::new(Inner {
            origin: Origin::open(location, settings, state, meter)?,
            options,
            jobs,
            builder: Mutex::new(SnapshotBuilder::new()),
        })))
    }

    /// The newest state: the commit that is followed, or the working tree.
    ///
    /// # Errors
    /// When it can't be read or is refused.
    pub async fn read_head(&self) -> Result<Reading, SourceError> {
        self.snapshot(|inner| match inner.origin.head()? {
            Some(revision) => inner.read_commit(&revision),
            None => inner.read_working_tree(),
        })
        .await
    }

    /// The newest state, unless it is the one that was seen.
    ///
    /// # Errors
    /// As [`Source::read_head`].
    pub async fn read_if_new(&self, seen: Option<&Revision>) -> Result<Option<Reading>, SourceError> {
        let seen = seen.cloned();
        self.snapshot(move |inner| match inner.origin.head()? {
            Some(revision) if Some(&revision) == seen.as_ref() => Ok(None),
            Some(revision) => inner.read_commit(&revision).map(Some),
            None => match inner.read_working_tree() {
                Ok(reading) if Some(&reading.snapshot.revision) == seen.as_ref() => Ok(None),
                // Refused before, and not touched since.
                Err(SourceError::Refused { revision, .. }) if Some(&revision) == seen.as_ref() => Ok(None),
                reading => reading.map(Some),
            },
        })
        .await
    }

    /// A commit's state.
    ///
    /// # Errors
    /// As [`Source::read_head`].
    pub async fn read_at(&self, revision: &Revision) -> Result<Reading, SourceError> {
        let revision = revision.clone();
        self.snapshot(move |inner| inner.read_commit(&revision)).await
    }

    /// The commits of a range `A..B`, oldest first.
    ///
    /// # Errors
    /// When the repository has no such commits, or is no repository.
    pub async fn commits(&self, range: &str) -> Result<Vec<Revision>, SourceError> {
        let range = range.to_owned();
        self.blocking(move |inner| inner.origin.commits(&range)).await
    }

    /// How the platform's steps are carried out.
    #[must_use]
    pub fn platform_rules(&self) -> Rules {
        self.0.jobs.platform_rules()
    }

    /// How a team's steps are carried out.
    #[must_use]
    pub fn team_rules(&self) -> Rules {
        self.0.jobs.team_rules()
    }

    /// What is declared.
    #[must_use]
    pub fn jobs(&self) -> &[JobSummary] {
        self.0.jobs.summaries()
    }

    /// The Secret of each team with the login that people push with.
    #[must_use]
    pub fn push_secret(&self) -> Option<SecretName> {
        self.0.jobs.push_secret().cloned()
    }

    /// When the next look for drift is due.
    #[must_use]
    pub fn next_sweep(
        &self,
        last: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
        random: f64,
    ) -> Option<DateTime<Utc>> {
        self.0.jobs.next_repair(last, now, random)
    }

    /// What has to be watched to notice a change.
    #[must_use]
    pub fn watched(&self) -> Vec<(PathBuf, Watched)> {
        self.0.origin.watched(&self.0.options.root)
    }

    /// Ends a fetch that is under way, and refuses those to come.
    pub async fn close(&self) {
        // It fails only with the thread, and then no fetch is under way.
        let _ = self
            .blocking(|inner| {
                inner.origin.close();
                Ok(())
            })
            .await;
    }

    /// What is followed, as webhooks name it.
    #[must_use]
    pub fn subject(&self) -> Subject {
        self.0.origin.subject()
    }

    /// Where the repository is, without a login.
    #[must_use]
    pub fn location(&self) -> String {
        self.0.origin.location()
    }

    /// Reads in a span of its own; git's calls are part of it.
    async fn snapshot<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, SourceError> + Send + 'static,
    ) -> Result<T, SourceError> {
        let span = info_span!("snapshot", commit = field::Empty);
        let inside = span.clone();
        self.blocking(move |inner| inside.in_scope(|| work(inner))).await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, SourceError> + Send + 'static,
    ) -> Result<T, SourceError> {
        let inner = self.0.clone();
        tokio::task::spawn_blocking(move || work(&inner))
            .await
            .map_err(SourceError::Thread)?
    }
}

/// The job files of a folder in place of the embedded ones.
///
/// # Errors
/// When the folder can't be read, or a file is at fault.
pub fn read_jobs(folder: Option<&Path>) -> Result<JobDeclarations, SourceError> {
    let mut files = Vec::new();
    if let Some(path) = folder {
        let failed = |source| SourceError::JobFiles {
            path: path.to_owned(),
            source,
        };
        for entry in std::fs::read_dir(path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry
                .path()
                .extension()
                .is_some_and(|extension| extension == "yaml")
                && !name.starts_with('.')
            {
                files.push((name, std::fs::read_to_string(entry.path()).map_err(failed)?));
            }
        }
        files.sort();
    }
    Ok(JobDeclarations::load(&files, Utc::now())?)
}

impl Inner {
    fn read_commit(&self, revision: &Revision) -> Result<Reading, SourceError> {
        let read = Utc::now();
        let repository = self.origin.repository();
        let asked = Asked {
            read,
            committed: repository.committed(revision),
        };
        let tree = repository.tree_at(revision)?;
        let mut builder = self.builder.lock().unwrap_or_else(PoisonError::into_inner);
        let built = builder.build(&tree, revision.clone(), &self.options);
        drop(builder);
        let reading = self.reading(built, revision, asked)?;
        if let Err(error) = self.origin.keep(revision) {
            tracing::warn!(
                "the good commit {} is not kept: {}",
                revision.short(),
                chain(&error)
            );
        }
        Ok(reading)
    }

    fn read_working_tree(&self) -> Result<Reading, SourceError> {
        let asked = Asked {
            read: Utc::now(),
            committed: None,
        };
        let tree = self.origin.working_tree();
        let mut builder = self.builder.lock().unwrap_or_else(PoisonError::into_inner);
        let built = tree.snapshot(&mut builder, &self.options);
        drop(builder);
        self.reading(built, &tree.revision(), asked)
    }

    fn reading(
        &self,
        built: Result<Snapshot, SnapshotError>,
        revision: &Revision,
        asked: Asked,
    ) -> Result<Reading, SourceError> {
        Span::current().record("commit", revision.as_str());
        let snapshot = built.map_err(|error| match error {
            SnapshotError::Refused { faults } => SourceError::Refused {
                revision: revision.clone(),
                faults,
            },
            SnapshotError::Unreadable(source) => SourceError::Unreadable {
                repository: self.origin.repository().path().to_owned(),
                revision: revision.clone(),
                source,
            },
        })?;
        let intent = self.intent(&snapshot, asked)?;
        Ok(Reading {
            snapshot: Arc::new(snapshot),
            intent,
            committed: asked.committed,
        })
    }

    /// What a snapshot asks for, by the jobs' parameters.
    fn intent(&self, snapshot: &Snapshot, asked: Asked) -> Result<Option<Intent>, SourceError> {
        let platform = &snapshot.platform;
        let Some(host) = platform
            .registry_host
            .as_ref()
            .filter(|_| platform.harbor_enabled)
        else {
            return Ok(None);
        };
        let inputs = PlatformInputs {
            issuer: platform.oidc_issuer.clone(),
            client_id: platform.oidc_client_id.clone(),
            user_claim: platform.oidc_user_claim.clone(),
            auto_onboard: platform.oidc_auto_onboard,
            verify_certificate: platform.verify_certificate,
        };
        let teams = snapshot.teams.values().map(|team| {
            let desired = self.jobs.provision(&team.id, host, team.storage_quota);
            desired.map_err(|source| SourceError::Name {
                team: team.id.clone(),
                source,
            })
        });
        // A name that is no team id was never provisioned, so there is nothing of it to hold.
        let held: BTreeMap<TeamId, Vec<String>> = snapshot
            .held
            .iter()
            .filter_map(|(name, faults)| {
                Some((
                    TeamId::new(name.as_str()).ok()?,
                    faults.iter().map(ToString::to_string).collect(),
                ))
            })
            .collect();
        Ok(Some(Intent {
            revision: snapshot.revision.clone(),
            asked,
            platform: self.jobs.configure(&inputs),
            teams: teams.collect::<Result<_, _>>()?,
            held,
        }))
    }
}
