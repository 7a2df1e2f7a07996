//! Numbering, counting and remembering the calls that a stand-in gets.

use std::collections::{BTreeMap, HashMap};

use super::{Handler, Request};

/// What a call is for, as the cost of a run is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CallKind {
    /// It looks.
    Read,
    /// It changes something.
    Write,
    /// It only proves who is asking.
    SignIn,
}

/// One call, as observers and injections see it before it is handled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its place among all calls of this server, from 1.
    pub number: u64,
    /// How many times this method was asked about this subject, from 1.
    pub nth: u64,
    /// The method.
    pub method: String,
    /// The path as sent.
    pub path: String,
    /// The query as sent, without its `?`.
    pub query: String,
    /// The path with its variable segments named.
    pub route: String,
    /// What it is about, see [`Handler::subject`].
    pub subject: String,
    /// What it is for.
    pub kind: CallKind,
}

/// A call that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallLog {
    /// The call.
    pub call: Call,
    /// The status it was answered with; none when no answer was sent.
    pub status: Option<u16>,
}

/// How many calls of each kind a server got.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallCounts {
    /// All calls.
    pub total: u64,
    /// Those that look.
    pub reads: u64,
    /// Those that change something, whether or not they succeeded.
    pub writes: u64,
    /// Those that only prove who is asking.
    pub sign_ins: u64,
    /// Calls that the weather or an injection made fail.
    pub struck: u64,
    /// By method and route, as `GET /api/v2.0/projects/{project}`.
    pub by_route: BTreeMap<String, u64>,
    /// The most reads that were in flight at once.
    pub peak_reads: u64,
    /// The most writes that were in flight at once.
    pub peak_writes: u64,
}

impl CallCounts {
    /// Calls of one method and route.
    #[must_use]
    pub fn of(&self, method: &str, route: &str) -> u64 {
        self.by_route
            .get(&format!("{method} {route}"))
            .copied()
            .unwrap_or(0)
    }
}

/// The book of one server's calls.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    counts: CallCounts,
    asked: HashMap<(String, String), u64>,
    log: Vec<CallLog>,
    reads_in_flight: u64,
    writes_in_flight: u64,
}

impl Ledger {
    /// Enters a call that has just been read.
    pub(super) fn open(&mut self, handler: &dyn Handler, request: &Request) -> Call {
        let subject = handler.subject(request);
        let route = handler.route(request);
        let kind = handler.kind(request);
        let nth = self
            .asked
            .entry((request.method.clone(), subject.clone()))
            .or_default();
        *nth += 1;
        let nth = *nth;
        let counts = &mut self.counts;
        counts.total += 1;
        *counts
            .by_route
            .entry(format!("{} {route}", request.method))
            .or_default() += 1;
        match kind {
            CallKind::Read => {
                counts.reads += 1;
                self.reads_in_flight += 1;
                counts.peak_reads = counts.peak_reads.max(self.reads_in_flight);
            }
            CallKind::Write => {
                counts.writes += 1;
                self.writes_in_flight += 1;
                counts.peak_writes = counts.peak_writes.max(self.writes_in_flight);
            }
            CallKind::SignIn => counts.sign_ins += 1,
        }
        Call {
            number: counts.total,
            nth,
            method: request.method.clone(),
            path: request.path.clone(),
            query: request.query.clone(),
            route,
            subject,
            kind,
        }
    }

    /// Notes that the call failed by the weather's doing.
    pub(super) fn strike(&mut self) {
        self.counts.struck += 1;
    }

    /// Closes a call, with what was answered if anything was.
    pub(super) fn close(&mut self, call: Call, status: Option<u16>) {
        match call.kind {
            CallKind::Read => self.reads_in_flight -= 1,
            CallKind::Write => self.writes_in_flight -= 1,
            CallKind::SignIn => {}
        }
        self.log.push(CallLog { call, status });
    }

    /// The counters so far.
    pub(super) fn counts(&self) -> CallCounts {
        self.counts.clone()
    }

    /// The calls that are over, in the order in which they ended.
    pub(super) fn log(&self) -> Vec<CallLog> {
        self.log.clone()
    }

    /// Forgets all counters and the log; numbering starts again at 1.
    pub(super) fn reset(&mut self) {
        self.counts = CallCounts::default();
        self.asked.clear();
        self.log.clear();
    }
}
