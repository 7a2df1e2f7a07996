//! The Kubernetes edge: Secrets, service accounts and namespaces.
