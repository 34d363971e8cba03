//! Which names somebody may have meant.

/// Names that are suggested at most.
const SUGGESTED_MAX: usize = 3;
/// Bytes of a name from which on it counts that it is a part of the other.
const PART_BYTES_MIN: usize = 3;

/// Those of `names` that are spelled much like `wanted`, the nearest first.
pub(crate) fn names<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted = wanted.to_lowercase();
    let allowed = (wanted.chars().count() / 3).max(1);
    let mut near: Vec<(usize, &str)> = names
        .filter_map(|name| {
            let lower = name.to_lowercase();
            let steps = distance(&wanted, &lower);
            let shorter = wanted.len().min(lower.len());
            let is_part =
                shorter >= PART_BYTES_MIN && (lower.contains(&wanted) || wanted.contains(&lower));
            (steps <= allowed || is_part).then_some((steps, name))
        })
        .collect();
    near.sort_unstable();
    near.into_iter().map(|(_, name)| name).take(SUGGESTED_MAX).collect()
}

/// Characters to insert, to leave out, to replace or to swap with the next one, to get from one word to the
/// other (Damerau, "A technique for computer detection and correction of spelling errors", 1964).
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut rows = vec![vec![0; to.len() + 1]; from.len() + 1];
    rows[0] = (0..=to.len()).collect();
    for i in 1..=from.len() {
        rows[i][0] = i;
        for j in 1..=to.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(from[i - 1] != to[j - 1]);
            let mut least = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            let is_swap = i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1];
            if is_swap {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = least;
        }
    }
    rows[from.len()][to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_the_least_number_of_steps() {
        for (from, to, steps) in [
            ("", "", 0),
            ("", "abc", 3),
            ("frames", "frames", 0),
            ("kitten", "sitting", 3),
            ("xy", "yx", 1),
        ] {
            assert_eq!(distance(from, to), steps, "{from} {to}");
            assert_eq!(distance(to, from), steps, "{to} {from}");
        }
    }

    #[test]
    fn only_names_that_are_near_are_suggested_nearest_first() {
        let there = ["frames", "frames.left", "Frame", "table", "f"];
        let near = |wanted| names(wanted, there.into_iter());
        assert_eq!(near("frame"), ["Frame", "frames", "frames.left"]);
        assert_eq!(near("frmaes"), ["frames", "Frame"]);
        assert_eq!(near("tablw"), ["table"]);
        assert_eq!(near("left"), ["frames.left"]);
        assert_eq!(near("nothing"), Vec::<&str>::new());
    }
}
