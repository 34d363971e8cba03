//! The way that a process took, so that the next one need not be stepped all along it.
//!
//! A step costs two switches and a trap. Where an instruction is executed seldom, a breakpoint in a register
//! of the processor leads there much faster; from there on it is single steps again.

/// Steps back that are looked at for a better place for the breakpoint.
const STEPS_BACK_MAX: usize = 200;

/// Where a process stood after each step.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace {
    /// Address of the next instruction; `None`: it slept.
    places: Vec<Option<u64>>,
    /// How often it had stood there, this time included.
    visits: Vec<usize>,
}

/// A way to a point: so many visits to an address, then single steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) address: u64,
    pub(crate) visits: usize,
    /// Steps that the process has made when it comes there.
    pub(crate) steps: u64,
}

impl Trace {
    /// Notes where the process stands now.
    pub(crate) fn note(&mut self, place: Option<u64>) {
        let before = self.places.iter().rposition(|known| *known == place);
        self.visits.push(before.map_or(0, |index| self.visits[index]) + 1);
        self.places.push(place);
    }

    /// Steps that the process made in all.
    pub(crate) fn len(&self) -> u64 {
        self.places.len() as u64
    }

    /// The fastest way to the point after so many steps; `None`: steps alone.
    pub(crate) fn route(&self, steps: u64) -> Option<Route> {
        let last = usize::try_from(steps).ok()?.min(self.places.len().checked_sub(1)?);
        let cost = |index: &usize| self.visits[*index] + last - index;
        // Whether a breakpoint where it stands already would stop it is the processor's secret.
        let is_good = |index: &usize| ![None, self.places[0]].contains(&self.places[*index]);
        let candidates = last.saturating_sub(STEPS_BACK_MAX)..=last;
        let index = candidates.filter(is_good).min_by_key(cost)?;
        let address = self.places[index]?;
        Some(Route { address, visits: self.visits[index], steps: index as u64 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_is_reached_by_what_comes_before_it() {
        let mut trace = Trace::default();
        for place in [10, 20, 30, 20, 30, 20, 30, 40] {
            trace.note(Some(place));
        }
        assert_eq!(trace.route(7), Some(Route { address: 40, visits: 1, steps: 7 }));
        assert_eq!(trace.route(3), Some(Route { address: 30, visits: 1, steps: 2 }));
        assert_eq!(trace.route(4), Some(Route { address: 30, visits: 2, steps: 4 }));
        assert_eq!(trace.route(99), trace.route(7));
        assert_eq!(trace.route(0), None);
    }

    #[test]
    fn a_sleep_is_reached_by_what_comes_before_it() {
        let mut trace = Trace::default();
        for place in [Some(10), Some(20), None, Some(30)] {
            trace.note(place);
        }
        assert_eq!(trace.route(2), Some(Route { address: 20, visits: 1, steps: 1 }));
        assert_eq!(Trace::default().route(1), None);
    }
}
