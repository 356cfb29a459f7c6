//! Names as their authors wrote them.

use cpp_demangle::{DemangleOptions, Symbol};

/// Longer names are cut.
const MAX_NAME: usize = 2048;

/// What a symbol stands for: without version and without what a compiler appends to parts
/// and copies of functions; C++ and Rust names demangled.
pub(crate) fn plain(raw: &str) -> String {
    let name = base(raw);
    if let Some(rust) = rust(name) {
        return cut(rust);
    }
    if name.starts_with("_Z")
        && name.len() <= MAX_NAME
        && let Ok(symbol) = Symbol::new(name)
    {
        let options = DemangleOptions::new().no_params().no_return_type();
        if let Ok(text) = symbol.demangle_with_options(&options) {
            return cut(text);
        }
    }
    cut(name.to_owned())
}

fn rust(name: &str) -> Option<String> {
    let may_be = name.starts_with("_R") || (name.starts_with("_ZN") && name.ends_with('E'));
    if !may_be || name.len() > MAX_NAME {
        return None;
    }
    let demangled = rustc_demangle::try_demangle(name).ok()?;
    // C++ names of the old kind are told by the hash that Rust appends.
    let with_hash = demangled.to_string();
    let without = format!("{demangled:#}");
    (name.starts_with("_R") || with_hash != without).then_some(without)
}

/// Without `@@VERSION` and `.cold`, `.part.0`, `.constprop.1`, `.isra.0`, `.lto_priv.3`,
/// `.llvm.123` behind it.
pub(crate) fn base(raw: &str) -> &str {
    let name = raw.split_once('@').map_or(raw, |(name, _)| name);
    let name = if name.is_empty() { raw } else { name };
    match name.find('.') {
        Some(at @ 1..) => {
            let mut suffixes = name[at + 1..].split('.');
            let known = |suffix: &str| {
                matches!(
                    suffix,
                    "cold"
                        | "part"
                        | "constprop"
                        | "isra"
                        | "lto_priv"
                        | "llvm"
                        | "localalias"
                        | "clone"
                        | "warm"
                        | "specialized"
                ) || suffix.bytes().all(|byte| byte.is_ascii_digit())
            };
            if suffixes.all(known) { &name[..at] } else { name }
        }
        _ => name,
    }
}

fn cut(mut name: String) -> String {
    if name.len() > MAX_NAME {
        let mut end = MAX_NAME;
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        name.truncate(end);
        name.push_str("...");
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_readable() {
        for (raw, name) in [
            ("memcpy@@GLIBC_2.14", "memcpy"),
            ("_PyEval_EvalFrameDefault.cold", "_PyEval_EvalFrameDefault"),
            ("list_sort.part.0.constprop.0", "list_sort"),
            ("odd.name", "odd.name"),
            (".L1", ".L1"),
            (
                "_ZNSt6vectorIiSaIiEE9push_backERKi",
                "std::vector<int, std::allocator<int> >::push_back",
            ),
            ("_ZN3foo3barE", "foo::bar"),
            ("_ZN4core3fmt5write17h0123456789abcdefE", "core::fmt::write"),
            ("_RNvC6_123foo3bar", "123foo::bar"),
            ("_Znonsense", "_Znonsense"),
            ("", ""),
        ] {
            assert_eq!(plain(raw), name, "{raw}");
        }
        assert!(plain(&"x".repeat(5000)).len() < 3000);
        assert!(plain(&format!("_Z{}", "N".repeat(1000))).len() < 3000);
    }
}
