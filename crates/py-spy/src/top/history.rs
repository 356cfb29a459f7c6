//! GIL and CPU use of the last minutes.

use std::collections::VecDeque;

/// More windows than the widest terminal has columns.
const MAX: usize = 512;

/// One number of each kind for each window, oldest first.
#[derive(Debug, Clone, Default)]
pub struct History {
    gil: VecDeque<f64>,
    cpu: VecDeque<f64>,
}

impl History {
    /// Adds a window: the share of time a GIL was held, and the processors used.
    pub fn push(&mut self, gil: f64, cpu: f64) {
        for (values, value) in [(&mut self.gil, gil), (&mut self.cpu, cpu)] {
            if values.len() == MAX {
                values.pop_front();
            }
            values.push_back(value);
        }
    }

    /// The last `count` shares of time that a GIL was held.
    pub fn gil(&self, count: usize) -> impl Iterator<Item = f64> + '_ {
        last(&self.gil, count)
    }

    /// The last `count` numbers of processors used.
    pub fn cpu(&self, count: usize) -> impl Iterator<Item = f64> + '_ {
        last(&self.cpu, count)
    }
}

fn last(values: &VecDeque<f64>, count: usize) -> impl Iterator<Item = f64> + '_ {
    values.range(values.len().saturating_sub(count)..).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten() {
        let mut history = History::default();
        (0..MAX + 10).for_each(|at| history.push(at as f64, 0.0));
        assert_eq!(history.gil(3).collect::<Vec<_>>(), [519.0, 520.0, 521.0]);
        assert_eq!((history.gil(9999).count(), history.cpu(2).count()), (MAX, 2));
    }
}
