//! The colours of the flame graph: where code comes from gives the hue, its name the shade. The
//! same name has the same colour in every graph.

use inferno::flamegraph::color::Color;

use crate::{FrameKind, Origin, Recording};

/// Hue in degrees (from, to), saturation and lightness from 0 to 1 (from, to).
struct Range {
    hue: (f64, f64),
    saturation: (f64, f64),
    lightness: (f64, f64),
}

/// The program's own code: the warm colours people expect of a flame graph.
const OWN: Range = Range { hue: (8.0, 36.0), saturation: (0.80, 0.92), lightness: (0.60, 0.70) };
/// Installed packages.
const PACKAGE: Range =
    Range { hue: (44.0, 56.0), saturation: (0.75, 0.88), lightness: (0.62, 0.72) };
/// Python's standard library.
const STDLIB: Range =
    Range { hue: (90.0, 135.0), saturation: (0.34, 0.46), lightness: (0.66, 0.76) };
/// Native code.
const NATIVE: Range =
    Range { hue: (196.0, 224.0), saturation: (0.48, 0.62), lightness: (0.70, 0.79) };
/// What is no function: processes, threads, marks.
const OTHER: Range = Range { hue: (30.0, 60.0), saturation: (0.04, 0.10), lightness: (0.80, 0.86) };

/// The colour of what is shown as `text`.
pub(super) fn color_of(recording: &Recording, origin: Origin, text: &str) -> Color {
    let range = range_of(recording, origin);
    let hash = hash(text);
    let pick =
        |(from, to): (f64, f64), bits: u64| from + (to - from) * (bits & 0xff) as f64 / 255.0;
    rgb(pick(range.hue, hash), pick(range.saturation, hash >> 8), pick(range.lightness, hash >> 16))
}

fn range_of(recording: &Recording, origin: Origin) -> Range {
    let Origin::Frame(frame) = origin else { return OTHER };
    let frame = recording.frame(frame);
    match frame.kind {
        FrameKind::Native => NATIVE,
        FrameKind::Marker => OTHER,
        FrameKind::Python | FrameKind::Cython => python_range(recording.string(frame.file)),
    }
}

/// Tells by the path whose code it is.
fn python_range(path: &str) -> Range {
    let mut parts = path.split(['/', '\\']).peekable();
    if parts.peek().is_some_and(|first| first.starts_with("<frozen ")) {
        return STDLIB;
    }
    let mut stdlib = false;
    let mut before = "";
    while let Some(part) = parts.next() {
        // The last part is the file itself.
        if parts.peek().is_some() {
            match part {
                "site-packages" | "dist-packages" => return PACKAGE,
                // `lib/python3.13` and, on Windows, `Python313\Lib`.
                _ if is_python_dir(part) && matches!(before, "lib" | "lib64") => stdlib = true,
                "Lib" if is_python_dir(before) => stdlib = true,
                _ if before.starts_with("python") && before.ends_with(".zip") => stdlib = true,
                _ => {}
            }
        }
        before = part;
    }
    if stdlib { STDLIB } else { OWN }
}

/// `python3.13`, `python3.13t`, `Python313`.
fn is_python_dir(name: &str) -> bool {
    let version = name.strip_prefix("python").or_else(|| name.strip_prefix("Python"));
    version.is_some_and(|version| {
        version.starts_with(|c: char| c.is_ascii_digit())
            && version.chars().all(|c| c.is_ascii_digit() || c == '.' || c == 't')
    })
}

/// FNV-1a with its bits mixed once more: the low ones are used.
fn hash(text: &str) -> u64 {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash ^ hash >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 24
}

/// From hue (in degrees), saturation and lightness.
fn rgb(hue: f64, saturation: f64, lightness: f64) -> Color {
    let chroma = saturation * lightness.min(1.0 - lightness);
    let channel = |offset: f64| {
        let k = (offset + hue / 30.0) % 12.0;
        let value = lightness - chroma * (k - 3.0).min(9.0 - k).clamp(-1.0, 1.0);
        (value * 255.0).round() as u8
    };
    Color { r: channel(0.0), g: channel(8.0), b: channel(4.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_tell_whose_code_it_is() {
        let hue = |path| python_range(path).hue;
        assert_eq!(hue("/usr/lib/python3.13/json/decoder.py"), STDLIB.hue);
        assert_eq!(hue("/opt/lib/python3.13t/json/decoder.py"), STDLIB.hue);
        assert_eq!(hue(r"C:\Users\me\Python313\Lib\json\decoder.py"), STDLIB.hue);
        assert_eq!(hue("<frozen importlib._bootstrap>"), STDLIB.hue);
        assert_eq!(hue("/venv/lib/python3.9/site-packages/django/views.py"), PACKAGE.hue);
        assert_eq!(hue("/usr/lib/python3/dist-packages/yaml/__init__.py"), PACKAGE.hue);
        assert_eq!(hue("/home/me/python3.13/app.py"), OWN.hue);
        assert_eq!(hue("app.py"), OWN.hue);
        assert_eq!(hue(""), OWN.hue);
    }

    #[test]
    fn primary_colours() {
        let triple = |hue| (rgb(hue, 1.0, 0.5).r, rgb(hue, 1.0, 0.5).g, rgb(hue, 1.0, 0.5).b);
        assert_eq!(triple(0.0), (255, 0, 0));
        assert_eq!(triple(120.0), (0, 255, 0));
        assert_eq!(triple(240.0), (0, 0, 255));
    }
}
