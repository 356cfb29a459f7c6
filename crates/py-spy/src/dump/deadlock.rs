//! Threads that wait for each other.

/// Threads that wait for each other, by their indexes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deadlock {
    /// Each waits for the next, and the last for the first.
    pub circle: Vec<usize>,
    /// Those that wait for one of them, or for one that does.
    pub behind: Vec<usize>,
}

/// Finds all circles in a list of whom each waits for.
pub fn find(waits_for: &[Option<usize>]) -> Vec<Deadlock> {
    let next = |index: usize| waits_for.get(index).copied().flatten();
    let mut found: Vec<Deadlock> = Vec::new();
    let mut behind: Vec<(usize, usize)> = Vec::new();
    for start in 0..waits_for.len() {
        // The last of as many steps as there are threads is in a circle, if any is.
        let mut at = Some(start);
        for _ in 0..waits_for.len() {
            at = at.and_then(next);
        }
        let Some(inside) = at else { continue };
        let mut circle = vec![inside];
        while let Some(after) = circle.last().copied().and_then(next)
            && after != inside
            && circle.len() <= waits_for.len()
        {
            circle.push(after);
        }
        let known = found.iter().position(|deadlock| deadlock.circle.contains(&inside));
        let place = known.unwrap_or_else(|| {
            // The one that was made first begins.
            let first = circle.iter().enumerate().min_by_key(|(_, index)| **index);
            let first = first.map_or(0, |(place, _)| place);
            circle.rotate_left(first);
            found.push(Deadlock { circle, behind: Vec::new() });
            found.len() - 1
        });
        behind.push((place, start));
    }
    for (place, index) in behind {
        if let Some(deadlock) = found.get_mut(place)
            && !deadlock.circle.contains(&index)
        {
            deadlock.behind.push(index);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn circles_and_those_behind_them() {
        // 1 -> 2 -> 3 -> 1, 0 -> 1, 4 -> 0, 5 -> 6, 7 -> 7
        let waits = [Some(1), Some(2), Some(3), Some(1), Some(0), Some(6), None, Some(7)];
        let found = find(&waits);
        assert_eq!(
            found,
            [
                Deadlock { circle: vec![1, 2, 3], behind: vec![0, 4] },
                Deadlock { circle: vec![7], behind: vec![] }
            ]
        );
        assert!(find(&[]).is_empty() && find(&[Some(5), None]).is_empty());
    }
}
