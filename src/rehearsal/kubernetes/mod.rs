//! A Kubernetes API server for the few objects that harborage touches.
