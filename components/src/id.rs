//! Names for things: interned keys inside the engine, handles given out at its door.

use std::fmt;

/// A place in a slab, with a generation so that a late word about a former occupant is
/// recognised as such. The door that hands them out owns the slab.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Handle {
    pub slot: u32,
    pub generation: u32,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.slot, self.generation)
    }
}

/// One device connection's hold on one sensor. Given out by the door that opens it; the slot
/// may be used again once the engine has said [`FeedClosed`](../engine) for it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct FeedId(pub Handle);

/// One viewer: a lens and its claims. Given out by the door, as [`FeedId`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ViewerId(pub Handle);

/// One group of people who are looked at together. Given out by the door, as [`FeedId`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct GroupId(pub Handle);

/// One room that somebody looks into. Given out by the door, as [`FeedId`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct RoomId(pub Handle);

/// A sensor's name, interned by the engine. Lives while the sensor does or a viewer asks for it,
/// so that a viewer's claim on a sensor that is away still holds when it returns.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct SensorKey(pub u32);

/// One attribute of one life of one sensor. Never used twice: a sensor that restarts begins new
/// streams, so a cursor into the old one cannot be mistaken for one into the new.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct StreamId(pub u32);

/// A slab of handles: gives out slots, takes them back, and knows a stale handle when it sees one.
#[derive(Debug, Default)]
pub struct Handles {
    generations: Vec<u32>,
    free: Vec<u32>,
}

impl Handles {
    /// The next free handle, or `None` when `limit` are out already.
    pub fn take(&mut self, limit: usize) -> Option<Handle> {
        if let Some(slot) = self.free.pop() {
            return Some(Handle { slot, generation: self.generations[slot as usize] });
        }
        if self.generations.len() >= limit {
            return None;
        }
        let slot = self.generations.len() as u32;
        self.generations.push(0);
        Some(Handle { slot, generation: 0 })
    }

    /// Takes a handle back. A stale one is ignored.
    pub fn give_back(&mut self, handle: Handle) {
        if let Some(generation) = self.generations.get_mut(handle.slot as usize)
            && *generation == handle.generation
        {
            *generation = generation.wrapping_add(1);
            self.free.push(handle.slot);
        }
    }

    /// How many are out.
    pub fn count(&self) -> usize {
        self.generations.len() - self.free.len()
    }
}
