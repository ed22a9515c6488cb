//! The connections of all cores, counted: all together, and where there is a limit for that by their address and by their key.
//!
//! The sum is one number that cores add to. The counts by address and key are behind a lock, which is taken at the beginning
//! and the end of a connection, only where such a limit was asked for, and held for a look into a table.

use crate::core::keys::KeyId;
use hashbrown::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The most connections that there may be.
#[derive(Clone, Copy, Debug)]
pub struct TallyLimits {
    /// Of all.
    pub all: usize,
    /// With one key.
    pub per_key: Option<usize>,
    /// From one address.
    pub per_address: Option<usize>,
}

/// The limit that a connection would break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// Of all.
    All,
    /// With its key.
    Key(usize),
    /// From its address.
    Address(usize),
}

#[derive(Default)]
struct Counts {
    by_key: HashMap<u64, usize>,
    by_address: HashMap<u128, usize>,
}

/// The connections of a server.
pub struct Tally {
    limits: TallyLimits,
    all: AtomicUsize,
    counts: Mutex<Counts>,
}

impl Tally {
    /// None yet.
    pub fn new(limits: TallyLimits) -> Tally {
        Tally { limits, all: AtomicUsize::new(0), counts: Mutex::default() }
    }

    /// Counts a new connection, whose key may not be known yet; or says which limit is in the way.
    pub fn enter(&self, ip: IpAddr, key: Option<KeyId>) -> Result<(), Full> {
        if self.all.fetch_add(1, Ordering::Relaxed) >= self.limits.all {
            self.all.fetch_sub(1, Ordering::Relaxed);
            return Err(Full::All);
        }
        let entered = self.enter_address(ip).and_then(|()| {
            let entered = key.map_or(Ok(()), |key| self.enter_key(key));
            entered.inspect_err(|_| self.leave_address(ip))
        });
        if entered.is_err() {
            self.all.fetch_sub(1, Ordering::Relaxed);
        }
        entered
    }

    /// Counts the key of a connection that has told it only now.
    pub fn enter_key(&self, KeyId(key): KeyId) -> Result<(), Full> {
        let Some(max) = self.limits.per_key else { return Ok(()) };
        add(&mut self.counts().by_key, key, max).map_err(|()| Full::Key(max))
    }

    /// Counts the end of a connection.
    pub fn leave(&self, ip: IpAddr, key: Option<KeyId>) {
        self.all.fetch_sub(1, Ordering::Relaxed);
        self.leave_address(ip);
        if let (Some(_), Some(KeyId(key))) = (self.limits.per_key, key) {
            subtract(&mut self.counts().by_key, key);
        }
    }

    fn enter_address(&self, ip: IpAddr) -> Result<(), Full> {
        let Some(max) = self.limits.per_address else { return Ok(()) };
        add(&mut self.counts().by_address, place(ip), max).map_err(|()| Full::Address(max))
    }

    fn leave_address(&self, ip: IpAddr) {
        if self.limits.per_address.is_some() {
            subtract(&mut self.counts().by_address, place(ip));
        }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Addresses of IPv6 count by their first 64 bits: one machine may have all that begin so.
fn place(ip: IpAddr) -> u128 {
    match ip.to_canonical() {
        IpAddr::V4(ip) => u128::from(ip.to_bits()),
        IpAddr::V6(ip) => ip.to_bits() & !u128::from(u64::MAX),
    }
}

fn add<K: Copy + Eq + std::hash::Hash>(
    counts: &mut HashMap<K, usize>,
    place: K,
    max: usize,
) -> Result<(), ()> {
    let count = counts.entry(place).or_insert(0);
    if *count >= max {
        return Err(());
    }
    *count += 1;
    Ok(())
}

fn subtract<K: Copy + Eq + std::hash::Hash>(counts: &mut HashMap<K, usize>, place: K) {
    if let Some(count) = counts.get_mut(&place) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn each_limit_holds_and_nothing_is_left_of_who_was_refused() {
        let tally = Tally::new(TallyLimits { all: 3, per_key: Some(2), per_address: Some(2) });
        let (one, two) = (Some(KeyId(1)), Some(KeyId(2)));
        assert_eq!(tally.enter(ip("10.0.0.1"), one), Ok(()));
        assert_eq!(tally.enter(ip("10.0.0.2"), one), Ok(()));
        assert_eq!(tally.enter(ip("10.0.0.1"), one), Err(Full::Key(2)));
        assert_eq!(tally.enter(ip("10.0.0.1"), None), Ok(()), "the refused one is not counted");
        assert_eq!(tally.enter(ip("10.0.0.3"), two), Err(Full::All));
        tally.leave(ip("10.0.0.2"), one);
        assert_eq!(tally.enter(ip("10.0.0.1"), two), Err(Full::Address(2)));
        assert_eq!(tally.enter_key(KeyId(1)), Ok(()));
        assert_eq!(tally.enter_key(KeyId(1)), Err(Full::Key(2)));
        tally.leave(ip("10.0.0.1"), one);
        tally.leave(ip("10.0.0.1"), one);
        let counts = tally.counts();
        assert!(counts.by_key.is_empty() && counts.by_address.is_empty());
        assert_eq!(tally.all.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one() {
        assert_eq!(place(ip("2001:db8::1")), place(ip("2001:db8:0:0:ffff::2")));
        assert_ne!(place(ip("2001:db8::1")), place(ip("2001:db8:0:1::1")));
        assert_eq!(place(ip("::ffff:10.0.0.1")), place(ip("10.0.0.1")));
        assert_ne!(place(ip("10.0.0.1")), place(ip("10.0.0.2")));
    }
}
