//! A value as text: what `repr` would write, cut to a number of characters.

use super::{Group, Item, Label, Value};

/// What stands for something left out.
const DOTS: &str = "...";
/// What a part of a group gets at least, if there is that much.
const SHARE: usize = 12;

impl Value {
    /// Its text, about `chars` characters of it at the most. What is cut has `...` where
    /// something is missing, and says how long it really is: `'abc'... (len 1000)`.
    /// There are no control characters in it.
    pub fn repr(&self, chars: usize) -> String {
        if self.is_whole() {
            let mut all = Writer { text: String::new(), used: 0, limit: usize::MAX };
            all.value(self);
            if all.used <= chars {
                return all.text;
            }
        }
        let mut writer = Writer { text: String::new(), used: 0, limit: chars };
        writer.value(self);
        writer.text
    }
}

struct Writer {
    text: String,
    /// How many characters it has.
    used: usize,
    /// How many characters it should have when what is being written is done.
    limit: usize,
}

impl Writer {
    fn left(&self) -> usize {
        self.limit.saturating_sub(self.used)
    }

    fn push(&mut self, text: &str) {
        self.used += text.chars().count();
        self.text.push_str(text);
    }

    /// Writes with `limit` characters at the most instead of what is left.
    fn within(&mut self, share: usize, write: impl FnOnce(&mut Writer)) {
        let limit = self.limit;
        self.limit = self.used.saturating_add(share).min(limit);
        write(self);
        self.limit = limit;
    }

    /// A text as far as it fits.
    fn push_cut(&mut self, text: &str) -> bool {
        let fits = self.left().max(SHARE);
        if text.chars().count() <= fits {
            self.push(text);
            return true;
        }
        let part: String = text.chars().take(fits).collect();
        self.push(&part);
        self.push(DOTS);
        false
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::None => self.push("None"),
            Value::Bool(true) => self.push("True"),
            Value::Bool(false) => self.push("False"),
            Value::Float(_, text) => self.push(text),
            Value::Cycle(text) => self.push(text),
            Value::Cut => self.push(DOTS),
            Value::Unreadable => self.push("<unreadable>"),
            Value::Symbol(symbol) => {
                self.push_cut(&symbol.text);
            }
            Value::Int(int) => {
                let whole = match int.digits {
                    None => self.push_cut(&int.text),
                    Some(_) => {
                        self.push(&int.text);
                        self.push(DOTS);
                        false
                    }
                };
                let digits = int.digits.unwrap_or(int.text.trim_start_matches('-').len() as u64);
                match (whole, int.long) {
                    (false, _) => self.push(&format!(" ({digits} digits)")),
                    (true, true) => self.push("L"),
                    (true, false) => {}
                }
            }
            Value::Text(text) => {
                let (quoted, count) = text.quote(self.left().max(SHARE) - 2);
                self.push(&quoted);
                let whole = count as u64 == text.length;
                self.push(if whole { "" } else { DOTS });
                self.push(text.suffix);
                if !whole {
                    self.push(&format!(" (len {})", text.length));
                }
            }
            Value::Group(group) => self.group(group),
        }
    }

    fn group(&mut self, group: &Group) {
        if !self.push_cut(&group.open) {
            return;
        }
        let mut shown = 0;
        for (i, item) in group.items.iter().enumerate() {
            if i > 0 {
                self.push(", ");
            }
            // Nothing after what is left out for the same reason.
            let spent = self.left() < 3;
            if spent || matches!(item.value, Value::Cut) {
                break;
            }
            let left = self.left();
            let others = group.items.len() - i > 1;
            let share = if others { (left / 2).max(SHARE) } else { left };
            self.within(share, |writer| writer.item(item));
            shown = i + 1;
        }
        if (shown as u64) < group.length {
            if shown > 0 && shown == group.items.len() {
                self.push(", ");
            }
            self.push(DOTS);
            self.push(&group.close);
            self.push(&format!(" (len {})", group.length));
        } else {
            self.push(&group.close);
        }
    }

    fn item(&mut self, item: &Item) {
        match &item.label {
            Label::None => {}
            Label::Name(name) => {
                self.push_cut(name);
                self.push("=");
            }
            Label::Key(key) => {
                self.within(self.left() / 3 * 2, |writer| writer.value(key));
                self.push(": ");
            }
        }
        self.value(&item.value);
    }
}
