//! The files that say what all teams share, in each layout.

use super::SnapshotOptions;
use super::files::{Files, Loaded};
use super::tree::TreeError;
use crate::values::yaml::Value;
use crate::values::{Faults, Layout, Platform, PlatformParts, View};

/// The platform, and what else is read before the teams.
pub(super) struct Shared {
    pub(super) platform: Platform,
    /// `env/teams.yaml` and its secrets, in layouts that have them.
    pub(super) teams: Option<(Loaded, Loaded)>,
}

/// Reads everything that all teams share.
pub(super) fn read(
    layout: Layout,
    env: &str,
    files: &mut Files<'_, '_>,
    options: &SnapshotOptions,
    faults: &mut Faults,
) -> Result<Shared, TreeError> {
    if layout.has_team_directories() {
        return read_directories(layout, env, files, options, faults);
    }
    // Later files win, as they do when Otomi merges them; secrets come last.
    let app_directories: &[&str] = if layout == Layout::Apps {
        &["charts", "apps"]
    } else {
        &["apps", "charts"]
    };
    let cluster_file = if layout == Layout::Clouds {
        "clusters.yaml"
    } else {
        "cluster.yaml"
    };
    let mut paths = vec![cluster_file.to_owned()];
    for directory in app_directories {
        paths.extend(["cert-manager", "harbor", "keycloak"].map(|app| format!("{directory}/{app}.yaml")));
    }
    paths.push("settings.yaml".to_owned());
    paths.push("secrets.settings.yaml".to_owned());
    let mut loaded = load_all(env, &paths, files, faults)?;

    let chosen_cluster = match layout {
        Layout::Clouds => {
            let chosen = choose_cluster(&view_of(&loaded), options, env, faults);
            if let Some((name, _)) = &chosen {
                loaded.extend(load_all(env, &override_files(name), files, faults)?);
            }
            chosen
        }
        _ => None,
    };
    let root = view_of(&loaded);
    let app = |name: &str, faults: &mut Faults| {
        let (older, newer) = if layout == Layout::Apps {
            ("charts", "apps")
        } else {
            ("apps", "charts")
        };
        let older = root.map(&format!("{older}.{name}"), faults);
        older.under(root.map(&format!("{newer}.{name}"), faults))
    };
    let parts = PlatformParts {
        harbor: app("harbor", faults),
        keycloak: app("keycloak", faults),
        cert_manager: app("cert-manager", faults),
        cluster: root.map("cluster", faults),
        oidc: root.map("oidc", faults),
        version: root.clone(),
        cluster_file: format!("{env}/{cluster_file}"),
        chosen_cluster,
    };
    let platform = Platform::read(layout, &parts, options.registry_host.as_ref(), faults);

    let plain = files.load(&format!("{env}/teams.yaml"), faults)?;
    if matches!(plain, Loaded::Nothing) {
        let hint = "a platform without teams says so with `teamConfig: {}`";
        faults.file(
            &format!("{env}/teams.yaml"),
            "the file that names the teams is not there",
            hint,
        );
    }
    let secrets = files.load(&format!("{env}/secrets.teams.yaml"), faults)?;
    Ok(Shared {
        platform,
        teams: Some((plain, secrets)),
    })
}

fn read_directories(
    layout: Layout,
    env: &str,
    files: &mut Files<'_, '_>,
    options: &SnapshotOptions,
    faults: &mut Faults,
) -> Result<Shared, TreeError> {
    let paths = [
        "settings/cluster.yaml",
        "settings/oidc.yaml",
        "settings/versions.yaml",
        "apps/harbor.yaml",
        "apps/keycloak.yaml",
        "apps/cert-manager.yaml",
    ];
    let loaded = load_all(env, &paths, files, faults)?;
    let mut specs = loaded
        .iter()
        .map(|file| View::of(file.document()).map("spec", faults));
    let mut spec = || specs.next().unwrap_or_default();
    let (cluster, oidc, version, harbor, keycloak, cert_manager) =
        (spec(), spec(), spec(), spec(), spec(), spec());
    drop(specs);
    let parts = PlatformParts {
        cluster,
        oidc,
        version,
        harbor,
        keycloak,
        cert_manager,
        cluster_file: format!("{env}/settings/cluster.yaml"),
        chosen_cluster: None,
    };
    let platform = Platform::read(layout, &parts, options.registry_host.as_ref(), faults);
    Ok(Shared {
        platform,
        teams: None,
    })
}

fn load_all<P: AsRef<str>>(
    env: &str,
    paths: &[P],
    files: &mut Files<'_, '_>,
    faults: &mut Faults,
) -> Result<Vec<Loaded>, TreeError> {
    paths
        .iter()
        .map(|path| files.load(&format!("{env}/{}", path.as_ref()), faults))
        .collect()
}

fn view_of(loaded: &[Loaded]) -> View<'_> {
    View::of(loaded.iter().filter_map(Loaded::document))
}

/// Values that one cloud, and one cluster of it, put over those of all.
fn override_files(cluster: &str) -> [String; 2] {
    let (cloud, name) = cluster.split_once('/').unwrap_or((cluster, ""));
    [
        format!("clouds/{cloud}/overrides.{cloud}.yaml"),
        format!("clouds/{cloud}/{name}/overrides.{cloud}-{name}.yaml"),
    ]
}

/// The cluster to work for and its domain, `<cluster>.<domain of its cloud>`.
fn choose_cluster(
    root: &View<'_>,
    options: &SnapshotOptions,
    env: &str,
    faults: &mut Faults,
) -> Option<(String, String)> {
    let before = faults.list.len();
    let mut clusters = Vec::new();
    for (cloud, _, found) in root.map("clouds", faults).entries() {
        let cloud_view = View::single(found.document, found.node);
        let domain = cloud_view.text("domain", faults).map(|(text, _)| text.to_owned());
        for (name, _, cluster) in cloud_view.map("clusters", faults).entries() {
            // A cluster that says nothing is on.
            let on = match cluster.node.value {
                Value::Map(_) => View::single(cluster.document, cluster.node)
                    .flag("enabled", faults)
                    .unwrap_or(true),
                _ => true,
            };
            clusters.push((format!("{cloud}/{name}"), domain.clone(), on));
        }
    }
    let wanted = |(name, _, on): &&(String, Option<String>, bool)| match &options.cluster {
        Some(cluster) => name == cluster,
        None => *on,
    };
    let file = format!("{env}/clusters.yaml");
    let mut chosen = clusters.iter().filter(wanted);
    match (chosen.next(), chosen.next()) {
        (Some((name, Some(domain), _)), None) => {
            Some((name.clone(), format!("{}.{domain}", last_part(name))))
        }
        (Some((name, None, _)), None) => {
            if options.registry_host.is_some() {
                return Some((name.clone(), String::new()));
            }
            faults.file(
                &file,
                format!("the cloud of cluster {name} has no domain"),
                "give it one, or give --registry-host",
            );
            None
        }
        _ if faults.list.len() > before => None,
        (first, _) => {
            let names = if clusters.is_empty() {
                "none".to_owned()
            } else {
                clusters
                    .iter()
                    .map(|(name, ..)| &**name)
                    .collect::<Vec<_>>()
                    .join(", ")
            };
            let message = match (&options.cluster, first) {
                (Some(cluster), _) => format!("there is no cluster {cluster}; there are: {names}"),
                (None, None) => format!("no cluster is enabled; there are: {names}"),
                (None, Some(_)) => format!("several clusters are enabled; there are: {names}"),
            };
            faults.file(&file, message, "choose one with --cluster CLOUD/NAME");
            None
        }
    }
}

fn last_part(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}
