#!/usr/bin/env bash
# Usage: install-python.sh FOLDER
# Makes FOLDER a virtual environment of Python with what each */requirements.txt pins, unless it is that already. A package that there
# is not for this machine is told and left out; on Debian the tests that need it then fail, elsewhere they are skipped.
set -euo pipefail

folder=$1
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# They share one environment.
differing=$(sed '/^#/d; s/==.*//' <(sed '/^#/d' ./*/requirements.txt | sort -u) | uniq -d | tr '\n' ' ')
if [ -n "$differing" ]; then
    echo "$0: the files */requirements.txt pin different versions of: $differing" >&2
    exit 1
fi

for requirements in */requirements.txt; do
    installed=$folder/installed-${requirements%%/*}.txt
    cmp -s "$requirements" "$installed" && continue
    if [ ! -x "$folder/bin/pip" ] && ! python3 -m venv --clear "$folder"; then
        echo "$0: python3 cannot make a virtual environment; on Debian: tools/install.sh peers" >&2
        exit 0
    fi
    if "$folder/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: --no-deps -r "$requirements"; then
        cp "$requirements" "$installed"
    else
        echo "$0: not installed: $requirements" >&2
    fi
done
