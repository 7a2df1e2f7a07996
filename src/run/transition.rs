//! Which states of a lane may follow which.
//!
//! ```text
//! Pending ──> Running ──> Done ──> Pending        (a new commit, or drift)
//!    │           │ └────> Waiting ─> Pending, Running, Done, Waiting, Parked
//!    │           └──────> Parked ──> Pending      (a new commit, a sweep or a person)
//!    └─ Done, Waiting, Parked as well: it was right already, or could not even be observed
//! ```
//! Whatever is not done may become Superseded, and from there only Pending, which is the
//! newer commit. Running becomes Pending when a start finds a run that was cut off.

use super::record::RunState;

/// A change of state that must not happen: a fault of the engine, never of its surroundings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a lane that is {from} can't become {to}")]
pub struct IllegalTransition {
    /// The name of the state that it is in.
    pub from: &'static str,
    /// The name of the state that it should take.
    pub to: &'static str,
}

/// The new state, when it may follow the present one.
///
/// # Errors
/// When it may not; the lane keeps the state it has.
pub fn transition(from: &RunState, to: RunState) -> Result<RunState, IllegalTransition> {
    use RunState::{Done, Parked, Pending, Running, Superseded, Waiting};
    let legal = match from {
        Pending => !matches!(to, Pending),
        Running { .. } | Waiting { .. } => true,
        Done | Superseded { .. } => matches!(to, Pending),
        Parked { .. } => matches!(to, Pending | Superseded { .. }),
    };
    if legal {
        Ok(to)
    } else {
        Err(IllegalTransition {
            from: name(from),
            to: name(&to),
        })
    }
}

fn name(state: &RunState) -> &'static str {
    match state {
        RunState::Pending => "pending",
        RunState::Running { .. } => "running",
        RunState::Done => "done",
        RunState::Waiting { .. } => "waiting",
        RunState::Parked { .. } => "parked",
        RunState::Superseded { .. } => "superseded",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::step::Operation;
    use crate::values::Revision;

    fn states() -> [RunState; 6] {
        [
            RunState::Pending,
            RunState::Running {
                operation: Operation::EnsureProject,
            },
            RunState::Done,
            RunState::Waiting {
                until: chrono::DateTime::UNIX_EPOCH,
                why: "Harbor is away".to_owned(),
            },
            RunState::Parked {
                why: "Harbor refused".to_owned(),
            },
            RunState::Superseded {
                by: Revision::commit("c2"),
            },
        ]
    }

    #[test]
    fn every_pair_of_states_is_legal_or_illegal_as_the_table_says() {
        // Rows are the present state, columns the next: pending running done waiting parked superseded.
        let table = [
            ("pending", [0, 1, 1, 1, 1, 1]),
            ("running", [1, 1, 1, 1, 1, 1]),
            ("done", [1, 0, 0, 0, 0, 0]),
            ("waiting", [1, 1, 1, 1, 1, 1]),
            ("parked", [1, 0, 0, 0, 0, 1]),
            ("superseded", [1, 0, 0, 0, 0, 0]),
        ];
        for (from, (row, legal)) in states().iter().zip(table) {
            assert_eq!(name(from), row);
            for (to, legal) in states().into_iter().zip(legal) {
                let result = transition(from, to.clone());
                assert_eq!(result.is_ok(), legal == 1, "{row} -> {}", name(&to));
                match result {
                    Ok(state) => assert_eq!(state, to),
                    Err(error) => assert_eq!(
                        error,
                        IllegalTransition {
                            from: row,
                            to: name(&to)
                        }
                    ),
                }
            }
        }
    }
}
