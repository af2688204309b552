#!/usr/bin/env bash
# Makes .venv and installs geoagent with everything into it, in the versions of constraints.txt. Called by `make setup`.
#
# uv where it is found or can be installed, plain pip otherwise. PYTHON names another interpreter, INSTALLER=pip skips uv.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=.venv

fail() { echo "geoagent set-up: $*" >&2; exit 1; }

recent() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
  local name
  for name in ${PYTHON:-python3 python3.13 python3.12 python3.11 python}; do
    if recent "$name"; then command -v "$name" && return; fi
  done
  return 1
}

# A command of that name is not enough: shims of version managers are found and then fail.
works() { "$@" --version >/dev/null 2>&1; }

wants_uv() { [ "${INSTALLER:-uv}" = uv ]; }

make_venv() {
  local python
  if recent "$venv/bin/python"; then return; fi
  rm -rf "$venv"
  if python=$(find_python); then
    echo "geoagent set-up: $venv from $("$python" --version)"
    if "$python" -m venv "$venv" >/dev/null 2>&1; then return; fi
    rm -rf "$venv" # Debian's python3 without python3-venv stops half-way
  else
    python=3.11 # uv fetches one
  fi
  wants_uv && works uv || fail "Python 3.11 or newer with its venv module is needed (Debian: apt-get install python3-venv)"
  uv venv --quiet --python "$python" "$venv"
}

choose_installer() {
  if wants_uv && works uv; then
    install=(uv pip install --python "$venv/bin/python")
  elif wants_uv && "$venv/bin/python" -m pip install --quiet uv && works "$venv/bin/uv"; then
    install=("$venv/bin/uv" pip install --python "$venv/bin/python")
  elif "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    install=("$venv/bin/python" -m pip install)
  else
    fail "$venv has no pip: delete it and call make setup again"
  fi
  echo "geoagent set-up: installing with ${install[*]} (about 3 GB with torch; minutes on a fresh machine)"
}

# The same versions for what is installed and for what builds it.
export UV_CONSTRAINT=constraints.txt UV_BUILD_CONSTRAINT=constraints.txt
export PIP_CONSTRAINT=$PWD/constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1
# sam2 is used on its own tensors only: its CUDA kernel for filling holes is not needed, nor is a compiler.
export SAM2_BUILD_CUDA=0

make_venv
choose_installer
# sam2 imports torch while it is built, so torch comes first and sam2 is built beside it.
"${install[@]}" torch torchvision setuptools
"${install[@]}" --no-build-isolation sam2
"${install[@]}" -e '.[all,dev]'
"$venv/bin/geoagent" --version
