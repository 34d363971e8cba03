//! The way that a process took, and shortcuts along it.
//!
//! A library call takes tens of thousands of instructions, and most points are to be reached many times. So a
//! shortcut has two legs: a breakpoint at an instruction that comes early in its life and late before the
//! point, a second one nearer to the point, and only then single steps.

use std::collections::{HashMap, HashSet};

/// Steps back that are looked at for the second breakpoint.
const STEPS_BACK_MAX: usize = 100;
/// How often the instruction of the first breakpoint has been executed by then, at most.
const ANCHOR_VISITS_MAX: usize = 2;

/// Where a process stood after each step.
#[derive(Clone, Debug, Default)]
pub(crate) struct Way {
    /// Address of the next instruction; `None`: it slept.
    places: Vec<Option<u64>>,
    /// How often it had stood there, this time included.
    visits: Vec<usize>,
    /// For each step, the last one up to it that would do as a first breakpoint.
    anchors: Vec<Option<usize>>,
    /// For each address, the steps at which the process stood there.
    steps_at: HashMap<u64, Vec<usize>>,
    /// Instructions that repeat themselves: steps count their rounds, a breakpoint does not.
    repeating: HashSet<u64>,
    /// Steps after which the process stood where it had not stood with the same files before. A dead
    /// process leaves nothing but the files, so another round of a loop that changes none is no news.
    pub(crate) points: Vec<usize>,
    /// The first step with each state of the files.
    pub(crate) images: Vec<usize>,
    seen: HashSet<(Option<u64>, usize)>,
    image: Option<u64>,
}

/// A breakpoint, to be come to so many times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leg {
    pub(crate) address: u64,
    pub(crate) visits: usize,
}

/// How to come to a point.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Route {
    pub(crate) legs: Vec<Leg>,
    /// Single steps from there.
    pub(crate) steps: usize,
    /// Where the process then stands.
    pub(crate) place: Option<u64>,
}

impl Way {
    /// Notes where the process stands after one more step, and a number for the files.
    pub(crate) fn note(&mut self, place: Option<u64>, image: u64) {
        let index = self.places.len();
        if self.image != Some(image) {
            self.image = Some(image);
            self.images.push(index);
        }
        if self.seen.insert((place, self.images.len())) {
            self.points.push(index);
        }
        let mut visits = 0;
        if let Some(place) = place {
            let steps = self.steps_at.entry(place).or_default();
            if steps.last().is_some_and(|last| last + 1 == index) {
                self.repeating.insert(place);
            }
            steps.push(index);
            visits = steps.len();
        }
        self.places.push(place);
        self.visits.push(visits);
    }

    /// The process has come to its end, so now it is known what repeats itself.
    pub(crate) fn close(&mut self) {
        let mut anchor = None;
        let anchors = (0..self.places.len()).map(|index| {
            if (1..=ANCHOR_VISITS_MAX).contains(&self.visits[index]) && self.is_good(index) {
                anchor = Some(index);
            }
            anchor
        });
        self.anchors = anchors.collect();
    }

    /// Steps that the process made in all.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether a breakpoint can be where the process stood after so many steps.
    fn is_good(&self, index: usize) -> bool {
        // Whether a breakpoint where it stands already would stop it is the processor's secret.
        self.places[index]
            .is_some_and(|place| self.places[0] != Some(place) && !self.repeating.contains(&place))
    }

    /// How often the process came to the address at `index` after step `anchor`.
    fn visits_since(&self, anchor: usize, index: usize) -> usize {
        let steps = self.places[index].and_then(|place| self.steps_at.get(&place));
        let before = steps.map_or(0, |steps| steps.partition_point(|step| *step <= anchor));
        self.visits[index] - before
    }

    /// The fastest way to the point after so many steps.
    pub(crate) fn route(&self, steps: usize) -> Route {
        let Some(last) = self.places.len().checked_sub(1).map(|last| last.min(steps)) else {
            return Route::default();
        };
        let place = self.places[last];
        let anchor = self.anchors.get(last).copied().flatten();
        let leg = |index: usize, visits| {
            self.places[index].map(|address| Leg { address, visits }).into_iter()
        };
        let begin = anchor.unwrap_or(0);
        let legs = anchor.into_iter().flat_map(|index| leg(index, self.visits[index]));
        let candidates = (last.saturating_sub(STEPS_BACK_MAX).max(begin + 1)..=last)
            .filter(|index| self.is_good(*index) && self.places[*index] != self.places[begin]);
        let cost = |index: &usize| self.visits_since(begin, *index) + last - index;
        let second = candidates.min_by_key(cost).filter(|index| cost(index) < last - begin);
        let second_leg =
            second.into_iter().flat_map(|index| leg(index, self.visits_since(begin, index)));
        let steps = last - second.unwrap_or(begin);
        Route { legs: legs.chain(second_leg).collect(), steps, place }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(places: &[u64]) -> Way {
        let mut way = Way::default();
        places.iter().for_each(|place| way.note(Some(*place), 0));
        way.close();
        way
    }

    #[test]
    fn a_loop_is_entered_by_what_comes_before_it_and_left_by_what_comes_behind() {
        let around: Vec<u64> = (0..50).flat_map(|_| [30, 40]).collect();
        let way = way(&[&[10, 20][..], &around, &[50, 60]].concat());
        let route = way.route(80);
        // Two rounds are cheap enough to be the first leg, then it is rounds of the loop.
        assert_eq!(route.legs[0], Leg { address: 40, visits: 2 });
        assert_eq!(route.place, Some(30));
        assert_eq!(way.route(103).legs, [Leg { address: 60, visits: 1 }]);
        assert_eq!(way.route(103).steps, 0);
        assert_eq!(way.route(500), way.route(103));
    }

    #[test]
    fn what_repeats_itself_is_stepped_through() {
        let way = way(&[10, 20, 30, 30, 30, 30, 40]);
        let route = way.route(5);
        assert_eq!(route.legs, [Leg { address: 20, visits: 1 }]);
        assert_eq!((route.steps, route.place), (4, Some(30)));
    }

    #[test]
    fn the_same_place_with_the_same_files_is_one_point() {
        let mut way = Way::default();
        for (place, image) in [(10, 7), (20, 7), (10, 7), (20, 8), (10, 8), (20, 8)] {
            way.note(Some(place), image);
        }
        assert_eq!(way.points, [0, 1, 3, 4]);
        assert_eq!(way.images, [0, 3]);
    }
}
