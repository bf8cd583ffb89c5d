//! What has changed and is to be looked at again: each key once, however often it changed.

use std::collections::HashSet;
use std::hash::Hash;

/// Keys that wait. With more everything is looked at again.
const MARK_COUNT_MAX: usize = 200_000;

#[derive(Debug)]
pub(crate) struct Marks<K> {
    keys: HashSet<K>,
    is_full: bool,
}

/// What is to be looked at.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Marked<K> {
    These(Vec<K>),
    Everything,
}

impl<K> Default for Marks<K> {
    fn default() -> Self {
        Self { keys: HashSet::new(), is_full: false }
    }
}

impl<K: Eq + Hash + Clone> Marks<K> {
    pub(crate) fn mark(&mut self, key: &K) {
        if self.is_full || self.keys.contains(key) {
            return;
        }
        self.keys.insert(key.clone());
        if self.keys.len() > MARK_COUNT_MAX {
            (self.keys, self.is_full) = (HashSet::new(), true);
        }
    }

    /// At most so many; they are not marked any more.
    pub(crate) fn take(&mut self, count: usize) -> Marked<K> {
        if std::mem::take(&mut self.is_full) {
            return Marked::Everything;
        }
        if self.keys.len() <= count {
            return Marked::These(std::mem::take(&mut self.keys).into_iter().collect());
        }
        let taken: Vec<K> = self.keys.iter().take(count).cloned().collect();
        for key in &taken {
            self.keys.remove(key);
        }
        Marked::These(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_waits_once_and_too_many_are_all() {
        let mut marks = Marks::default();
        (0..5).chain(0..5).for_each(|key| marks.mark(&key));
        let mut seen = Vec::new();
        while let Marked::These(some) = marks.take(2)
            && !some.is_empty()
        {
            assert!(some.len() <= 2);
            seen.extend(some);
        }
        seen.sort_unstable();
        assert_eq!(seen, [0, 1, 2, 3, 4]);
        (0..=MARK_COUNT_MAX).for_each(|key| marks.mark(&key));
        marks.mark(&7);
        assert_eq!(marks.take(2), Marked::Everything);
        assert_eq!(marks.take(2), Marked::These(Vec::new()));
    }
}
