//! The connections of the data port: which have a place, and which lose it when all are taken (A613).
//!
//! While places are free, an address may have any number of them: a proxy in front is one address. When all are taken, the
//! address with most connections loses one to an address with fewer: the longest silent one first; a busy one only if the
//! address has more than its share, which shrinks with the number of addresses.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use crate::limits;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::pulse::{ConnectionPhase, Pulse};
use crate::clients::Group;
use crate::metrics::{ClosedFor, ConnectionSeries};

/// All connections.
pub(super) struct Crowd {
    places: usize,
    inner: Mutex<Inner>,
    /// A place became free.
    left: Notify,
    empty: Notify,
    draining: watch::Sender<bool>,
    series: ConnectionSeries,
}

#[derive(Default)]
struct Inner {
    members: HashMap<u64, Arc<Member>>,
    of_group: HashMap<Group, usize>,
    /// The number of groups, by their number of connections.
    sizes: BTreeMap<usize, usize>,
    placed: usize,
    next: u64,
}

struct Member {
    group: Group,
    pulse: Arc<Pulse>,
    place: Mutex<Admission>,
    ended: Notify,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Admission {
    Has,
    Waits,
}

/// One connection; dropped, it has left.
pub(super) struct Connected {
    id: u64,
    member: Arc<Member>,
    crowd: Arc<Crowd>,
}

impl Crowd {
    /// With `places` places.
    pub(super) fn new(places: usize, series: ConnectionSeries) -> Arc<Self> {
        series.most.set(i64::try_from(places).unwrap_or(i64::MAX));
        let (left, empty, draining) = (Notify::new(), Notify::new(), watch::Sender::new(false));
        Arc::new(Self { places, inner: Mutex::default(), left, empty, draining, series })
    }

    /// Adds a connection, without a place yet; where too many wait for one, a waiting connection is closed.
    pub(super) fn enter(self: &Arc<Self>, address: SocketAddr) -> Connected {
        let pulse = Arc::new(Pulse::new());
        let member = Member {
            group: Group::of(address.ip()),
            pulse,
            place: Mutex::new(Admission::Waits),
            ended: Notify::new(),
        };
        let (member, mut inner) = (Arc::new(member), self.lock());
        if inner.members.len() >= self.places.saturating_add(limits::CONNECTIONS_WAITING) {
            let waits = inner.longest(|member, _| member.place() == Admission::Waits);
            self.end(&mut inner, waits, ClosedFor::Queue);
        }
        let id = inner.add(&member);
        self.tell(&inner);
        drop(inner);
        Connected { id, member, crowd: Arc::clone(self) }
    }

    /// Makes room where there are no descriptors: the longest silent one is closed.
    pub(super) fn relieve(&self) {
        let mut inner = self.lock();
        let silent = inner.longest(|member, _| member.is_silent(Instant::now()));
        self.end(&mut inner, silent, ClosedFor::Silence);
    }

    /// From now on connections end with the answer that is under way.
    pub(super) fn drain(&self) {
        self.draining.send_replace(true);
    }

    /// Waits until no connection is left.
    pub(super) async fn gone(&self) {
        loop {
            let empty = self.empty.notified();
            if self.lock().members.is_empty() {
                return;
            }
            empty.await;
        }
    }

    fn place(&self, id: u64, member: &Member) -> Admission {
        let mut inner = self.lock();
        if !inner.members.contains_key(&id) {
            return Admission::Waits;
        }
        if inner.placed >= self.places {
            let (victim, why) = inner.victim(member.group, self.share(inner.of_group.len()));
            if victim.is_none() {
                return Admission::Waits;
            }
            self.end(&mut inner, victim, why);
        }
        inner.placed += 1;
        member.set(Admission::Has);
        Admission::Has
    }

    /// The connections that each of `addresses` keeps while others wait. It has a lower bound, against an attacker with
    /// many addresses.
    fn share(&self, addresses: usize) -> usize {
        let part = |of: usize| self.places.checked_div(of).unwrap_or_default().max(1);
        let most = part(limits::CONNECTIONS_SHARES);
        part(addresses).clamp(most.min(limits::CONNECTIONS_KEPT), most)
    }

    fn end(&self, inner: &mut Inner, victim: Option<u64>, why: ClosedFor) {
        if let Some(member) = victim.and_then(|id| inner.remove(id)) {
            member.ended.notify_one();
            self.series.closed(why);
            self.tell(inner);
        }
    }

