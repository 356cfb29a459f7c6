//! Cython: what the generated C functions were in the `.pyx` file.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The name of the function that Cython made a C function from: `__pyx_pw_3mod_1f` is `f`,
/// `__pyx_pf_3mod_4Spam_2eggs` is `Spam.eggs`. `None` for other functions. `module` is the
/// last part of the module's name, where known.
pub(crate) fn function(name: &str, module: Option<&str>) -> Option<String> {
    // A variant of a fused function: `__pyx_fuse_0__pyx_pw_...`.
    let name = match name.strip_prefix("__pyx_fuse_") {
        Some(rest) => rest.trim_start_matches(|c: char| c.is_ascii_digit()),
        None => name,
    };
    // Cython/Compiler/Naming.py: pywrap_prefix, pyfunc_prefix, func_prefix, genbody_prefix.
    let (counted, rest) = if let Some(rest) = name.strip_prefix("__pyx_pw_") {
        (true, rest)
    } else if let Some(rest) =
        name.strip_prefix("__pyx_pf_").or_else(|| name.strip_prefix("__pyx_gb_"))
    {
        (false, rest)
    } else {
        (false, name.strip_prefix("__pyx_f_")?)
    };
    let mut scopes: Vec<&str> = Vec::new();
    let mut rest = rest;
    while let Some((scope, after)) = scope(rest) {
        // In front of the name stands the function's number in its scope (odd for
        // wrappers), which can look like the length of a scope's name.
        let method = after.starts_with(|c: char| c.is_ascii_digit());
        let class = scope.starts_with(|c: char| c.is_ascii_uppercase());
        if !scopes.is_empty() && !method && (counted || !class) {
            break;
        }
        scopes.push(scope);
        rest = after;
    }
    let function = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    if scopes.is_empty() || function.is_empty() {
        return None;
    }
    // The module's own name, and its packages' before it.
    let last = module.and_then(|module| scopes.iter().position(|scope| *scope == module));
    scopes.drain(..=last.unwrap_or(0));
    scopes.push(function);
    Some(scopes.join("."))
}

/// `4Spam_rest` as `Spam` and `rest`.
fn scope(text: &str) -> Option<(&str, &str)> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let length: usize = text.get(..digits)?.parse().ok()?;
    let end = digits.checked_add(length)?;
    let (scope, after) = (text.get(digits..end)?, text.get(end..)?);
    let after = after.strip_prefix('_').filter(|after| !after.is_empty())?;
    (length > 0).then_some((scope, after))
}

/// Cython's own helpers, which stand for no function of the program's.
pub(crate) fn is_helper(name: &str) -> bool {
    name.starts_with("__Pyx_") || name.starts_with("__pyx_pymod_")
}

/// Generated files of more bytes than this are not read.
const MAX_FILE: u64 = 256 << 20;

/// Which line of a `.pyx` file each line of a generated C file came from.
#[derive(Debug, Default)]
pub(crate) struct LineMaps {
    known: HashMap<String, Option<LineMap>>,
}

#[derive(Debug, Default)]
struct LineMap {
    files: Vec<String>,
    /// Line in the C file, number of the file, line in it.
    lines: Vec<(u32, u32, u32)>,
    /// Line in the C file, and the whole name of the function around it; an empty one where a
    /// function ends.
    names: Vec<(u32, String)>,
}

/// What a line of a generated C file came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The `.pyx` file.
    pub file: String,
    /// The line in it.
    pub line: u32,
    /// The function's name as tracebacks have it, without the module's. C names lack that of
    /// generators, and where those of functions around others end.
    pub function: Option<String>,
}

impl LineMaps {
    /// What line `line` of the generated file `path` came from. The file is looked for under
    /// `roots`, and beside the module at `module`; `python` is the last part of the module's
    /// name, where known.
    pub fn find(
        &mut self,
        path: &str,
        line: u32,
        (module, python): (&str, Option<&str>),
        roots: &[PathBuf],
    ) -> Option<Place> {
        if !self.known.contains_key(path) {
            let map = places(path, module, roots).iter().find_map(|place| read(place));
            self.known.insert(path.to_owned(), map);
        }
        let map = self.known.get(path)?.as_ref()?;
        let next = map.lines.partition_point(|(at, ..)| *at <= line);
        let (_, file, source_line) = map.lines.get(next.checked_sub(1)?)?;
        let next = map.names.partition_point(|(at, _)| *at < line);
        let whole = map.names.get(next).map(|(_, name)| name.as_str());
        let function = whole.filter(|name| !name.is_empty()).map(|name| within(name, python));
        let file = map.files.get(*file as usize)?.clone();
        Some(Place { file, line: *source_line, function })
    }
}

