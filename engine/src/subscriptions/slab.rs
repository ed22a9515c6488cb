//! Things by number: a list with free places that are used again, and a generation of each thing, so that an old name of
//! its place is not taken for that of a new one. Empty, it takes no memory.

/// Things in numbered places.
pub(super) struct Slab<T> {
    places: Vec<(u32, Option<T>)>,
    free: Vec<u32>,
    next_generation: u32,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { places: Vec::new(), free: Vec::new(), next_generation: 0 }
    }
}

impl<T> Slab<T> {
    /// The number of things.
    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn insert(&mut self, thing: T) -> u32 {
        let place = (self.next_generation, Some(thing));
        self.next_generation = self.next_generation.wrapping_add(1);
        if let Some(index) = self.free.pop() {
            self.places[index as usize] = place;
            return index;
        }
        assert!(self.places.len() < u32::MAX as usize, "a slab has at most 2^32 places");
        self.places.push(place);
        self.places.len() as u32 - 1
    }

    pub(super) fn remove(&mut self, index: u32) -> Option<T> {
        let thing = self.places.get_mut(index as usize)?.1.take()?;
        self.free.push(index);
        if self.is_empty() {
            (self.places, self.free) = (Vec::new(), Vec::new());
        }
        Some(thing)
    }

    /// The generation of a thing.
    pub(super) fn generation(&self, index: u32) -> Option<u32> {
        self.places.get(index as usize).filter(|place| place.1.is_some()).map(|place| place.0)
    }

    pub(super) fn get(&self, index: u32) -> Option<&T> {
        self.places.get(index as usize)?.1.as_ref()
    }

    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        self.places.get_mut(index as usize)?.1.as_mut()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let numbered = (0u32..).zip(&self.places);
        numbered.filter_map(|(index, (_, thing))| thing.as_ref().map(|thing| (index, thing)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_used_again_under_another_generation() {
        let mut slab = Slab::default();
        let first = slab.insert("a");
        let other = slab.insert("b");
        let generation = slab.generation(first);
        assert_eq!((slab.remove(first), slab.remove(first)), (Some("a"), None));
        assert_eq!((slab.generation(first), slab.len()), (None, 1));
        assert_eq!(slab.insert("c"), first);
        assert_ne!(slab.generation(first), generation);
        assert_eq!(slab.iter().map(|(_, thing)| *thing).collect::<Vec<_>>(), ["c", "b"]);
        slab.remove(first);
        slab.remove(other);
        assert_eq!((slab.is_empty(), slab.places.capacity()), (true, 0));
        slab.insert("d");
        assert!(slab.generation(0).is_some_and(|new| Some(new) > generation));
    }
}
