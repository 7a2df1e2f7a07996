//! The servers, from settings.

use std::sync::Arc;

use crate::edge::harbor::{HarborClient, HarborSettings};
use crate::edge::kubernetes::{ClusterClient, ClusterSettings};
use crate::run::target::{Cluster, Harbor};
use crate::settings::{HarborAccess, KubernetesAccess};

/// Both servers, ready to be asked. Nothing has been sent to them yet.
pub struct Servers {
    /// Harbor.
    pub harbor: Arc<dyn Harbor>,
    /// Kubernetes.
    pub cluster: Arc<dyn Cluster>,
}