    fn tell(&self, inner: &Inner) {
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.series.open.set(count(inner.members.len()));
        self.series.of_one.set(count(inner.largest()));
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }
}

impl Inner {
    fn add(&mut self, member: &Arc<Member>) -> u64 {
        let id = self.next;
        self.next += 1;
        self.members.insert(id, Arc::clone(member));
        let size = self.of_group.get(&member.group).copied().unwrap_or_default();
        self.resize(member.group, size, size.saturating_add(1));
        id
    }

    fn remove(&mut self, id: u64) -> Option<Arc<Member>> {
        let member = self.members.remove(&id)?;
        let size = self.of_group.get(&member.group).copied().unwrap_or_default();
        self.resize(member.group, size, size.saturating_sub(1));
        if member.place() == Admission::Has {
            self.placed = self.placed.saturating_sub(1);
        }
        Some(member)
    }

    fn resize(&mut self, group: Group, from: usize, to: usize) {
        if let Some(groups) = self.sizes.get_mut(&from) {
            *groups -= 1;
            if *groups == 0 {
                self.sizes.remove(&from);
            }
        }
        if to == 0 {
            self.of_group.remove(&group);
        } else {
            self.of_group.insert(group, to);
            *self.sizes.entry(to).or_default() += 1;
        }
    }

    fn largest(&self) -> usize {
        self.sizes.last_key_value().map_or(0, |(size, _)| *size)
    }

    /// The connection that loses its place to one of this group; its own group must not have fewer connections.
    fn victim(&self, group: Group, share: usize) -> (Option<u64>, ClosedFor) {
        let mine = self.of_group.get(&group).copied().unwrap_or_default();
        let (now, has) = (Instant::now(), |member: &Member| member.place() == Admission::Has);
        let silent = self.longest(|member, size| has(member) && size >= mine && member.is_silent(now));
        let largest = self.largest();
        if silent.is_some() || mine > share || largest <= share {
            return (silent, ClosedFor::Silence);
        }
        (self.longest(|member, size| has(member) && size == largest), ClosedFor::Share)
    }

    /// The longest silent of the largest group, among those that are asked about; of several the oldest.
    fn longest(&self, among: impl Fn(&Member, usize) -> bool) -> Option<u64> {
        let now = Instant::now();
        let found = self.members.iter().filter_map(|(id, member)| {
            let size = self.of_group.get(&member.group).copied().unwrap_or_default();
            among(member, size).then(|| (size, member.pulse.still(now), Reverse(*id)))
        });
        found.max().map(|(_, _, Reverse(id))| id)
    }
}

impl Member {
    /// Waits for a request, and not only since a moment ago: one that was just accepted or answered may have sent it.
    fn is_silent(&self, now: Instant) -> bool {
        self.pulse.stage() == ConnectionPhase::Awaits && self.pulse.still(now) >= limits::CONNECTION_SILENCE
    }

    fn place(&self) -> Admission {
        *self.place.lock()
    }

    fn set(&self, place: Admission) {
        *self.place.lock() = place;
    }
}

impl Connected {
    /// The state of its requests.
    pub(super) fn pulse(&self) -> &Arc<Pulse> {
        &self.member.pulse
    }

    /// Waits until it has a place, for as long as a head may take.
    pub(super) async fn placed(&self) -> Result<(), tokio::time::error::Elapsed> {
        let place = async {
            loop {
                let left = self.crowd.left.notified();
                if self.crowd.place(self.id, &self.member) == Admission::Has {
                    return;
                }
                // No event marks a connection that has been silent for long enough.
                let _ = tokio::time::timeout(LOOK_AGAIN, left).await;
            }
        };
        tokio::time::timeout(limits::HEADER_TIMEOUT, place).await?;
        self.member.pulse.awaits();
        Ok(())
    }

    /// Until another one gets its place.
    pub(super) async fn closed(&self) {
        self.member.ended.notified().await;
    }

    /// Until the gate drains.
    pub(super) async fn draining(&self) {
        let mut draining = self.crowd.draining.subscribe();
        let _ = draining.wait_for(|draining| *draining).await;
    }
}

/// How often a waiting connection checks for a silent one.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

impl Drop for Connected {
    fn drop(&mut self) {
        let mut inner = self.crowd.lock();
        inner.remove(self.id);
        self.crowd.tell(&inner);
        if inner.members.is_empty() {
            self.crowd.empty.notify_waiters();
        }
        drop(inner);
        self.crowd.left.notify_one();
    }
}

#[cfg(test)]
mod tests;
