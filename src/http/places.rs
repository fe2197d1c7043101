//! Who has a place at the listener, and who gives way when all are taken.
//!
//! A proxy in front brings all of its visitors over connections of its own, so a bound for each
//! address is not enough. Whoever comes when all places are taken gets one all the same: a stream
//! gives way, or a connection on which nothing is asked at present. Who is being served keeps
//! their place. So a webhook, a claim, the desk and `/healthz` are answered however many follow
//! sales or say nothing.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use futures_util::task::AtomicWaker;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::meter;

/// One place in so many is never a stream's; another one in so many may wait for a payment page.
const KEPT_SHARE: usize = 8;

/// So many of all places are freed at once, so that not every newcomer has to look for one.
const FREED_SHARE: usize = 64;

/// Nothing is asked on it, or its request has not come yet.
const IDLE: u8 = 0;
/// Its request comes slowly, or its answer goes slowly.
const SLOW: u8 = 1;
/// It follows a sale.
const STREAM: u8 = 2;
/// It is being served: it gives way to nobody.
const SERVED: u8 = 3;

/// All places.
pub struct Places {
    max: usize,
    streams_max: usize,
    taken: Mutex<BTreeMap<u64, Arc<Connection>>>,
    next: AtomicU64,
    /// Counts requests, so that the longest idle connection is known without a clock.
    requests: AtomicU64,
    streams: AtomicUsize,
    waits: Semaphore,
}

/// One connection, as far as its place is concerned.
pub struct Connection {
    phase: AtomicU8,
    /// The number of its last request.
    used: AtomicU64,
    gives_way: AtomicBool,
    waker: AtomicWaker,
}

/// A place that is taken until it is dropped.
pub struct Place {
    places: Arc<Places>,
    number: u64,
    /// Whose place it is.
    pub connection: Arc<Connection>,
}

/// A stream among the streams, until it is dropped.
pub struct Stream(Arc<Places>);

impl Places {
    /// So many places.
    pub fn new(max: usize) -> Arc<Self> {
        let kept = (max / KEPT_SHARE).max(1);
        Arc::new(Self {
            max,
            streams_max: max.saturating_sub(kept).max(1),
            taken: Mutex::default(),
            next: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            streams: AtomicUsize::new(0),
            waits: Semaphore::new(kept),
        })
    }

    fn taken(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Connection>>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place; `None` if everybody is being served at this moment.
    pub fn enter(self: &Arc<Self>) -> Option<Place> {
        let mut taken = self.taken();
        if taken.len() >= self.max && self.free_some(&mut taken) == 0 {
            return None;
        }
        let connection = Arc::new(Connection {
            phase: AtomicU8::new(IDLE),
            used: AtomicU64::new(self.requests.load(Relaxed)),
            gives_way: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        });
        let number = self.next.fetch_add(1, Relaxed);
        taken.insert(number, connection.clone());
        drop(taken);
        Some(Place { places: self.clone(), number, connection })
    }

    /// Has somebody give way, where the system gives us no more connections.
    pub fn make_room(&self) {
        let mut taken = self.taken();
        self.free_some(&mut taken);
    }

    /// Has some give way; how many did.
    fn free_some(&self, taken: &mut BTreeMap<u64, Arc<Connection>>) -> usize {
        let mostly_streams = self.streams.load(Relaxed) > self.max / 2;
        let mut may: Vec<_> = taken
            .iter()
            .filter_map(|(number, one)| {
                let rank = match one.phase.load(Relaxed) {
                    STREAM if mostly_streams => 0,
                    IDLE => 1,
                    STREAM => 2,
                    SLOW => 3,
                    _ => return None,
                };
                // The oldest stream, and what was not used for longest.
                Some((rank, one.used.load(Relaxed), *number))
            })
            .collect();
        may.sort_unstable();
        may.truncate((self.max / FREED_SHARE).max(1));
        for (_, _, number) in &may {
            if let Some(one) = taken.remove(number) {
                one.gives_way.store(true, Relaxed);
                one.waker.wake();
            }
        }
        meter::gave_way(may.len() as u64);
        let (max, streams) = (self.max, self.streams.load(Relaxed));
        tracing::warn!(
            max,
            streams,
            "the listener is full: the oldest streams and idle connections give way. If these are \
             honest visitors, raise http.max_connections and the limit on open files"
        );
        may.len()
    }

    /// A place among the streams; `None` if so many follow sales that the rest of the places is
    /// kept for everything else.
    pub fn stream(self: &Arc<Self>, of: &Connection) -> Option<Stream> {
        if self.streams.fetch_add(1, Relaxed) >= self.streams_max {
            self.streams.fetch_sub(1, Relaxed);
            let max = self.streams_max;
            tracing::warn!(
                max,
                "all places for streams are taken: further pages look every few seconds instead. \
                 If these are honest visitors, raise http.max_connections"
            );
            return None;
        }
        of.phase.store(STREAM, Relaxed);
        Some(Stream(self.clone()))
    }

    /// Leave to wait for something while being served, for as long as it is kept; `None` if too
    /// many wait already.
    pub fn wait(&self) -> Option<SemaphorePermit<'_>> {
        self.waits.try_acquire().ok()
    }

