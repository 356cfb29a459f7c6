# Releases of NumPy (and pandas) for the tests of values (sourced): those of numpy.txt whose interpreter is on this
# machine, in $CACHE/numpy/FOLDER, to be used by PYTHONPATH.
# shellcheck shell=bash

# The lines of numpy.txt that there is an interpreter for.
numpy_releases() {
    local labels folder rest
    labels=$("$SCRIPTS_DIR/interpreters" | cut -f 1)
    grep -v '^#' "$SCRIPTS_DIR/setup/numpy.txt" | while read -r folder rest; do
        # 3.8.18-shared, but 3.13t-static.
        if grep -q -E "^${folder//./\\.}[.-]" <<<"$labels"; then
            echo "$folder $rest"
        else
            say "numpy: no CPython $folder on this machine, so none of NumPy's releases for it"
        fi
    done
}

# With one pip for all, which need not run on the interpreter that it installs for: the old ones' own are too old to
# know today's wheels.
install_numpy() { # install_numpy PYTHON DEST FOLDER ABI PACKAGE...
    # As a release of that version that all others have come before: some wheels want 3.6.1.
    local python=$1 dest=$2 version=${3%t}.99 abi=$4 platform platforms=()
    shift 4
    for platform in 1 2010 2014 _2_17 _2_27 _2_28; do
        platforms+=(--platform "manylinux${platform}_$(uname -m)")
    done
    "$python" -m pip install -q --disable-pip-version-check --no-compile --no-deps --only-binary=:all: \
        --implementation cp --python-version "$version" --abi "$abi" --abi none "${platforms[@]}" \
        --target "$dest" "$@" >&2
    # Their own tests are the most files.
    find "$dest" -type d -name tests -prune -exec rm -rf {} +
}

make_numpy() {
    local work python
    work=$(new_workdir numpy)
    "$(targets_python)" -m venv "$work/venv"
    python=$work/venv/bin/python
    export -f install_numpy
    # shellcheck disable=SC2016 # the inner shell expands it
    numpy_releases | xargs -r -d '\n' -n 1 -P 3 bash -c \
        'set -eu; read -ra words <<<"$2"; install_numpy "$0" "$1/${words[0]}" "${words[@]}"' "$python" "$work"
    rm -rf "$work/venv"
    swap_in "$work" "$CACHE/numpy"
}
