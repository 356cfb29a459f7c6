# An extension module made with PyO3 for the tests of native stacks (sourced): crates/py-spy/tests/targets/pyo3_kit, as
# one $CACHE/pyo3/pyo3_kit.abi3.so for all interpreters that have a GIL, from 3.7 on.
# shellcheck shell=bash

PYO3_KIT=crates/py-spy/tests/targets/pyo3_kit

make_pyo3() {
    have cargo || fail "cargo is needed to build the module made with PyO3"
    local work log=$CACHE/tmp/pyo3.log
    work=$(new_workdir pyo3)
    cp -r "$PROJECT_DIR/$PYO3_KIT"/{Cargo.toml,Cargo.lock,src} "$work/"
    # The limited API is the same for every interpreter, so none is asked. The debug information names the place where
    # the source will be.
    if ! (cd "$work" && PYO3_NO_PYTHON=1 RUSTFLAGS="--remap-path-prefix=$work=$CACHE/pyo3" CARGO_TARGET_DIR="$work/target" \
        cargo build -q --release --locked -j "$(build_jobs)") >"$log" 2>&1; then
        tail -40 "$log" >&2
        fail "the module made with PyO3 could not be built: $log"
    fi
    mv "$work/target/release/libpyo3_kit.so" "$work/pyo3_kit.abi3.so"
    rm -rf "$work/target"
    swap_in "$work" "$CACHE/pyo3"
}
