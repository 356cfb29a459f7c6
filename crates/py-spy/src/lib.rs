//! py-spy
