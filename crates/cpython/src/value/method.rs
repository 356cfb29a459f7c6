//! The qualified names of methods, for versions whose code objects do not know them (before
//! 3.11).
//!
//! A call of a method has the instance, or the class, as its first argument, and among the
//! names of its class is the function that the code object belongs to. Nothing is believed
//! that does not lead to that very code object: a plain function whose first argument is
//! called `self` keeps its plain name, and so does what a decorator has put in place of a
//! method.

use super::reader::Decoder;
use crate::frames::RawFrame;
use crate::object::{Objects, flags};

/// The most names of a class and its ancestors that are looked through.
const MAX_NAMES: usize = 1 << 16;
/// Decorators around one function.
const MAX_WRAPPERS: usize = 8;
/// Bases of old-style classes that are looked at, and the bases of one.
const MAX_CLASSIC: usize = 64;
const MAX_BASES: usize = 16;

impl Decoder<'_> {
    /// The qualified name of the method that `frame` runs, if its code object does not know it:
    /// where its first argument is called `self` or `cls`, and leads to the function.
    ///
    /// It is one of the code object, whichever frame it is told from.
    pub fn method_name(&self, frame: &RawFrame) -> Option<String> {
        let layout = self.layout();
        if layout.code.qualname.is_some() {
            return None;
        }
        let (name, object) = self.first_argument(frame, &["self", "cls"]).ok()??;
        let key = self.objects.field(frame.code, layout.code.name).ok()?;
        let text = self.objects.text(key, 256).ok()?;
        let mut search = Search { decoder: self, code: frame.code, key, text, left: MAX_NAMES };
        search.method_of(object, name == "cls")
    }
}

/// Looks for the function of a code object.
struct Search<'d, 'a> {
    decoder: &'d Decoder<'a>,
    code: u64,
    /// The name of the code object.
    key: u64,
    text: String,
    /// How many more names may be looked at.
    left: usize,
}

