//! What must hold, a function each.

mod download;
mod drift;
mod git;
mod hooks;
mod outages;
mod people;
mod platform;
mod rights;

use super::suite::Scenario;

/// Every scenario, in the order in which they run.
pub(crate) fn all() -> Vec<Scenario> {
    let mut all = platform::all();
    all.extend(drift::all());
    all.extend(rights::all());
    all.extend(outages::all());
    all.extend(git::all());
    all.extend(hooks::all());
    all.extend(people::all());
    all.extend(download::all());
    all
}
