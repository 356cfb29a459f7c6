//! How a flame graph is drawn.

use std::fmt;
use std::str::FromStr;

/// What a flame graph looks like; other formats take no notice.
#[derive(Clone, Debug, PartialEq)]
pub struct GraphStyle {
    /// Stacks are merged from their innermost frames: what is called most is next to the root,
    /// whoever called it. Root frames of processes and threads stay where they are.
    pub reverse: bool,
    /// The root is at the bottom; otherwise it is on top.
    pub upright: bool,
    /// The colours of the frames.
    pub colors: Colors,
    /// What is narrower than so many percent of the whole is left out.
    pub min_width: f64,
    /// In pixels; as wide as the window if not given.
    pub width: Option<u32>,
}

impl Default for GraphStyle {
    fn default() -> GraphStyle {
        GraphStyle {
            reverse: false,
            upright: false,
            colors: Colors::default(),
            min_width: 0.01,
            width: None,
        }
    }
}

/// The colours of a flame graph. The same function has the same colour in every graph.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Colors {
    /// By where the code comes from: the program, packages, the standard library, native code.
    #[default]
    Python,
    /// Red to yellow.
    Hot,
    /// Green to blue.
    Mem,
    /// Wide blue.
    Io,
    /// Reds.
    Red,
    /// Oranges.
    Orange,
    /// Yellows.
    Yellow,
    /// Greens.
    Green,
    /// Aquas.
    Aqua,
    /// Blues.
    Blue,
    /// Purples.
    Purple,
}

impl Colors {
    /// All of them.
    pub const ALL: [Colors; 11] = [
        Colors::Python,
        Colors::Hot,
        Colors::Mem,
        Colors::Io,
        Colors::Red,
        Colors::Orange,
        Colors::Yellow,
        Colors::Green,
        Colors::Aqua,
        Colors::Blue,
        Colors::Purple,
    ];

    /// The name, as [`FromStr`] reads it: those of other flame graph tools.
    pub fn name(self) -> &'static str {
        match self {
            Colors::Python => "python",
            Colors::Hot => "hot",
            Colors::Mem => "mem",
            Colors::Io => "io",
            Colors::Red => "red",
            Colors::Orange => "orange",
            Colors::Yellow => "yellow",
            Colors::Green => "green",
            Colors::Aqua => "aqua",
            Colors::Blue => "blue",
            Colors::Purple => "purple",
        }
    }
}

impl fmt::Display for Colors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// There are no colours of that name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownColors(pub String);

impl fmt::Display for UnknownColors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Colors::ALL.map(Colors::name).join(", ");
        write!(f, "unknown colors {:?}, expected one of {names}", self.0)
    }
}

impl std::error::Error for UnknownColors {}

impl FromStr for Colors {
    type Err = UnknownColors;

    /// Reads a name, in any case of letters.
    fn from_str(name: &str) -> Result<Colors, UnknownColors> {
        let found = Colors::ALL.into_iter().find(|colors| colors.name().eq_ignore_ascii_case(name));
        found.ok_or_else(|| UnknownColors(name.to_string()))
    }
}
