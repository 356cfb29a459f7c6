# The programs that tests profile, and the readers of what profiling gives (sourced).
# shellcheck shell=bash

TARGETS_PYTHONS="3.11 3.12 3.13" # what all packages of requirements.txt have wheels for

# A Python for the targets: the user's own if it will do, else the first found that can make a virtual environment.
targets_python() {
    local version path
    path=$(python3 -c 'import sys; print(sys.executable)' 2>/dev/null || true)
    for version in $TARGETS_PYTHONS; do
        if can_host "$path" "$version"; then echo "$path"; return; fi
    done
    for version in $TARGETS_PYTHONS; do
        while IFS=$'\t' read -r _ path _; do
            if can_host "$path" "$version"; then echo "$path"; return; fi
        done < <("$SCRIPTS_DIR/interpreters" "$version.*-shared" "$version.*-static*")
    done
    fail "no CPython of $TARGETS_PYTHONS with venv and pip is on this machine (tried what scripts/interpreters prints)"
}

can_host() { # can_host PATH VERSION
    [ -n "$1" ] && "$1" -c "import sys, venv, ensurepip, ssl; assert '%d.%d' % sys.version_info[:2] == '$2'" 2>/dev/null
}

# A virtual environment cannot be moved, so it is made where it will be. The stamp says when it is complete.
make_targets() {
    local python pip=$CACHE/targets/bin/pip
    python=$(targets_python)
    say "targets: on $python"
    rm -rf "$CACHE/targets"
    "$python" -m venv "$CACHE/targets"
    local log=$CACHE/tmp/targets.log
    mkdir -p "$CACHE/tmp"
    if ! "$pip" install --disable-pip-version-check --no-binary uWSGI -r "$SCRIPTS_DIR/setup/requirements.txt" >"$log" 2>&1; then
        tail -40 "$log" >&2
        fail "the targets could not be installed: $log"
    fi
    "$CACHE/targets/bin/python" -c 'import celery, gunicorn, uvicorn, fastapi, django, pytest, PyInstaller, numpy, pandas, greenlet, gevent, jsonschema'
    "$CACHE/targets/bin/uwsgi" --version >/dev/null
    "$CACHE/targets/bin/py-spy" --version >/dev/null
}

# speedscope (its package has the schema of its file format, and the viewer itself), a validator, and what drives the
# viewer in a browser.
make_node() {
    have npm || fail "Node.js and npm are needed (20 or later)"
    local work log=$CACHE/tmp/node.log
    work=$(new_workdir node)
    cp "$SCRIPTS_DIR"/setup/node/package*.json "$work/"
    if ! npm ci --prefix "$work" --ignore-scripts --no-audit --no-fund >"$log" 2>&1; then
        tail -40 "$log" >&2
        fail "the npm packages could not be installed: $log"
    fi
    [ -f "$work/node_modules/speedscope/dist/release/file-format-schema.json" ] || fail "speedscope came without its schema"
    swap_in "$work" "$CACHE/node"
}

make_browser() {
    apt_install chromium fonts-dejavu-core # without a font it draws no text
    have chromium || say "no chromium: tests that need a browser have none"
}

# Other build flavours of the interpreters that can be made into them, in $CACHE/variants/3.8.18 and so on; two at a
# time. An interpreter that lacks what that needs (status 3) has none, which is no failure.
make_variants() {
    local path version flavour
    # shellcheck disable=SC2016 # the inner shell expands it
    "$SCRIPTS_DIR/interpreters" '*-shared' | while IFS=$'\t' read -r _ path version flavour; do
        [[ $flavour == *ft* ]] || printf '%s\n%s\n' "$path" "$CACHE/variants/$version"
    done | xargs -r -d '\n' -n 2 -P "$(build_jobs)" \
        bash -c '"$0" "$1" "$2" || [ $? = 3 ]' "$SCRIPTS_DIR/make-variants"
}
