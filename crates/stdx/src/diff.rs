//! Two texts, line by line: what went, what came, and a little of what stayed around it.

const AROUND: usize = 2;
/// Longer texts are shown whole: finding what stayed would take their lengths multiplied.
const LINES_MAX: usize = 2_000;

#[derive(Clone, Copy, PartialEq)]
enum Mark {
    Stays,
    Goes,
    Comes,
}

/// The lines of both, each behind its mark: `-` went, `+` came.
pub fn lines(before: &str, now: &str) -> Vec<String> {
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), now.lines().collect());
    let all = if old.len().max(new.len()) > LINES_MAX { replaced(&old, &new) } else { compared(&old, &new) };
    let near = |at: usize| {
        let around = all.iter().take(at + AROUND + 1).skip(at.saturating_sub(AROUND));
        around.into_iter().any(|(mark, _)| *mark != Mark::Stays)
    };
    let mut shown = Vec::new();
    let mut skipped = false;
    for (at, (mark, line)) in all.iter().enumerate() {
        if !near(at) {
            skipped = true;
            continue;
        }
        if std::mem::take(&mut skipped) {
            shown.push("  …".to_owned());
        }
        let sign = match mark {
            Mark::Stays => ' ',
            Mark::Goes => '-',
            Mark::Comes => '+',
        };
        shown.push(format!("{sign} {line}"));
    }
    shown
}

fn replaced<'t>(old: &[&'t str], new: &[&'t str]) -> Vec<(Mark, &'t str)> {
    let goes = old.iter().map(|line| (Mark::Goes, *line));
    goes.chain(new.iter().map(|line| (Mark::Comes, *line))).collect()
}

/// By the longest common run of lines, from the end so that walking forwards reads it off.
fn compared<'t>(old: &[&'t str], new: &[&'t str]) -> Vec<(Mark, &'t str)> {
    let width = new.len() + 1;
    let mut common = vec![0u32; (old.len() + 1) * width];
    let at = |row: usize, column: usize| row * width + column;
    let read = |common: &[u32], row, column| common.get(at(row, column)).copied().unwrap_or(0);
    for (row, left) in old.iter().enumerate().rev() {
        for (column, right) in new.iter().enumerate().rev() {
            let longest = if left == right {
                read(&common, row + 1, column + 1) + 1
            } else {
                read(&common, row + 1, column).max(read(&common, row, column + 1))
            };
            if let Some(cell) = common.get_mut(at(row, column)) {
                *cell = longest;
            }
        }
    }
    let (mut row, mut column, mut all) = (0, 0, Vec::new());
    loop {
        match (old.get(row), new.get(column)) {
            (Some(left), Some(right)) if left == right => {
                all.push((Mark::Stays, *left));
                (row, column) = (row + 1, column + 1);
            }
            (Some(left), right)
                if right.is_none() || read(&common, row + 1, column) >= read(&common, row, column + 1) =>
            {
                all.push((Mark::Goes, *left));
                row += 1;
            }
            (_, Some(right)) => {
                all.push((Mark::Comes, *right));
                column += 1;
            }
            (_, None) => return all,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::lines;

    #[test]
    fn what_went_and_what_came_stand_with_a_little_around_them() {
        let before = "a\nb\nc\nd\ne\nf\ng\nh";
        let now = "a\nb\nc\nd\nE\nf\ng\nh\ni";
        assert_eq!(lines(before, now), ["  …", "  c", "  d", "- e", "+ E", "  f", "  g", "  h", "+ i"]);
        assert_eq!(lines("", "x"), ["+ x"]);
        assert_eq!(lines("x", ""), ["- x"]);
        assert!(lines("same\n", "same").is_empty());
    }
}
