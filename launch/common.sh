#!/usr/bin/env bash
# What the launch scripts share: the set-up of a machine, the build, and ranks that stop when they are asked to.
# To be sourced by a script that has set -euo pipefail.

if [[ ${BASH_SOURCE[0]} == "$0" || ${1:-} == --help && ${0##*/} == common.sh ]]; then
  echo "launch/common.sh is sourced by the other scripts of launch/; run one of those (each has --help)."
  exit 0
fi

# Standard streams that the caller has closed (2>&-): files would get their numbers.
[[ -e /proc/self/fd/0 ]] || exec </dev/null
[[ -e /proc/self/fd/1 ]] || exec >/dev/null
[[ -e /proc/self/fd/2 ]] || exec 2>/dev/null

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

# Installs the Debian packages of QUILLAN_PACKAGES that are missing, and only those.
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
# more ranks than cores. Ranks are not bound to cores, so that their threads may use all of them. A rank that waits
# offers its core to others: checkpoints are compressed besides, and where other programs ran on the cores (2 cores, load
# 5) steps took 15 % less time than with ranks that keep it.
quillan_environment() {
  export OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  export OMPI_MCA_btl_vader_single_copy_mechanism=none
  export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_mpi_yield_when_idle=1
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

# The cores that this machine gives: its own, less what affinity and the quota of a control group leave out.
quillan_cores() {
  local cores quota period
  # nproc would answer with OMP_NUM_THREADS where that is set.
  cores=$(env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc)
  if read -r quota period 2>/dev/null </sys/fs/cgroup/cpu.max && [[ $quota =~ ^[0-9]+$ ]]; then
    quota=$(((quota + period - 1) / period))
    ((quota >= cores)) || cores=$quota
  fi
  echo "$cores"
}

# The bytes of memory that programs can still get here, also in a control group.
quillan_memory() {
  local available limit used
  available=$(awk '/^MemAvailable:/ { printf "%.0f", $2 * 1024 }' /proc/meminfo)
  limit=$(cat /sys/fs/cgroup/memory.max 2>/dev/null || true)
  if [[ $limit =~ ^[0-9]+$ ]]; then
    used=$(awk '/^(anon|shmem|kernel) / { sum += $2 } END { printf "%.0f", sum }' /sys/fs/cgroup/memory.stat)
    ((limit - used >= available)) || available=$((limit > used ? limit - used : 0))
  fi
  echo "$available"
}

# The program: QUILLAN_PROGRAM, the release build, or the one on the path.
quillan_program() {
  local program=${QUILLAN_PROGRAM:-$QUILLAN_ROOT/.build/release/quillan}
  [[ -n ${QUILLAN_PROGRAM:-} || -x $program ]] || program=$(command -v quillan || true)
  [[ -x $program ]] ||
    quillan_fail "${program:-quillan}: no program here; build it with: swift build -c release --product quillan"
  realpath -s "$program"
}

# quillan_read_command WORD ...: what the scripts need to know of a quillan command: quillan_phase, quillan_config,
# quillan_sets (as arguments), quillan_name, quillan_resume and quillan_files (arguments that are paths).
# shellcheck disable=SC2034  # read by the scripts that source this
quillan_read_command() {
  quillan_phase='' quillan_config='' quillan_sets=() quillan_name='' quillan_resume='' quillan_files=()
  local word value previous=''
  while (($#)); do
    word=$1 value=${2:-}
    [[ $word != --*=* ]] || { value=${word#*=} && word=${word%%=*}; }
    case $word in
      train | pretrain | evaluate) [[ -n $quillan_phase || $previous == --* ]] || quillan_phase=$word ;;
      --config) quillan_config=$value ;;
      --set) quillan_sets+=(--set "$value") ;;
      --name) quillan_name=$value ;;
      --resume) quillan_resume=$value ;;
      --weights | --trajectories) quillan_files+=("$value") ;;
    esac
    previous=$1
    shift
  done
  quillan_phase=${quillan_phase:-train}
  [[ -n $quillan_config ]] || quillan_fail "--config FILE is missing; see launch/${0##*/} --help" 2
}

# quillan_resolve PROGRAM: the whole configuration of the command that was read, for quillan_setting. Where the
# configuration is wrong, the script ends as the program does: with its line and its code.
quillan_resolve() {
  local errors code=0
  errors=$(mktemp)
  quillan_resolved=$("$1" debug configuration --config "$quillan_config" "${quillan_sets[@]}" 2>"$errors") || code=$?
  ((code == 0)) || cat "$errors" >&2
  rm -f "$errors"
  ((code == 0)) || exit "$code"
}

# quillan_setting SECTION.KEY: a value of the resolved configuration, without quotes; nothing where it is null.
quillan_setting() {
  awk -v section="${1%%.*}:" -v key="  ${1#*.}: " '
    /^[a-z]/ { inside = $0 == section }
    inside && index($0, key) == 1 {
      value = substr($0, length(key) + 1)
      if (value ~ /^".*"$/) value = substr(value, 2, length(value) - 2)
      if (value != "null") print value
    }' <<<"$quillan_resolved"
}

# quillan_rank_memory PROGRAM RANKS: the bytes that a rank needs at its peak, as planned.
quillan_rank_memory() {
  "$1" plan --json --ranks "$2" --config "$quillan_config" "${quillan_sets[@]}" 2>/dev/null |
    grep -oE '"memory_bytes":[0-9]+' | grep -oE '[0-9]+$' ||
    quillan_fail "quillan plan --config $quillan_config failed; run it to see why"
}

# Bytes as people read them.
quillan_bytes() {
  numfmt --to=iec-i --suffix=B --format=%.1f "$1"
}

# quillan_guard COMMAND ...: runs the command in a session of its own, since a terminal would send it Ctrl-C directly,
# and returns its exit code. The first TERM, INT, HUP or USR1 reaches it as USR1, after which ranks save and leave with
# code 75; one that comes seconds later as TERM, which ends it. Ranks that do not listen yet are ended by USR1 and have
# lost nothing: that is 75 as well. quillan_signals has what came; the function quillan_on_start, if any, gets the
# process's number.
quillan_guard() {
  local pid='' code interrupted=0 stopped_at=0 signal
  quillan_signals=()
  for signal in TERM INT HUP USR1; do
    # shellcheck disable=SC2064  # this signal's name, now
    trap "interrupted=1; quillan_signals+=($signal); quillan_pass_stop" "$signal"
  done
  setsid "$@" </dev/null &
  pid=$!
  ((${#quillan_signals[@]} == 0)) || kill -USR1 "$pid" 2>/dev/null || true
  if declare -F quillan_on_start >/dev/null; then quillan_on_start "$pid"; fi
  while :; do
    interrupted=0 code=0
    # Without what bash says of a command that a signal has ended.
    wait "$pid" 2>/dev/null || code=$?
    ((interrupted)) || break
  done
  trap - TERM INT HUP USR1
  ((${#quillan_signals[@]} == 0 || code != 138)) || code=75
  return "$code"
}

# Part of quillan_guard: tells its process to stop. Signals within two seconds are one request: a batch system may send
# it to every process, and each passes it on.
quillan_pass_stop() {
  local signal=USR1
  if ((${#quillan_signals[@]} == 1)); then
    stopped_at=$SECONDS
  else
    ((SECONDS - stopped_at >= 2)) || return 0
    signal=TERM
  fi
  [[ -z $pid ]] || kill -"$signal" "$pid" 2>/dev/null || true
}

# quillan_mpirun N command ...: runs the command on N ranks of this machine and returns their exit code; a signal makes
# them save and leave (quillan_guard), since mpirun itself kills its ranks soon after TERM or INT but forwards USR1.
quillan_mpirun() {
  local ranks=$1
  shift
  quillan_guard mpirun -n "$ranks" "$@"
}
