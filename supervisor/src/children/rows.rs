//! [`Rows`]: the children in the order of their ranks.

use super::{Child, Rank, Scope};

/// A map from ranks to children that only grows at its end.
///
/// It is a row of places. As long as no child was removed, a child lies where
/// its rank says; after that its place is found by halving.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    // Invariant: the ranks grow.
    places: Vec<Place>,
    // Invariant: so many places are empty, and no more than are not.
    empty: usize,
}

#[derive(Clone, Debug)]
struct Place {
    rank: Rank,
    child: Option<Child>,
}

impl Rows {
    /// The rank must be greater than any before.
    pub(super) fn push(&mut self, rank: Rank, child: Child) {
        let child = Some(child);
        self.places.push(Place { rank, child });
    }

    /// Takes a child out. Its place is given up with others, so that this
    /// costs little for each.
    pub(super) fn remove(&mut self, rank: Rank) -> Option<Child> {
        let at = self.place_of(rank);
        let place = self.places.get_mut(at).filter(|place| place.rank == rank)?;
        let child = place.child.take()?;
        self.empty += 1;
        // Children are stopped from the last to the first; whoever looks for
        // the last one next finds it at once.
        while self.places.pop_if(|place| place.child.is_none()).is_some() {
            self.empty -= 1;
        }
        if self.empty > self.places.len() / 2 {
            self.places.retain(|place| place.child.is_some());
            self.empty = 0;
        }
        Some(child)
    }

    pub(super) fn get(&self, rank: Rank) -> Option<&Child> {
        let place = self.places.get(self.place_of(rank))?;
        place.child.as_ref().filter(|_| place.rank == rank)
    }

    pub(super) fn get_mut(&mut self, rank: Rank) -> Option<&mut Child> {
        let at = self.place_of(rank);
        let place = self.places.get_mut(at)?;
        place.child.as_mut().filter(|_| place.rank == rank)
    }

    /// The first child of the scope.
    pub(super) fn first_in(&self, scope: Scope) -> Option<(Rank, &Child)> {
        let later = &self.places[self.place_of(scope.first)..];
        let (rank, child) = later.iter().find_map(Place::filled)?;
        (rank < scope.end).then_some((rank, child))
    }

    /// The last child of the scope.
    pub(super) fn last_in(&self, scope: Scope) -> Option<(Rank, &Child)> {
        let earlier = &self.places[..self.place_of(scope.end)];
        let (rank, child) = earlier.iter().rev().find_map(Place::filled)?;
        (rank >= scope.first).then_some((rank, child))
    }

    /// Every child, the least rank first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Child> + Clone {
        self.places.iter().filter_map(|place| place.child.as_ref())
    }

    /// The rank of every child, the least first.
    pub(super) fn ranks(&self) -> impl Iterator<Item = Rank> {
        self.places
            .iter()
            .filter_map(Place::filled)
            .map(|(rank, _)| rank)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Where the first place lies whose rank is not less than this.
    fn place_of(&self, rank: Rank) -> usize {
        let Some(first) = self.places.first() else {
            return 0;
        };
        let guess = rank.0.saturating_sub(first.rank.0) as usize;
        match self.places.get(guess) {
            Some(place) if place.rank == rank => guess,
            Some(_) | None => self.places.partition_point(|place| place.rank < rank),
        }
    }
}

impl Place {
    fn filled(&self) -> Option<(Rank, &Child)> {
        Some((self.rank, self.child.as_ref()?))
    }
}
