# Debian's packages (sourced): those installed on the machine by apt, and those only unpacked into the cache.
# shellcheck shell=bash

# shellcheck disable=SC2034 # for those who source this
APT_PACKAGES="ca-certificates curl gcc g++ libc6-dev make xz-utils gdb strace tmux patchelf binutils procps libffi-dev zlib1g-dev"

missing_packages() {
    local package
    for package in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)" = installed ] || printf '%s ' "$package"
    done
}

# Installs what is missing of the packages. Without apt or without root it only tells.
apt_install() {
    have dpkg-query || { say "not a Debian machine: install these by its own means: $*"; return 0; }
    local missing; missing=$(missing_packages "$@")
    [ -n "$missing" ] || return 0
    [ "$(id -u)" = 0 ] || { say "not root, so not installed: $missing"; return 0; }
    with_lock apt apt_install_now "$missing"
}

apt_install_now() {
    local options=(-qq -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3)
    local names; read -ra names <<<"$1"
    export DEBIAN_FRONTEND=noninteractive
    # The lists on the machine may be older than the mirror, or not there at all; fetching them takes seconds.
    # Another apt (a fresh machine's own) may have the lock on the lists, for which there is no option to wait.
    local try=1
    until apt-get "${options[@]}" update >&2; do
        [ $((try += 1)) -le 20 ] || fail "apt-get update does not succeed (see above)"
        sleep 15
    done
    apt-get "${options[@]}" install -y --no-install-recommends "${names[@]}" >&2
}

# The machine's own Debian mirror, from its apt configuration (either form).
debian_mirror() {
    local from=/etc/apt found
    found=$(awk '
        function debian(url) { return url ~ /:\/\/.*\/debian(\/.*)?$/ }
        FILENAME ~ /\.sources$/ && /^URIs:/ { for (i = 2; i <= NF; i++) if (debian($i)) { print $i; exit } }
        FILENAME ~ /\.list$/ && /^deb / { for (i = 2; i <= NF; i++) if (debian($i)) { print $i; exit } }
    ' "$from"/sources.list.d/*.sources "$from"/sources.list "$from"/sources.list.d/*.list 2>/dev/null || true)
    [ -n "$found" ] || fail "no Debian mirror in this machine's apt configuration"
    printf '%s' "${found%/}"
}

# A private apt in a folder, for a newer suite than the machine's: nothing of the machine's own apt or dpkg state is
# touched, and apt checks signatures and hashes as ever.
private_apt() { # private_apt FOLDER APT-GET-ARGUMENTS...
    local folder=$1; shift
    apt-get -qq -o Dir::Etc::sourcelist="$folder/sources.list" -o Dir::Etc::sourceparts=- \
        -o Dir::State="$folder" -o Dir::State::lists="$folder/lists" \
        -o Dir::State::status="$folder/status" -o Dir::Cache="$folder/cache" \
        -o APT::Sandbox::User=root -o Acquire::Languages=none -o APT::Install-Recommends=false \
        -o Acquire::Check-Valid-Until=false -o Acquire::Retries=3 "$@"
}

# Debian's unstable suite has the newest CPythons.
private_apt_lists() { # private_apt_lists FOLDER deb|deb-src
    have apt-get || fail "CPython's newest releases are taken from Debian's archive, which needs apt-get"
    local mirror; mirror=$(debian_mirror)
    mkdir -p "$1/lists/partial" "$1/cache/archives/partial"
    : >"$1/status"
    echo "$2 [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror sid main" >"$1/sources.list"
    private_apt "$1" update >&2
}
