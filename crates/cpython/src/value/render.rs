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
            let mut all = Writer { text: String::new(), left: usize::MAX };
            all.value(self);
            if all.text.chars().count() <= chars {
                return all.text;
            }
        }
        let mut writer = Writer { text: String::new(), left: chars };
        writer.value(self);
        writer.text
    }
}

struct Writer {
    text: String,
    left: usize,
}

impl Writer {
    fn push(&mut self, text: &str) {
        self.left = self.left.saturating_sub(text.chars().count());
        self.text.push_str(text);
    }

    /// A text as far as it fits.
    fn push_cut(&mut self, text: &str) -> bool {
        let fits = self.left.max(SHARE);
        if text.chars().count() <= fits {
            self.push(text);
            return true;
        }
        let part: String = text.chars().take(fits).collect();
        self.push(&part);
        self.text.push_str(DOTS);
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
                        self.text.push_str(DOTS);
                        false
                    }
                };
                let digits = int.digits.unwrap_or(int.text.trim_start_matches('-').len() as u64);
                match (whole, int.long) {
                    (false, _) => self.text.push_str(&format!(" ({digits} digits)")),
                    (true, true) => self.push("L"),
                    (true, false) => {}
                }
            }
            Value::Text(text) => {
                let (quoted, count) = text.quote(self.left.max(SHARE) - 2);
                self.push(&quoted);
                let whole = count as u64 == text.length;
                self.text.push_str(if whole { "" } else { DOTS });
                self.push(text.suffix);
                if !whole {
                    self.text.push_str(&format!(" (len {})", text.length));
                }
            }
            Value::Group(group) => self.group(group),
        }
    }

    fn group(&mut self, group: &Group) {
        self.push(&group.open);
        let mut shown = 0;
        for (i, item) in group.items.iter().enumerate() {
            if i > 0 {
                self.push(", ");
            }
            // Nothing after what is left out for the same reason.
            let spent = self.left < 3 && i > 0;
            if spent || matches!(item.value, Value::Cut) {
                break;
            }
            let others = group.items.len() - i > 1;
            let share = if others { (self.left / 2).max(SHARE.min(self.left)) } else { self.left };
            self.item(item, share);
            shown = i + 1;
        }
        if (shown as u64) < group.length {
            if shown > 0 && shown == group.items.len() {
                self.text.push_str(", ");
            }
            self.text.push_str(DOTS);
            self.push(&group.close);
            self.text.push_str(&format!(" (len {})", group.length));
        } else {
            self.push(&group.close);
        }
    }

    fn item(&mut self, item: &Item, share: usize) {
        let kept = self.left - share.min(self.left);
        self.left = share.min(self.left);
        match &item.label {
            Label::None => {}
            Label::Name(name) => self.push(&format!("{name}=")),
            Label::Key(key) => {
                let half = self.left / 2;
                self.left -= half;
                self.value(key);
                self.left += half;
                self.push(": ");
            }
        }
        self.value(&item.value);
        self.left = self.left.saturating_add(kept);
    }
}
