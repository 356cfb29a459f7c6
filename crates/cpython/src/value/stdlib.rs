//! Classes of the standard library that are written in Python and print themselves.

use super::reader::Reader;
use super::types::{Printer, Type};
use super::{Value, text::Text};
use crate::object::BadObject;

type Result<T> = std::result::Result<T, BadObject>;

/// A text of our own making as `repr` of it.
pub(super) fn quoted(text: &str) -> String {
    let units: Vec<u32> = text.chars().map(u32::from).collect();
    let text = Text {
        type_name: String::new(),
        prefix: "",
        suffix: "",
        length: units.len() as u64,
        units,
        characters: true,
        wide: true,
        escape_single: false,
    };
    text.quote(usize::MAX).0
}

impl Reader<'_, '_> {
    /// What the `__repr__` of a class we know would print.
    pub(super) fn standard(
        &mut self,
        object: u64,
        type_: &Type,
        printer: &Printer,
    ) -> Option<Result<Value>> {
        let module = printer.module.split('.').next().unwrap_or("");
        let get = |name: &str| self.attribute(object, type_, name);
        Some(match (module, printer.class.as_str()) {
            ("collections", "OrderedDict") => self.python_ordered(object, type_),
            ("collections", "Counter") => self.counter(object, type_),
            ("collections", "UserDict" | "UserList" | "UserString")
            | ("UserDict" | "UserList", _) => {
                let data = get("data")?;
                self.inside(object, "...", |reader| Ok(reader.value(data)))
            }
            ("decimal" | "_pydecimal", "Decimal") => self.python_decimal(object, type_),
            ("fractions", "Fraction") => {
                let parts = [get("_numerator")?, get("_denominator")?];
                let name = type_.short_name().to_owned();
                self.call(object, type_, &name, &parts)
            }
            ("uuid", "UUID") => {
                let hex = self.hex(get("int")?)?;
                let part = |from, to| hex.get(from..to).unwrap_or("");
                let parts = [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)];
                Ok(self.made(object, type_, &format!("'{}'", parts.join("-"))))
            }
            ("pathlib", "PurePath" | "_JoinablePath" | "PathBase" | "PurePathBase") => {
                let mut path = self.path(object, type_)?;
                if type_.short_name() == "PureWindowsPath" {
                    // `as_posix()`
                    path = path.replace('\\', "/");
                }
                Ok(self.made(object, type_, &quoted(&path)))
            }
            ("zoneinfo", "ZoneInfo") => self.zone_info(object, type_, get("_key")?),
            ("pandas", _) => self.pandas(object, type_),
            _ => return None,
        })
    }

    /// An int of 128 bits in hexadecimal.
    fn hex(&self, int: u64) -> Option<String> {
        let value: u128 = self.integer(int).ok()?.text.parse().ok()?;
        Some(format!("{value:032x}"))
    }

    /// A path's text. It is made when it is first asked for; until then there are the
    /// parts (Lib/pathlib): drive, root and all parts up to 3.11, the arguments as they
    /// were given from 3.12 on.
    fn path(&self, object: u64, type_: &Type) -> Option<String> {
        let slots = self.slots(object, type_);
        let get = |name: &str| slots.iter().find(|(slot, _)| slot == name).map(|(_, at)| *at);
        let text = |at: u64| self.objects.text(at, 4096).ok();
        if let Some(known) = get("_str").and_then(text) {
            return Some(known);
        }
        let list = |at: u64| -> Option<Vec<String>> {
            let length = self.length(at, self.layout().values.ob_size).ok()?;
            let items = self.objects.field(at, self.layout().values.list_items).ok()?;
            let items = self.pointers(items, length, 256).ok()?;
            items.into_iter().map(text).collect()
        };
        if let Some(given) = get("_raw_paths").and_then(list) {
            if type_.short_name() == "PureWindowsPath" {
                return None;
            }
            let mut path = String::new();
            for part in given {
                if part.starts_with('/') {
                    path.clear();
                } else if !path.is_empty() && !path.ends_with('/') {
                    path.push('/');
                }
                path.push_str(&part);
            }
            let root = if path.starts_with('/') { "/" } else { "" };
            let parts: Vec<&str> =
                path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
            let path = format!("{root}{}", parts.join("/"));
            return Some(if path.is_empty() { ".".to_owned() } else { path });
        }
        let parts = list(get("_parts")?)?;
        let start = get("_drv").and_then(text).unwrap_or_default()
            + &get("_root").and_then(text).unwrap_or_default();
        let rest = if start.is_empty() { &parts[..] } else { parts.get(1..)? };
        let path = format!("{start}{}", rest.join("/"));
        Some(if path.is_empty() { ".".to_owned() } else { path })
    }
}
