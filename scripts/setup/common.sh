# Shared by the scripts in this folder (sourced, never run): where the cache is, stamps, locks, messages.
# shellcheck shell=bash

SCRIPTS_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck disable=SC2034 # for those who source this
PROJECT_DIR=$(dirname "$SCRIPTS_DIR")
CACHE=${PYSPY_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/py-spy-tests}

say() { printf '%s\n' "$*" >&2; }
fail() { say "setup-tests: $*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# A stamp says that an item is complete, and made by which recipe: its text is compared, so an item is made anew
# when its recipe's text changes. It is written last and by rename, so an interrupted item has none.
stamp_file() { printf '%s/stamps/%s' "$CACHE" "$1"; }

stamped() { # stamped ITEM TEXT
    local file; file=$(stamp_file "$1")
    [ -f "$file" ] && [ "$(cat "$file")" = "$2" ]
}

write_stamp() { # write_stamp ITEM TEXT
    local file; file=$(stamp_file "$1")
    mkdir -p "$(dirname "$file")"
    printf '%s\n' "$2" >"$file.$$"
    mv -f "$file.$$" "$file"
}

# Two setups at once (two people, or CI beside a person) must not make the same thing twice: runs the command
# while holding the named lock. The lock ends with the process.
with_lock() { # with_lock NAME COMMAND...
    mkdir -p "$CACHE/locks"
    # A subshell, so that the lock goes with it however the command ends.
    (
        exec 9>"$CACHE/locks/$1"
        flock 9
        shift
        "$@"
    )
}

# Where an item is put together before it is renamed into its place. Inside the cache, as a rename needs the same
# file system. What an interrupted run left is removed: an item is made by one process at a time.
new_workdir() { # new_workdir ITEM
    mkdir -p "$CACHE/tmp"
    rm -rf "$CACHE/tmp/$1".??????
    mktemp -d "$CACHE/tmp/$1.XXXXXX"
}

# Replaces the folder DEST by NEW. What was there goes away only after NEW is in place.
swap_in() { # swap_in NEW DEST
    local old="$CACHE/tmp/old.$$.$RANDOM"
    mkdir -p "$CACHE/tmp" "$(dirname "$2")"
    if [ -e "$2" ]; then mv "$2" "$old"; fi
    mv "$1" "$2"
    rm -rf "$old"
}

# Text that changes when one of the files does, for stamps.
digest_of() { cat "$@" | sha256sum | cut -c1-16; }
