#!/usr/bin/env bash
# What the launch scripts share: the set-up of a machine, the build, and ranks that stop when they are asked to.
# To be sourced by a script that has set -euo pipefail.

if [[ ${BASH_SOURCE[0]} == "$0" || ${1:-} == --help && ${0##*/} == common.sh ]]; then
  echo "launch/common.sh is sourced by the other scripts of launch/; run one of those (each has --help)."
  exit 0
fi

QUILLAN_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
QUILLAN_PACKAGES=(libopenmpi-dev openmpi-bin libopenblas-dev libzstd-dev libdnnl-dev pkg-config)

# Ends the script with one line.
quillan_fail() {
  echo "quillan: $1" >&2
  exit "${2:-1}"
}

# Needs Swift 6.1 or newer.
quillan_check_swift() {
  local needed="Swift 6.1 or newer is needed; get it from https://www.swift.org/install/linux"
  command -v swift >/dev/null || quillan_fail "swift was not found: $needed"
  local version
  version=$(swift --version 2>/dev/null | grep -oE 'Swift version [0-9]+\.[0-9]+' | head -n 1 | grep -oE '[0-9]+\.[0-9]+' || true)
  [[ -n $version ]] || quillan_fail "swift --version names no version: $needed"
  if ((${version%%.*} < 6 || (${version%%.*} == 6 && ${version##*.} < 1))); then
    quillan_fail "this is Swift $version: $needed"
  fi
}

# Installs the Debian packages that are missing, and only those.
quillan_install() {
  local missing=() package
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    command -v mpirun >/dev/null && command -v pkg-config >/dev/null && return
    quillan_fail "this is no Debian: install what its packages ${QUILLAN_PACKAGES[*]} hold, then start this again"
  fi
  for package in "${QUILLAN_PACKAGES[@]}"; do
    # shellcheck disable=SC2016  # dpkg-query fills in ${Status}
    [[ $(dpkg-query -W -f='${Status}' "$package" 2>/dev/null) == "install ok installed" ]] || missing+=("$package")
  done
  ((${#missing[@]})) || return 0

  local as_root=()
  if ((EUID != 0)); then
    command -v sudo >/dev/null || quillan_fail "as root, run: apt-get install ${missing[*]}"
    as_root=(sudo)
    [[ -t 0 ]] || as_root=(sudo -n)
  fi
  echo "Installing ${missing[*]}"
  local log
  log=$(mktemp)
  if ! { "${as_root[@]}" apt-get update &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y "${missing[@]}"; } >"$log" 2>&1 </dev/null; then
    tail -n 5 "$log" >&2
    rm -f "$log"
    quillan_fail "apt-get could not install; as root, run: apt-get update && apt-get install ${missing[*]}"
  fi
  rm -f "$log"
}

# One BLAS thread a rank (parallelism is above it), and an Open MPI that runs for root, in containers, and with
# more ranks than cores. Ranks are not bound to cores, so that their threads may use all of them.
quillan_environment() {
  export OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  export OMPI_MCA_btl_vader_single_copy_mechanism=none
  export OMPI_MCA_rmaps_base_oversubscribe=1
  export OMPI_MCA_hwloc_base_binding_policy=none
}

# Builds in release; further arguments go to swift build. Warnings in our own code are errors.
quillan_build() {
  local log code=0
  log=$(mktemp)
  (cd "$QUILLAN_ROOT" &&
    swift build -c release --explicit-target-dependency-import-check error "$@" </dev/null 2>&1) | tee "$log" || code=$?
  if ((code == 0)) && grep -qE "^$QUILLAN_ROOT/(Sources|Tests|Package\.swift)[^ ]*: warning:" "$log"; then
    echo "quillan: the build has warnings (above); correct them" >&2
    code=1
  fi
  rm -f "$log"
  return "$code"
}

# quillan_mpirun N command ...: runs the command on N ranks and returns their exit code.
# mpirun kills its ranks soon after TERM or INT but forwards USR1, after which ranks save and leave with code 75:
# the first TERM, INT or HUP becomes USR1, the second TERM. mpirun gets a session of its own, since a terminal
# would send it Ctrl-C directly.
quillan_mpirun() {
  local ranks=$1 pid code interrupted signal=USR1
  shift
  local yield=0
  ((ranks <= $(nproc))) || yield=1
  OMPI_MCA_mpi_yield_when_idle=$yield setsid mpirun -n "$ranks" "$@" </dev/null &
  pid=$!
  trap 'interrupted=1; kill -"$signal" "$pid" 2>/dev/null || true; signal=TERM' TERM INT HUP
  while :; do
    interrupted=0
    code=0
    wait "$pid" || code=$?
    ((interrupted)) || break
  done
  trap - TERM INT HUP
  return "$code"
}