/// `pkg.mod.Spam.eggs` without the module's name: as a scope of a C name is left out.
fn within(name: &str, module: Option<&str>) -> String {
    let parts: Vec<&str> = name.split('.').collect();
    let (own, scopes) = parts.split_last().unwrap_or((&name, &[]));
    let last = module.and_then(|module| scopes.iter().position(|scope| *scope == module));
    let from = (last.unwrap_or(0) + 1).min(scopes.len());
    [&scopes[from..], &[*own]].concat().join(".")
}

fn places(path: &str, module: &str, roots: &[PathBuf]) -> Vec<PathBuf> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let folder = module.rsplit_once('/').map_or("", |(folder, _)| folder);
    let under = |root: &PathBuf, path: &str| root.join(path.trim_start_matches('/'));
    let mut places: Vec<PathBuf> = Vec::new();
    for root in roots {
        if path.starts_with('/') {
            places.push(under(root, path));
        }
        places.push(under(root, &format!("{folder}/{name}")));
    }
    places
}

fn read(path: &Path) -> Option<LineMap> {
    let plain = path.metadata().is_ok_and(|meta| meta.is_file() && meta.len() <= MAX_FILE);
    if !plain {
        return None;
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path).ok()?.take(MAX_FILE).read_to_end(&mut bytes).ok()?;
    let map = parse(&String::from_utf8_lossy(&bytes));
    (!map.lines.is_empty()).then_some(map)
}

/// Comments such as `/* "pkg/mod.pyx":12` stand before what was made of that line, and
/// `__Pyx_AddTraceback("pkg.mod.f", ...` at the end of most functions.
fn parse(text: &str) -> LineMap {
    let mut map = LineMap::default();
    for (number, line) in text.lines().enumerate() {
        if line == "}" {
            map.names.push((number as u32 + 1, String::new()));
        }
        let traceback = line.trim_start().strip_prefix("__Pyx_AddTraceback(\"");
        if let Some((name, _)) = traceback.and_then(|rest| rest.split_once("\",")) {
            map.names.push((number as u32 + 1, name.to_owned()));
        }
        let Some(rest) = line.trim_start().strip_prefix("/* \"") else { continue };
        let Some((file, rest)) = rest.split_once("\":") else { continue };
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let Ok(source_line) = rest[..digits].parse() else { continue };
        let known = map.files.iter().position(|known| known == file);
        let file = known.unwrap_or_else(|| {
            map.files.push(file.to_owned());
            map.files.len() - 1
        });
        map.lines.push((number as u32 + 1, file as u32, source_line));
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c_names_tell_cython_functions() {
        for (name, function) in [
            ("__pyx_pw_5cymod_1fib", Some("fib")),
            ("__pyx_pf_5cymod_fib", Some("fib")),
            ("__pyx_pf_5cymod_2fib", Some("fib")),
            ("__pyx_f_5cymod_inner", Some("inner")),
            ("__pyx_pw_5cymod_5Thing_3run", Some("Thing.run")),
            ("__pyx_pf_5cymod_5Thing_run", Some("Thing.run")),
            ("__pyx_f_5cymod_5Thing_step", Some("Thing.step")),
            ("__pyx_pw_3pkg_5cymod_5outer_1inner", Some("outer.inner")),
            // The number of the function, not a scope of three letters.
            ("__pyx_pw_5cymod_3get_x", Some("get_x")),
            ("__pyx_gb_5cymod_6generator", Some("generator")),
            ("__pyx_fuse_0__pyx_pw_5cymod_9total", Some("total")),
            ("__pyx_pw_", None),
            ("__Pyx_PyObject_Call", None),
            ("list_sort", None),
        ] {
            let found = self::function(name, Some("cymod"));
            assert_eq!(found.as_deref(), function, "{name}");
        }
    }

    #[test]
    fn comments_tell_lines() {
        let map = parse(
            "/* Generated */\n  /* \"pkg/mod.pyx\":12\n * def f():\n */\n  x = 1;\n\
             /* \"a.pxd\":3\n y;\n  __Pyx_AddTraceback(\"pkg.mod.A.f\", 1, 2, 3);\n}\nz;\n}\n",
        );
        assert_eq!(map.files, ["pkg/mod.pyx", "a.pxd"]);
        assert_eq!(map.lines, [(2, 0, 12), (6, 1, 3)]);
        let mut maps = LineMaps::default();
        maps.known.insert("/x/mod.c".into(), Some(map));
        let place = |file: &str, line, function: Option<&str>| {
            Some(Place { file: file.to_owned(), line, function: function.map(str::to_owned) })
        };
        let mut find = |line| maps.find("/x/mod.c", line, ("", Some("mod")), &[]);
        assert_eq!(find(1), None);
        assert_eq!(find(5), place("pkg/mod.pyx", 12, Some("A.f")));
        assert_eq!(find(8), place("a.pxd", 3, Some("A.f")));
        assert_eq!(find(10), place("a.pxd", 3, None));
        assert_eq!(find(600), place("a.pxd", 3, None));
        assert_eq!(within("mod.f", None), "f");
        assert_eq!(within("f", Some("f")), "f");
    }
}
