//! What a values repository says about the platform that all teams share.

use serde::{Deserialize, Serialize};

use super::layout::Layout;
use super::names::RegistryHost;
use super::view::{Faults, View};

/// The platform, as far as Harbor is concerned with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// Whether Harbor is on. Off where nothing says so, since that is how Otomi's charts read it.
    pub harbor_enabled: bool,
    /// The host of image references, `harbor.<domainSuffix>`. Always there when Harbor is on.
    pub registry_host: Option<RegistryHost>,
    /// The platform's domain, when it has one.
    pub domain_suffix: Option<String>,
    /// The cluster, `<cloud>/<name>`, where the repository has several.
    pub cluster: Option<String>,
    /// The OIDC issuer that Harbor trusts.
    pub oidc_issuer: Option<String>,
    /// Harbor's client id at that issuer.
    pub oidc_client_id: String,
    /// Whether Harbor makes users at their first sign-in.
    pub oidc_auto_onboard: bool,
    /// The claim that becomes the name of a Harbor user.
    pub oidc_user_claim: String,
    /// Whether the issuer's certificate is one that Harbor can verify.
    pub verify_certificate: bool,
    /// The version of the values' specification, in layouts that have one.
    pub spec_version: Option<u64>,
}

/// The parts of a repository that the platform is read from, whatever files they stand in.
#[derive(Debug, Default)]
pub(crate) struct PlatformParts<'a> {
    pub(crate) cluster: View<'a>,
    pub(crate) harbor: View<'a>,
    pub(crate) keycloak: View<'a>,
    pub(crate) cert_manager: View<'a>,
    pub(crate) oidc: View<'a>,
    pub(crate) version: View<'a>,
    /// The file that ought to have the domain, for the fault when it has none.
    pub(crate) cluster_file: String,
    /// The cluster and its domain, where the layout derives them.
    pub(crate) chosen_cluster: Option<(String, String)>,
}

impl Platform {
    /// Reads the platform. What is wrong is noted as a fault that all teams share.
    pub(crate) fn read(
        layout: Layout,
        parts: &PlatformParts<'_>,
        registry_host: Option<&RegistryHost>,
        faults: &mut Faults,
    ) -> Self {
        let harbor_enabled = parts.harbor.flag("enabled", faults).unwrap_or(false);
        let domain = domain(parts, faults);
        let registry_host = match registry_host {
            Some(host) => Some(host.clone()),
            None if harbor_enabled => registry_host_of(domain.as_deref(), parts, faults),
            None => domain
                .as_deref()
                .and_then(|domain| RegistryHost::new(format!("harbor.{domain}")).ok()),
        };
        let (oidc_issuer, oidc_client_id) = oidc(layout, domain.as_deref(), parts, faults);
        Self {
            harbor_enabled,
            registry_host,
            cluster: parts.chosen_cluster.as_ref().map(|(name, _)| name.clone()),
            oidc_issuer,
            oidc_client_id,
            oidc_auto_onboard: parts.harbor.flag("oidcAutoOnboard", faults).unwrap_or(true),
            oidc_user_claim: text(&parts.harbor, "oidcUserClaim", faults)
                .unwrap_or_else(|| "email".to_owned()),
            verify_certificate: verify_certificate(parts, faults),
            spec_version: match layout {
                Layout::Clouds | Layout::Charts => None,
                Layout::Apps => parts.version.number("version", faults),
                Layout::Dirs | Layout::Sealed => parts.version.number("specVersion", faults),
            },
            domain_suffix: domain,
        }
    }
}

fn text(view: &View<'_>, path: &str, faults: &mut Faults) -> Option<String> {
    view.text(path, faults).map(|(text, _)| text.to_owned())
}

fn domain(parts: &PlatformParts<'_>, faults: &mut Faults) -> Option<String> {
    match &parts.chosen_cluster {
        Some((_, domain)) => (!domain.is_empty()).then(|| domain.clone()),
        None => text(&parts.cluster, "domainSuffix", faults),
    }
}

const NO_DOMAIN: &str = "a platform without a domain yet needs --registry-host to say where its Harbor is";

fn registry_host_of(
    domain: Option<&str>,
    parts: &PlatformParts<'_>,
    faults: &mut Faults,
) -> Option<RegistryHost> {
    let said = parts.cluster.find("domainSuffix", faults);
    let Some(domain) = domain else {
        // A value of a wrong type, or a file that does not parse, has its own fault already.
        if said.is_none() && faults.list.iter().all(|fault| fault.file != parts.cluster_file) {
            let message = "Harbor is on, and no domainSuffix says what its host is";
            match parts.cluster.origin() {
                Some(cluster) => faults.at(cluster.document, cluster.node.place, message, NO_DOMAIN),
                None => faults.file(&parts.cluster_file, message, NO_DOMAIN),
            }
        }
        return None;
    };
    match RegistryHost::new(format!("harbor.{domain}")) {
        Ok(host) => Some(host),
        Err(error) => {
            let message = format!("the domain makes no host for the registry: it {}", error.rule);
            match said {
                Some(found) => faults.at(found.document, found.node.place, message, NO_DOMAIN),
                None => faults.file(&parts.cluster_file, message, NO_DOMAIN),
            }
            None
        }
    }
}

/// Harbor talks to the platform's Keycloak, whose realm was `master` before there were apps.
/// Only in those days could Keycloak be off, and Harbor talked to the identity provider itself.
fn oidc(
    layout: Layout,
    domain: Option<&str>,
    parts: &PlatformParts<'_>,
    faults: &mut Faults,
) -> (Option<String>, String) {
    let client = text(&parts.keycloak, "idp.clientID", faults);
    let (keycloak, realm) = match layout {
        Layout::Clouds | Layout::Charts => {
            (parts.keycloak.flag("enabled", faults).unwrap_or(false), "master")
        }
        Layout::Apps | Layout::Dirs | Layout::Sealed => (true, "otomi"),
    };
    let (issuer, client) = if keycloak {
        (
            domain.map(|domain| format!("https://keycloak.{domain}/realms/{realm}")),
            client,
        )
    } else {
        (
            text(&parts.oidc, "issuer", faults),
            text(&parts.oidc, "clientID", faults).or(client),
        )
    };
    (issuer, client.unwrap_or_else(|| "otomi".to_owned()))
}

fn verify_certificate(parts: &PlatformParts<'_>, faults: &mut Faults) -> bool {
    let issuer = parts.cert_manager.text("issuer", faults).map(|(text, _)| text);
    let stage = parts.cert_manager.text("stage", faults).map(|(text, _)| text);
    // Before there was a choice of issuers it was always Let's Encrypt.
    let unknown = matches!(
        (issuer, stage),
        (Some("custom-ca"), _) | (Some("letsencrypt") | None, Some("staging"))
    );
    !unknown
}
