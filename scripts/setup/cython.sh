# A Cython module for the tests of native stacks (sourced): tests/native/kitcy.pyx, compiled for every interpreter that
# has its headers, in $CACHE/cython/LABEL/kitcy.so.
# shellcheck shell=bash

# Of each minor version the first, with the folder of its headers; free-threaded ones are versions of their own.
cython_pythons() {
    "$SCRIPTS_DIR/interpreters" '*-shared' '*t-static' '*-static-stripped' | while IFS=$'\t' read -r label path version flavour; do
        case $version-$flavour in *,ft*) kind=t ;; *) kind= ;; esac
        include=$("$path" -c 'import sysconfig; print(sysconfig.get_path("include"))' 2>/dev/null) || continue
        [ -f "$include/Python.h" ] || continue
        printf '%s\t%s\t%s\t%s\n' "${version%.*}$kind" "$label" "$version" "$include"
    done | awk -F '\t' '!seen[$1]++' | cut -f 2-
}

# The last Cython whose code compiles for 2.7 and up to 3.8, and one of today for the rest.
CYTHON_OLD=3.0.12
CYTHON_NEW=3.3.1

make_cython() {
    local python work version label include cython source
    work=$(new_workdir cython)
    # Debian's own Python installs nothing outside of a virtual environment.
    "$(targets_python)" -m venv "$work/venv"
    python=$work/venv/bin/python
    cp "$PROJECT_DIR/tests/native/kitcy.pyx" "$work/"
    for version in $CYTHON_OLD $CYTHON_NEW; do
        "$python" -m pip install -q --disable-pip-version-check --no-deps \
            --target "$work/cython-$version" "cython==$version" >&2
        # In C++ all its functions have mangled names: for some of the interpreters.
        (cd "$work" && PYTHONPATH="$work/cython-$version" "$python" -m cython -3 kitcy.pyx -o "kitcy-$version.c" &&
            PYTHONPATH="$work/cython-$version" "$python" -m cython -3 --cplus kitcy.pyx -o "kitcy-$version.cpp") >&2
        rm -rf "$work/cython-$version"
    done
    rm -rf "$work/venv"
    # In Debian's packages a part of the headers is in a folder beside the others, named from the folder above them.
    # shellcheck disable=SC2016 # the inner shell expands it
    cython_pythons | while IFS=$'\t' read -r label version include; do
        cython=$CYTHON_NEW
        case $version in 2.* | 3.[4-8].*) cython=$CYTHON_OLD ;; esac
        source=kitcy-$cython.c
        case $version in 3.9.* | 3.12.*) source=kitcy-$cython.cpp ;; esac
        mkdir "$work/$label"
        # The debug information names the place where the source will be.
        echo "$work/$label/kitcy.so" "$work/$source" "$include"
    done | xargs -r -n 3 -P "$(build_jobs)" bash -c \
        'gcc -shared -fPIC -O1 -g1 -w "-fdebug-prefix-map=$0=$1" "-I$4" "-I${4%/*}" -o "$2" "$3"' "$work" "$CACHE/cython"
    swap_in "$work" "$CACHE/cython"
}
