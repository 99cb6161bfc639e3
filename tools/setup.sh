#!/bin/sh
# Makes .venv, installs requirements.lock and the two packages into it, and does nothing at all when
# that was done before. POSIX sh: this runs before anything of ours is installed.
#
# Two stamps say what was finished, and from what: .venv/.slimlab-lock for the dependencies,
# .venv/.slimlab-setup for everything. Each is written last, so an interrupted set-up leaves none.
set -eu

cd "$(dirname "$0")/.."
here=$(pwd -P)
lock_stamp=.venv/.slimlab-lock
stamp=.venv/.slimlab-setup
scratch=$(mktemp -d "${TMPDIR:-/tmp}/slimlab-setup.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say() { printf '%s\n' "slimlab: $*" >&2; }

# The path is part of it: a virtual environment does not survive being moved.
{ printf '%s\n' "$here"; cat requirements.lock; } > "$scratch/lock"
cat "$scratch/lock" pyproject.toml > "$scratch/setup"

works() { [ -x .venv/bin/python ] && .venv/bin/python -c 'import sys' >/dev/null 2>&1; }

if cmp -s "$stamp" "$scratch/setup" 2>/dev/null && works; then
    exit 0
fi

# Run, not only looked up: a name on PATH may be a shim of a version manager that leads nowhere.
usable() {
    "$1" -c '
import sys
if not (3, 10) <= sys.version_info[:2] <= (3, 13):
    sys.exit("is Python %d.%d" % sys.version_info[:2])
try:
    import ensurepip, venv
except ImportError:
    sys.exit("has no venv module")
' 2>&1 </dev/null
}

choose_python() {
    seen=
    for name in ${SLIMLAB_PYTHON:-python3.13 python3.12 python3.11 python3.10 python3 python}; do
        path=$(command -v "$name" 2>/dev/null) || continue
        if why=$(usable "$name"); then
            printf '%s\n' "$name"
            return 0
        fi
        seen="$seen
  $path: $(printf '%s\n' "$why" | head -n 1)"
    done
    say "SlimLab needs Python 3.10 to 3.13 with its venv module, and found none.${seen:+ Tried:$seen}"
    say "Install one: on Debian or Ubuntu 'apt-get install python3 python3-venv', on macOS" \
        "'brew install python@3.12' - or name one: SLIMLAB_PYTHON=/path/to/python3 make ..."
    return 1
}

rm -f "$stamp"
if cmp -s "$lock_stamp" "$scratch/lock" 2>/dev/null && works; then
    say "pyproject.toml changed: installing the two packages again."
else
    # Made anew when the lock changed, too: what left the lock must leave .venv.
    python=$(choose_python)
    [ ! -e .venv ] || say "requirements.lock changed, or set-up was interrupted or moved."
    rm -rf .venv
    say "making .venv with $("$python" --version 2>&1) ($(command -v "$python"))."
    "$python" -m venv .venv
    # Twice quiet: warnings about folders in the user's own pip settings would bury our lines.
    say "installing the pinned dependencies (about 400 MB to download the first time)."
    .venv/bin/python -m pip install -qq --disable-pip-version-check --no-input \
        --require-hashes -r requirements.lock
    cp "$scratch/lock" "$lock_stamp.new" && mv "$lock_stamp.new" "$lock_stamp"
fi

# No isolation and no index: what builds the two packages is in the lock, too.
.venv/bin/python -m pip install -qq --disable-pip-version-check --no-input \
    --no-deps --no-index --no-build-isolation --editable .
cp "$scratch/setup" "$stamp.new" && mv "$stamp.new" "$stamp"
say "ready."
