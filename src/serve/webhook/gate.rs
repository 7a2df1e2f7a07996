//! How a flood is kept from harming.
//!
//! That a delivery is forged shows only when it is there in whole, so a flood can't be told from hooks
//! before it is read. What holds nevertheless:
//!
//! - Memory is bounded: so many bodies at once, each so long at most.
//! - A valid delivery never waits for a slow one. When all places are taken, the delivery that has been
//!   arriving for the longest time makes way for the new one. Hosts send theirs in milliseconds; who
//!   trickles a body loses its place first.
//! - A valid delivery is never refused for what others sent: the rate of refusals decides only whether
//!   a delivery that failed is told 401 or 429, and is logged.
//!
//! What does not hold: whoever fills the network, or sends whole bodies faster than they can be hashed,
//! takes that much of the machine. That is for whatever stands before the listener.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::run::lock;

/// The places for bodies that are being read.
pub(super) struct Gate {
    places: Arc<Semaphore>,
    /// Who is still reading, the longest-waiting first.
    arriving: Arc<Mutex<Arriving>>,
}

#[derive(Default)]
struct Arriving {
    queue: VecDeque<(u64, CancellationToken)>,
    next: u64,
}

/// A place at the gate. It is given back when dropped.
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
    arriving: Arc<Mutex<Arriving>>,
    number: u64,
    /// Tells that the place is wanted by another.
    pub(super) lost: CancellationToken,
}

impl Gate {
    pub(super) fn new(places: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(places.max(1))),
            arriving: Arc::default(),
        }
    }

    /// Takes a place, if need be that of the delivery that has been arriving for the longest time.
    pub(super) async fn enter(&self) -> Option<Place> {
        let permit = if let Ok(permit) = self.places.clone().try_acquire_owned() {
            permit
        } else {
            if let Some((_, oldest)) = lock(&self.arriving).queue.pop_front() {
                oldest.cancel();
            }
            self.places.clone().acquire_owned().await.ok()?
        };
        let lost = CancellationToken::new();
        let mut arriving = lock(&self.arriving);
        let number = arriving.next;
        arriving.next += 1;
        arriving.queue.push_back((number, lost.clone()));
        Some(Place {
            _permit: permit,
            arriving: self.arriving.clone(),
            number,
            lost,
        })
    }
}

impl Place {
    /// The body is there: nobody takes the place away any more.
    pub(super) fn arrived(&self) {
        lock(&self.arriving)
            .queue
            .retain(|(number, _)| *number != self.number);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.arrived();
    }
}

/// How many refusals are told and logged: `BURST` at once, then one each `PAUSE`.
pub(super) struct Refusals(Mutex<(u32, DateTime<Utc>)>);

const BURST: u32 = 30;
const PAUSE: TimeDelta = TimeDelta::seconds(2);

impl Refusals {
    pub(super) fn new(now: DateTime<Utc>) -> Self {
        Self(Mutex::new((BURST, now)))
    }

    /// Whether one more refusal is within the rate.
    pub(super) fn allow(&self, now: DateTime<Utc>) -> bool {
        let mut bucket = lock(&self.0);
        let (left, since) = &mut *bucket;
        let earned = (now - *since).num_seconds().max(0) / PAUSE.num_seconds();
        if let Ok(earned) = u32::try_from(earned)
            && earned < BURST
        {
            *left = BURST.min(*left + earned);
            *since += PAUSE * i32::try_from(earned).unwrap_or_default();
        } else {
            (*left, *since) = (BURST, now);
        }
        // A clock that was set back must not stop the refill until it has caught up.
        *since = now.min(*since);
        let allowed = *left > 0;
        *left = left.saturating_sub(1);
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_one_that_has_been_arriving_longest_makes_way() {
        let gate = Gate::new(2);
        let first = gate.enter().await.unwrap();
        let second = gate.enter().await.unwrap();
        assert!(!first.lost.is_cancelled());
        let (third, ()) = tokio::join!(gate.enter(), async {
            first.lost.cancelled().await;
            drop(first);
        });
        assert!(third.is_some() && !second.lost.is_cancelled());
    }

    #[tokio::test]
    async fn one_that_is_there_keeps_its_place() {
        let gate = Gate::new(2);
        let first = gate.enter().await.unwrap();
        first.arrived();
        let second = gate.enter().await.unwrap();
        let (third, ()) = tokio::join!(gate.enter(), async {
            second.lost.cancelled().await;
            drop(second);
        });
        assert!(third.is_some() && !first.lost.is_cancelled());
    }

    #[tokio::test]
    async fn a_place_that_is_given_back_is_free() {
        let gate = Gate::new(1);
        for _ in 0..3 {
            assert!(!gate.enter().await.unwrap().lost.is_cancelled());
        }
        assert!(lock(&gate.arriving).queue.is_empty());
    }

    #[test]
    fn refusals_are_told_at_a_bounded_rate() {
        let start: DateTime<Utc> = "2026-11-02T12:00:00Z".parse().unwrap();
        let at = |seconds| start + TimeDelta::seconds(seconds);
        let refusals = Refusals::new(start);
        let allowed = |now, tries: u32| (0..tries).filter(|_| refusals.allow(now)).count();
        assert_eq!(allowed(at(0), 100), BURST as usize);
        assert_eq!(allowed(at(1), 5), 0);
        assert_eq!(allowed(at(2), 5), 1);
        assert_eq!(allowed(at(7), 5), 2);
        assert_eq!(allowed(at(8), 5), 1);
        assert_eq!(allowed(at(9999), 100), BURST as usize);
        assert_eq!(allowed(at(0), 100), 0);
        assert_eq!(allowed(at(2), 5), 1);
    }
}
