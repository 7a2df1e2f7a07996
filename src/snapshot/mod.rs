//! One commit, one desired state, with every fault and a fingerprint a team.
