//! The five layouts that Otomi's values repositories had so far.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How a values repository is laid out, in the order in which Otomi had them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// otomi 0.10 to 0.12: several clusters in `env/clusters.yaml` and `env/clouds/`.
    Clouds,
    /// otomi 0.13 to 0.15: `env/cluster.yaml` and `env/charts/`.
    Charts,
    /// otomi 0.16 to apl 4.4: `env/apps/` and `env/teams.yaml`.
    Apps,
    /// apl 4.5 to 5: `env/settings/cluster.yaml` and a directory a team, secrets by SOPS.
    Dirs,
    /// apl 6: as `Dirs`, with `SealedSecrets` under `env/manifests/`.
    Sealed,
}

impl Layout {
    /// Every layout, the oldest first.
    pub const ALL: [Self; 5] = [Self::Clouds, Self::Charts, Self::Apps, Self::Dirs, Self::Sealed];

    /// The layout's name, as flags and the status have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Clouds => "clouds",
            Self::Charts => "charts",
            Self::Apps => "apps",
            Self::Dirs => "dirs",
            Self::Sealed => "sealed",
        }
    }

    /// Whether each team has a directory of its own.
    #[must_use]
    pub fn has_team_directories(self) -> bool {
        matches!(self, Self::Dirs | Self::Sealed)
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that names no layout.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no layout; there are clouds, charts, apps, dirs and sealed")]
pub struct UnknownLayout(String);

impl FromStr for Layout {
    type Err = UnknownLayout;
    fn from_str(text: &str) -> Result<Self, UnknownLayout> {
        Self::ALL
            .into_iter()
            .find(|layout| layout.as_str() == text)
            .ok_or_else(|| UnknownLayout(text.to_owned()))
    }
}

/// Which of the files and directories that tell the layouts apart are there, below `env/`.
#[derive(Debug, Clone, Copy, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one marker that exists or does not, in any combination"
)]
pub(crate) struct Markers {
    pub(crate) clusters_file: bool,
    pub(crate) clouds: bool,
    pub(crate) cluster_file: bool,
    pub(crate) charts: bool,
    pub(crate) apps: bool,
    pub(crate) teams_file: bool,
    pub(crate) settings_cluster: bool,
    pub(crate) sealed_secrets: bool,
}

impl Markers {
    /// The layout, by the first marker that is there, the oldest layout first.
    ///
    /// A repository in the middle of a migration has markers of two. What decides
    /// then is the file that only one of them reads the domain from: with
    /// `env/settings/cluster.yaml` and no `env/cluster.yaml`, a left-over
    /// `env/teams.yaml` or `env/charts/` makes it no older than it is.
    pub(crate) fn layout(self) -> Option<Layout> {
        let directories = self.settings_cluster && !self.cluster_file && !self.clusters_file;
        match self {
            _ if directories && self.sealed_secrets => Some(Layout::Sealed),
            _ if directories => Some(Layout::Dirs),
            _ if self.clusters_file && (self.clouds || !self.cluster_file) => Some(Layout::Clouds),
            Self {
                cluster_file: true,
                charts: true,
                apps: false,
                ..
            } => Some(Layout::Charts),
            Self {
                apps: true,
                teams_file: true,
                ..
            }
            | Self {
                apps: true,
                cluster_file: true,
                ..
            } => Some(Layout::Apps),
            Self {
                settings_cluster: true,
                sealed_secrets: true,
                ..
            } => Some(Layout::Sealed),
            Self {
                settings_cluster: true,
                ..
            } => Some(Layout::Dirs),
            Self {
                cluster_file: true,
                teams_file: true,
                ..
            } => Some(Layout::Apps),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layout_is_told_by_what_exists() {
        let none = Markers::default();
        let clouds = Markers {
            clusters_file: true,
            clouds: true,
            charts: true,
            teams_file: true,
            ..none
        };
        let charts = Markers {
            cluster_file: true,
            charts: true,
            teams_file: true,
            ..none
        };
        let apps = Markers {
            cluster_file: true,
            apps: true,
            teams_file: true,
            ..none
        };
        let dirs = Markers {
            settings_cluster: true,
            apps: true,
            ..none
        };
        let sealed = Markers {
            sealed_secrets: true,
            ..dirs
        };
        for (markers, layout) in [
            (clouds, Some(Layout::Clouds)),
            (charts, Some(Layout::Charts)),
            (apps, Some(Layout::Apps)),
            (dirs, Some(Layout::Dirs)),
            (sealed, Some(Layout::Sealed)),
            (Markers { charts: true, ..apps }, Some(Layout::Apps)),
            (
                Markers {
                    teams_file: true,
                    charts: true,
                    ..dirs
                },
                Some(Layout::Dirs),
            ),
            (
                Markers {
                    settings_cluster: true,
                    ..apps
                },
                Some(Layout::Apps),
            ),
            (none, None),
            (Markers { apps: true, ..none }, None),
        ] {
            assert_eq!(markers.layout(), layout, "{markers:?}");
        }
    }

    #[test]
    fn every_layout_is_read_by_its_name() {
        for layout in Layout::ALL {
            assert_eq!(layout.as_str().parse(), Ok(layout));
        }
        assert!("folders".parse::<Layout>().is_err());
    }
}
