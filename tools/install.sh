#!/usr/bin/env bash
# Usage: tools/install.sh rust|compiler|postgres|node|chromium|curl|python3|openssl|peers...
# Installs what is missing of it, as root or through sudo, and says nothing when all is there.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

fail() {
    echo "$0: $1" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        fail "this needs root, and sudo is missing: $*"
    fi
}

apt_is_fresh=false
apt_install() {
    export DEBIAN_FRONTEND=noninteractive
    if ! $apt_is_fresh; then
        as_root apt-get update -qq </dev/null
        apt_is_fresh=true
    fi
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" </dev/null >/dev/null
}

# package NAME APT_PACKAGE... -- BREW_ARGUMENT...
package() {
    local name=$1 apt=()
    shift
    while [ "$1" != -- ]; do apt+=("$1"); shift; done
    shift
    echo "$name is missing and will be installed." >&2
    if command -v apt-get >/dev/null; then
        apt_install "${apt[@]}"
    elif command -v brew >/dev/null; then
        brew install "$@" </dev/null >&2
    else
        fail "$name is missing, and there is neither apt-get nor brew: install it and try again"
    fi
}

need_rust() {
    command -v cargo >/dev/null || fail "Rust is missing: install it from https://rustup.rs and try again"
}

# For the C and assembly parts of aws-lc.
need_compiler() {
    command -v cc >/dev/null || package "A C compiler" gcc libc6-dev -- gcc
}

need_postgres() {
    "$here/postgres-bin.sh" >/dev/null 2>&1 && return
    package "PostgreSQL" postgresql -- postgresql@17
    "$here/postgres-bin.sh" >/dev/null
}

# The release that tests/interop/package.json asks for.
node_is_recent() {
    node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 10) ? 0 : 1)' 2>/dev/null
}

need_node() {
    if ! command -v node >/dev/null || ! command -v npm >/dev/null; then package "Node.js" nodejs npm -- node; fi
    node_is_recent || fail "Node.js $(node --version) is too old: install 20.10 or newer from https://nodejs.org and try again"
}

need_chromium() {
    # Where tests/interop looks for it.
    [ -x "${CHROMIUM:-/usr/bin/chromium}" ] || package "Chromium" chromium -- --cask chromium
}

# Other people's programs that tests/interop tries with Keystead. They are tried as Debian has them; elsewhere those tests are skipped.
need_peers() {
    if ! command -v apt-get >/dev/null; then
        echo "Apache and oidc-agent are tried with Debian's packages only; their tests will be skipped." >&2
        return
    fi
    # Not apache2 itself, which would start a service of the system.
    if [ ! -e /usr/lib/apache2/modules/mod_auth_openidc.so ]; then
        package "Apache's mod_auth_openidc" apache2-bin libapache2-mod-auth-openidc -- none
    fi
    command -v oidc-agent >/dev/null || package "oidc-agent" oidc-agent-cli -- none
    python3 -c 'import ensurepip, venv' 2>/dev/null || package "Python's venv" python3-venv -- none
}

for thing in "$@"; do
    case $thing in
        rust | compiler | postgres | node | chromium | peers) "need_$thing" ;;
        curl | python3 | openssl) command -v "$thing" >/dev/null || package "$thing" "$thing" -- "$thing" ;;
        *) fail "does not know how to install $thing" ;;
    esac
done
