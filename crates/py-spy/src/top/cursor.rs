//! The selected row of a list, and which part of the list is on the screen.

/// Where one is in a list. Nothing is selected at first: then the top of the list is shown,
/// whatever comes to be there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The selected row.
    pub selected: Option<usize>,
    /// The first row on the screen.
    pub offset: usize,
    /// How many rows fit on the screen.
    page: usize,
    /// The selected row is to stay on the screen.
    follow: bool,
}

/// A step through a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// One row up.
    Up,
    /// One row down.
    Down,
    /// A screen up.
    PageUp,
    /// A screen down.
    PageDown,
    /// To the first row.
    Home,
    /// To the last row.
    End,
}

impl Cursor {
    /// Moves the selection.
    pub fn step(&mut self, step: Step, rows: usize) {
        let Some(last) = rows.checked_sub(1) else { return };
        let page = self.page.max(2) - 1;
        let now = self.selected;
        let next = match step {
            Step::Up => now.map_or(self.offset, |at| at.saturating_sub(1)),
            Step::Down => now.map_or(self.offset, |at| at + 1),
            Step::PageUp => now.unwrap_or(self.offset).saturating_sub(page),
            Step::PageDown => now.unwrap_or(self.offset) + page,
            Step::Home => 0,
            Step::End => last,
        };
        self.select(Some(next.min(last)));
    }

    /// Moves the list and leaves the selection where it is.
    pub fn scroll(&mut self, by: isize, rows: usize) {
        self.follow = false;
        let last = rows.saturating_sub(self.page);
        self.offset = self.offset.saturating_add_signed(by).min(last);
    }

    /// Moves a list in which nothing can be selected.
    pub fn scroll_step(&mut self, step: Step, rows: usize) {
        let page = isize::try_from(self.page.max(2) - 1).unwrap_or(1);
        let by = match step {
            Step::Up => -1,
            Step::Down => 1,
            Step::PageUp => -page,
            Step::PageDown => page,
            Step::Home => isize::MIN,
            Step::End => isize::MAX,
        };
        self.scroll(by, rows);
    }

    /// Whether anything is selected or the top of the list is not on the screen.
    pub fn is_moved(&self) -> bool {
        self.selected.is_some() || self.offset > 0
    }

    /// Selects a row, and brings it to the screen.
    pub fn select(&mut self, row: Option<usize>) {
        self.selected = row;
        self.follow = row.is_some();
    }

    /// Selects the row `line` lines below the top of the list on the screen, if there is one.
    pub fn click(&mut self, line: usize, rows: usize) -> bool {
        let row = self.offset + line;
        let hit = row < rows && line < self.page;
        if hit {
            self.select(Some(row));
        }
        hit
    }

    /// Selects nothing and shows the top of the list.
    pub fn clear(&mut self) {
        *self = Cursor { page: self.page, ..Cursor::default() };
    }

    /// The selection moved with its row, which may be gone.
    pub fn moved(&mut self, row: Option<usize>) {
        self.selected = row;
        self.follow &= row.is_some();
    }

    /// Fits the list to a screen of `page` rows; to be called before drawing.
    pub fn fit(&mut self, page: usize, rows: usize) {
        self.page = page;
        self.selected = self.selected.filter(|at| *at < rows);
        if let Some(at) = self.selected.filter(|_| self.follow) {
            self.offset = self.offset.min(at).max((at + 1).saturating_sub(page));
        }
        self.offset = self.offset.min(rows.saturating_sub(page));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_selection_stays_on_the_screen() {
        let mut cursor = Cursor::default();
        cursor.fit(10, 100);
        cursor.step(Step::Down, 100);
        assert_eq!((cursor.selected, cursor.offset), (Some(0), 0));
        (0..12).for_each(|_| cursor.step(Step::Down, 100));
        cursor.fit(10, 100);
        assert_eq!((cursor.selected, cursor.offset), (Some(12), 3));
        cursor.step(Step::PageDown, 100);
        cursor.fit(10, 100);
        assert_eq!((cursor.selected, cursor.offset), (Some(21), 12));
        cursor.step(Step::End, 100);
        cursor.step(Step::Down, 100);
        cursor.fit(10, 100);
        assert_eq!((cursor.selected, cursor.offset), (Some(99), 90));
        cursor.step(Step::Home, 100);
        cursor.fit(10, 100);
        assert_eq!((cursor.selected, cursor.offset), (Some(0), 0));
    }

    #[test]
    fn scrolling_leaves_the_selection_and_ends_at_the_end() {
        let mut cursor = Cursor::default();
        cursor.fit(10, 25);
        cursor.step(Step::Down, 25);
        cursor.scroll(3, 25);
        cursor.fit(10, 25);
        assert_eq!((cursor.selected, cursor.offset), (Some(0), 3));
        cursor.scroll(99, 25);
        cursor.scroll(-1, 25);
        assert_eq!(cursor.offset, 14);
        assert!(cursor.click(2, 25) && !cursor.click(10, 25));
        assert_eq!(cursor.selected, Some(16));
        // The list became shorter.
        cursor.fit(10, 5);
        assert_eq!((cursor.selected, cursor.offset), (None, 0));
        cursor.step(Step::Down, 0);
        assert_eq!(cursor.selected, None);
    }
}
