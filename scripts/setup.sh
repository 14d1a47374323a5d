# Sourced by scripts/demo and scripts/test: apt packages, then .venv with Tidegate in it.
# Idempotent: a second run with the same pyproject.toml installs nothing and takes no time.

cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '\033[1m%s\033[0m\n' "$*" >&2; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# need_apt PACKAGE...: install those that are missing, and say which.
need_apt() {
    local missing=() package
    for package in "$@"; do
        [ "$(dpkg-query -W -f='${Status}' "$package" 2>/dev/null)" = "install ok installed" ] || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    say "apt-get install ${missing[*]}"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

find_python() {
    local candidate
    for candidate in "${PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11; do
        [ -n "$candidate" ] && command -v "$candidate" >/dev/null || continue
        "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
        command -v "$candidate"
        return
    done
    say "Tidegate needs Python 3.11 or newer: apt-get install python3 (Debian 12), or set PYTHON=/path/to/python"
    return 1
}

# need_venv EXTRAS GROUP: .venv with `.[EXTRAS]` and, when GROUP is not empty, that dependency group.
need_venv() {
    local python stamp wanted
    python=$(find_python)
    wanted="$(sha256sum pyproject.toml | cut -c1-64) $1 $2 $("$python" -V)"
    stamp=.venv/.tidegate-stamp
    grep -qxF "$wanted" "$stamp" 2>/dev/null && return
    if [ ! -x .venv/bin/python ]; then
        "$python" -c 'import ensurepip' 2>/dev/null || need_apt python3-venv
        say "making .venv with $("$python" -V)"
        "$python" -m venv .venv
    fi
    say "installing tidegate[$1]${2:+ and the $2 tools} into .venv"
    .venv/bin/python -m pip --version >/dev/null 2>&1 || .venv/bin/python -m ensurepip -q
    .venv/bin/python -m pip install -q --disable-pip-version-check uv
    .venv/bin/uv pip install -q --python .venv/bin/python -e ".[$1]" ${2:+--group "$2"}
    echo "$wanted" >>"$stamp"
}
