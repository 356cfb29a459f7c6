# CPythons that the machine lacks (sourced): Debian's newest, and free-threaded ones built from Debian's sources.
# shellcheck shell=bash

# Modules left out of our own builds, as no test imports them: a third of the build's time.
UNUSED_MODULES="_tkinter _curses _curses_panel _ssl _hashlib _sqlite3 _dbm _gdbm readline _bz2 _lzma _zstd _uuid _decimal
    pyexpat _elementtree _codecs_cn _codecs_hk _codecs_iso2022 _codecs_jp _codecs_kr _codecs_tw _multibytecodec
    syslog _lsprof _zoneinfo _statistics"

# The sources we build, by name and hash: tests then always meet the same releases. A mirror may drop them when Debian
# moves on (and carries a release's packages long before or after its source), so its current release is the other way.
source_of() { # source_of 3.14 : path below the mirror's pool, and sha256
    case $1 in
    3.13) echo "python3.13_3.13.15.orig.tar.xz 1e66a7945a48390ee4c2a4268a0e4185884059a13c4aab6d148aa208deea4a76" ;;
    3.14) echo "python3.14_3.14.6.orig.tar.xz 143b1dddefaec3bd2e21e3b839b34a2b7fb9842272883c576420d605e9f30c63" ;;
    3.15) echo "python3.15_3.15.0~rc2.orig.tar.xz 8d93af5eaaaea5adfd41bd786a7ba3f03f2ad1ab57c6a65e0b963deab91d5ad7" ;;
    *) fail "no source is known for Python $1" ;;
    esac
}

# Fetches the source and unpacks it into FOLDER/src.
fetch_python_source() { # fetch_python_source 3.14 FOLDER
    local name hash tarball
    read -r name hash <<<"$(source_of "$1")"
    tarball=$2/$name
    local mirror; mirror=$(debian_mirror)
    if ! curl -sSf --retry 3 --connect-timeout 30 --speed-limit 1000 --speed-time 60 -o "$tarball" "$mirror/pool/main/p/python$1/$name" ||
        ! sha256sum --quiet -c <<<"$hash  $tarball"; then
        say "the mirror has no $name (any more): taking the release that Debian has now"
        rm -f "$tarball"
        private_apt_lists "$2/apt" deb-src
        (cd "$2" && private_apt "$2/apt" source --download-only "python$1" >&2)
        tarball=$(ls "$2"/python"$1"_*.orig.tar.xz)
    fi
    mkdir "$2/src"
    tar -C "$2/src" --strip-components=1 -xJf "$tarball"
}

# A free-threaded CPython with its symbols, in $CACHE/3.14t and so on: a static position-independent program, as
# gcc makes by default. -O1 without debugging information builds fastest; the interpreter's data are the same.
make_freethreaded() { # make_freethreaded 3.14t
    local prefix=$CACHE/$1 work
    work=$(new_workdir "$1")
    fetch_python_source "${1%t}" "$work"
    if ! build_freethreaded "$work/src" "$prefix" "$work/root" >"$work/log" 2>&1; then
        tail -40 "$work/log" >&2
        fail "$1 could not be built: $work/log"
    fi
    # Installed below another root and renamed into place: others may be waiting for the program to appear.
    swap_in "$work/root$prefix" "$prefix"
    rm -rf "$work"
    "$prefix/bin/python$1" -c 'import threading, json, asyncio, ctypes, select, socket, zlib, multiprocessing, _interpreters'
}

# Chained by &&, as bash ignores errexit in a function whose result is looked at.
build_freethreaded() { # build_freethreaded SOURCE PREFIX DESTDIR
    local without=() module
    for module in $UNUSED_MODULES; do without+=("py_cv_module_$module=n/a"); done
    cd "$1" &&
        # Compiling the library for three optimisation levels is a tenth of the build: one will do.
        sed -i 's/-o 0 -o 1 -o 2 /-o 0 /' Makefile.pre.in &&
        ./configure -q --prefix="$2" --disable-gil --without-ensurepip --disable-test-modules \
            --without-static-libpython --without-doc-strings \
            OPT="-DNDEBUG -O1 -g0 -fwrapv -w -pipe" "${without[@]}" &&
        make -s -j"$(build_jobs)" &&
        make -s altinstall DESTDIR="$3"
}

# As many as there are cores, but no more than two: memory and the people beside us.
build_jobs() { local cores; cores=$(nproc); echo $((cores > 2 ? 2 : cores)); }

# Debian's own newest CPythons unpacked into $CACHE/sid: stripped, static, not position-independent (the hardest to
# look into, and common). They bring the C library they were made for and find it by an rpath, so need no chroot.
SID_VERSIONS="3.13 3.14 3.15"

make_sid() {
    local work version libraries loader
    work=$(new_workdir sid)
    fetch_sid_packages "$work/apt"
    libraries=usr/lib/$(gcc -print-multiarch)
    unpack_packages "$work/apt/cache/archives" "$work/root"
    unpack_headers "$work/apt/headers" "$work/root"
    rm -rf "$work"/root/usr/share/{doc,man,locale,lintian} "$work/root/$libraries/gconv"
    loader=$(cd "$work/root/$libraries" && echo ld-linux*.so.?)
    for version in $SID_VERSIONS; do
        [ -e "$work/root/usr/bin/python$version" ] || continue
        # The dynamic linker must be named by an absolute path, so by the place where it will be.
        patchelf --set-interpreter "$CACHE/sid/$libraries/$loader" \
            --force-rpath --set-rpath "$CACHE/sid/$libraries" "$work/root/usr/bin/python$version"
    done
    swap_in "$work/root" "$CACHE/sid"
    rm -rf "$work"
    for version in $SID_VERSIONS; do
        [ ! -e "$CACHE/sid/usr/bin/python$version" ] || "$CACHE/sid/usr/bin/python$version" -c 'import ctypes, ssl'
    done
}

# Packages that the interpreters depend on by Debian's rules, but do not need to run.
SID_UNNEEDED='^(tzdata|debconf|netbase|readline-common|media-types|gcc-[0-9]+-base|libc-gconv-modules-extra)_'

fetch_sid_packages() { # fetch_sid_packages APT-FOLDER
    private_apt_lists "$1" deb
    local wanted=() headers=() version
    for version in $SID_VERSIONS; do
        # A version that the suite has dropped (or does not have yet) is left out.
        if private_apt "$1" install -s "python$version" >/dev/null 2>&1; then
            wanted+=("python$version")
            headers+=("libpython$version-dev")
        fi
    done
    [ "${#wanted[@]}" -gt 0 ] || fail "Debian sid has none of Python $SID_VERSIONS"
    private_apt "$1" install -y --download-only "${wanted[@]}" >&2
    # Only their headers are wanted, not what else is needed to build with them: the machine has its own.
    mkdir "$1/headers"
    (cd "$1/headers" && private_apt "$1" download "${headers[@]}" >&2)
}

unpack_headers() { # unpack_headers DEBS ROOT
    local deb
    for deb in "$1"/*.deb; do dpkg-deb --fsys-tarfile "$deb" | tar -C "$2" -x ./usr/include; done
}

unpack_packages() { # unpack_packages DEBS ROOT
    local deb
    mkdir "$2"
    for deb in "$1"/*.deb; do
        [[ $(basename "$deb") =~ $SID_UNNEEDED ]] || dpkg -x "$deb" "$2"
    done
}