    /// What keeps buyers out, in words for whoever runs it. That somebody had to give way does not:
    /// else whoever fills the listener could take every replica out of a load balancer.
    pub fn trouble(&self) -> Option<String> {
        let taken = self.taken();
        let keeps = |one: &Arc<Connection>| one.phase.load(Relaxed) == SERVED;
        let is_full = taken.len() >= self.max && taken.values().all(keeps);
        is_full.then(|| {
            format!(
                "the listener is full: at all {} places somebody is being served, and a claim has \
                 to wait for one",
                self.max
            )
        })
    }

    /// Places taken, and streams among them.
    pub fn figures(&self) -> (usize, usize) {
        (self.taken().len(), self.streams.load(Relaxed))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Relaxed);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken().remove(&self.number);
    }
}

impl Place {
    /// A request has come.
    pub fn is_served(&self) {
        self.connection.used.store(self.places.requests.fetch_add(1, Relaxed), Relaxed);
        self.connection.phase.store(SERVED, Relaxed);
    }
}

impl Connection {
    /// Its request was answered; a stream goes on.
    pub fn is_answered(&self) {
        let _ = self.phase.compare_exchange(SERVED, IDLE, Relaxed, Relaxed);
    }

    /// It takes its time, with its request or with its answer.
    pub fn is_slow(&self) {
        if self.phase.load(Relaxed) != STREAM {
            self.phase.store(SLOW, Relaxed);
        }
    }

    /// What came slowly has come.
    pub fn is_quick(&self, then_served: bool) {
        let then = if then_served { SERVED } else { IDLE };
        let _ = self.phase.compare_exchange(SLOW, then, Relaxed, Relaxed);
    }

    /// Ready once it has to give way.
    pub fn poll_gives_way(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.waker.register(cx.waker());
        if self.gives_way.load(Relaxed) { Poll::Ready(()) } else { Poll::Pending }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gave_way(place: &Place) -> bool {
        place.connection.gives_way.load(Relaxed)
    }

    #[test]
    fn who_is_served_stays_and_the_longest_idle_goes() {
        let places = Places::new(4);
        let all: Vec<_> = (0..4).filter_map(|_| places.enter()).collect();
        all.iter().for_each(Place::is_served);
        assert!(places.enter().is_none(), "everybody is served");
        assert!(places.trouble().is_some_and(|says| says.contains("all 4 places")));
        all[2].connection.is_answered();
        all[1].connection.is_answered();
        let new = places.enter().expect("one of the idle gives way");
        assert!(gave_way(&all[1]) && !gave_way(&all[2]), "the longest idle one");
        assert_eq!(places.figures().0, 4);
        assert_eq!(places.trouble(), None, "a newcomer gets a place");
        drop((new, all));
        assert_eq!(places.figures(), (0, 0));
    }

    #[test]
    fn streams_leave_places_for_everything_else_and_give_way_first() {
        let places = Places::new(16);
        let mut streams = Vec::new();
        while let Some(place) = places.enter() {
            place.is_served();
            let Some(stream) = places.stream(&place.connection) else { break };
            place.connection.is_answered();
            streams.push((place, stream));
        }
        assert_eq!(streams.len(), 14);
        let idle: Vec<_> = (0..2).filter_map(|_| places.enter()).collect();
        let new = places.enter().expect("a stream gives way");
        assert!(gave_way(&streams[0].0) && !idle.iter().any(gave_way), "the oldest one");
        drop(new);
    }

    #[test]
    fn slow_ones_give_way_last() {
        let places = Places::new(2);
        let all: Vec<_> = (0..2).filter_map(|_| places.enter()).collect();
        all[0].is_served();
        all[0].connection.is_slow();
        all[1].is_served();
        assert!(places.enter().is_some() && gave_way(&all[0]));
        all[1].connection.is_slow();
        all[1].connection.is_quick(true);
        assert!(!gave_way(&all[1]));
    }
}
