//! NumPy's arrays show their shape, type and first items; scalars their value.

mod locals_kit;
mod support;

use locals_kit::{dump, local, locals};
use support::{Target, need};

#[test]
fn arrays_and_scalars() {
    let mut command = std::process::Command::new(need("targets/bin/python"));
    command.arg(support::targets_dir().join("numpy_values.py"));
    let target = Target::start_command("numpy", command);
    let seen = dump(target.pid(), 3);
    let text = |name: &str| local(locals(&seen, "stand"), name).repr.as_str();
    for (name, expected) in [
        ("matrix", "array([[0, 1, 2], [3, 4, 5]], shape=(2, 3), dtype=int64)"),
        ("turned", "array([[0, 3], [1, 4], [2, 5]], shape=(3, 2), dtype=int64)"),
        ("floats", "array([1.5, -0.25], shape=(2,), dtype=float64)"),
        ("small", "array([0.1, 10000000000.0], shape=(2,), dtype=float32)"),
        ("half", "array([0.1, 65500.0], shape=(2,), dtype=float16)"),
        ("nothing", "array([], shape=(0,), dtype=uint8)"),
        ("single", "array(5, shape=(), dtype=int32)"),
        ("steps", "array([9, 6, 3, 0], shape=(4,), dtype=int16)"),
        ("swapped", "array([1, -2], shape=(2,), dtype=int32)"),
        ("truth", "array([True, False], shape=(2,), dtype=bool)"),
        ("words", "array(['a', 'béd'], shape=(2,), dtype=U3)"),
        ("raw", "array([b'x'], shape=(1,), dtype=S5)"),
        ("objects", "array([None, {'a': 1}], shape=(2,), dtype=object)"),
        ("complexes", "array([(1+2j), 0.5j], shape=(2,), dtype=complex128)"),
        ("days", "array(['2024-02-29', NaT], shape=(2,), dtype=datetime64[D])"),
        ("spans", "array([90], shape=(1,), dtype=timedelta64[s])"),
    ] {
        assert_eq!(text(name), expected);
    }
    assert_eq!(text("scalars"), target.ready["scalars"].as_str().unwrap());
    let big = text("big");
    assert!(big.starts_with("array([[0.0, 0.0,"), "{big}");
    assert!(big.ends_with(" (len 1000), shape=(1000, 1000), dtype=float64)"), "{big}");
}

#[test]
fn pandas_frames_show_their_shape() {
    let mut command = std::process::Command::new(need("targets/bin/python"));
    command.arg(support::targets_dir().join("pandas_values.py"));
    let target = Target::start_command("pandas", command);
    let seen = dump(target.pid(), 1);
    let variables = locals(&seen, "stand");
    let shapes = target.ready["shapes"].as_object().unwrap();
    assert_eq!(shapes.len(), 12);
    let mut wrong = Vec::new();
    for (name, shape) in shapes {
        let lengths: Vec<String> =
            shape.as_array().unwrap().iter().map(|length| length.to_string()).collect();
        let comma = if lengths.len() == 1 { "," } else { "" };
        let expected = format!("shape=({}{comma})", lengths.join(", "));
        let text = &local(variables, name).repr;
        if !text.contains(&expected) {
            wrong.push(format!("{name}: {expected} is not in {text}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for (name, columns) in [
        ("frame", "columns=['a', 'b']"),
        ("mixed", "columns=['n', 's', 'when']"),
        ("part", "columns=['w', 'x']"),
    ] {
        let text = &local(variables, name).repr;
        assert!(text.contains(columns), "{name}: {text}");
    }
}
