//! py-spy
fn main() {}