impl<'a> Search<'_, 'a> {
    fn objects(&self) -> Objects<'a> {
        self.decoder.objects
    }

    /// The name of the method of `object`; `cls` says that it is probably one of a class.
    fn method_of(&mut self, object: u64, cls: bool) -> Option<String> {
        let type_ = self.objects().type_of(object).ok()?;
        if let (Some((in_class, _)), Some(_)) =
            (self.decoder.layout().values.instance, self.decoder.layout().values.classic)
        {
            match self.objects().type_name(type_).ok()?.as_str() {
                "instance" => {
                    let class = self.objects().field(object, in_class).ok()?;
                    return self.classic_method(class);
                }
                "classobj" => return self.classic_method(object),
                _ => {}
            }
        }
        // A class is an instance of its metaclass as well.
        if cls
            && self.decoder.is_type(object).is_ok_and(|is| is)
            && let Some(name) = self.method(object)
        {
            return Some(name);
        }
        self.method(type_)
    }

    /// Looks a class and its ancestors through.
    fn method(&mut self, class: u64) -> Option<String> {
        let old = self.decoder.layout().values.classic.is_some();
        for class in self.decoder.ancestors(class).ok()? {
            if old && self.decoder.is_classic(class) {
                // Both kinds can be bases of a class.
                if let Some(name) = self.classic_method(class) {
                    return Some(name);
                }
                continue;
            }
            // Classes of C code have no functions.
            let type_flags = self.objects().type_flags(class).unwrap_or(0);
            if type_flags & flags::HEAPTYPE == 0 {
                continue;
            }
            let dict = self.decoder.layout().values.types.dict;
            let Ok(dict) = self.objects().field(class, dict) else { continue };
            let Ok(short) = self.objects().type_name(class) else { continue };
            if let Some(function) = self.function_in(dict, &short) {
                return self.qualified(function, &short);
            }
        }
        None
    }

    /// Looks an old-style class and its bases through, in the order in which Python does.
    fn classic_method(&mut self, class: u64) -> Option<String> {
        let (name, dict) = self.decoder.layout().values.classic?;
        let mut todo = vec![class];
        for _ in 0..MAX_CLASSIC {
            let class = todo.pop()?;
            if !self.decoder.is_classic(class) {
                continue;
            }
            let short = self.objects().field(class, name).ok()?;
            let short = self.objects().text(short, 256).ok()?;
            let own = self.objects().field(class, dict).ok()?;
            if let Some(function) = self.function_in(own, &short) {
                return self.qualified(function, &short);
            }
            // cl_bases comes first.
            let head = self.decoder.layout().values.head;
            let bases = self.objects().field(class, head);
            let bases = bases.and_then(|bases| self.decoder.tuple_items(bases, MAX_BASES));
            todo.extend(bases.map(|(bases, _)| bases).unwrap_or_default().into_iter().rev());
        }
        None
    }

    /// The function of the code object among the names of the class called `class`.
    fn function_in(&mut self, dict: u64, class: &str) -> Option<u64> {
        // Names of code objects and of attributes are interned: they are the same object, but
        // not always in 2.x. Python/compile.c `_Py_Mangle`: a private name has another one.
        let private = self.text.starts_with("__") && !self.text.ends_with("__");
        let wanted = match self.decoder.layout().version.major {
            _ if private => Some(format!("_{}{}", class.trim_start_matches('_'), self.text)),
            2 => Some(self.text.clone()),
            _ => None,
        };
        let objects = self.objects();
        let (key, left) = (self.key, &mut self.left);
        let mut found = None;
        let _ = objects.for_each_item(dict, &mut |name, value| {
            let same = name == key && !private
                || wanted.as_ref().is_some_and(|wanted| {
                    objects.text(name, wanted.len() + 1).is_ok_and(|name| name == *wanted)
                });
            if same {
                found = Some(value);
            }
            *left = left.saturating_sub(1);
            !same && *left > 0
        });
        self.behind(found?, MAX_WRAPPERS)
    }

    /// The function of the code object that an attribute of a class is, or has in it.
    fn behind(&self, attribute: u64, depth: usize) -> Option<u64> {
        let depth = depth.checked_sub(1)?;
        let objects = self.objects();
        let type_ = objects.type_of(attribute).ok()?;
        let part = |index: u32| {
            let word = u32::from(self.decoder.layout().arch.pointer);
            let at = self.decoder.layout().values.head + index * word;
            objects.field(attribute, at).ok().filter(|part| *part != 0)
        };
        let parts = match objects.type_name(type_).ok()?.as_str() {
            "function" => {
                let code = self.decoder.layout().values.function.code;
                if objects.field(attribute, code).ok()? == self.code {
                    return Some(attribute);
                }
                return self.wrapped(attribute, depth);
            }
            // Objects/funcobject.c: the callable comes first.
            "classmethod" | "staticmethod" => 1,
            // Objects/descrobject.c: for getting, setting and deleting.
            "property" => 3,
            _ => return self.wrapped(attribute, depth),
        };
        (0..parts).find_map(|index| self.behind(part(index)?, depth))
    }

    /// What `functools.wraps` has remembered, or a cached property.
    fn wrapped(&self, attribute: u64, depth: usize) -> Option<u64> {
        ["__wrapped__", "func"].iter().find_map(|name| {
            let inner = self.objects().attribute(attribute, name).ok()??;
            self.behind(inner, depth)
        })
    }

    /// `__qualname__` of a function; before 3.3, which had none, the class before its name.
    fn qualified(&self, function: u64, class: &str) -> Option<String> {
        let Some(offset) = self.decoder.layout().values.function.qualname else {
            return Some(format!("{class}.{}", self.text));
        };
        let qualname = self.objects().field(function, offset).ok()?;
        let qualname = self.objects().text(qualname, 512).ok()?;
        // A function that was given to a class later has no other name than its own.
        let outer = qualname.strip_suffix(&self.text)?;
        outer.ends_with('.').then_some(qualname)
    }
}
