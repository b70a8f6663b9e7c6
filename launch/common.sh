#!/usr/bin/env bash
# Functions shared by the launch scripts: setting up a machine, building, and ranks that stop on request.
# Sourced by scripts that have set -euo pipefail.

if [[ ${BASH_SOURCE[0]} == "$0" || ${1:-} == --help && ${0##*/} == common.sh ]]; then
  echo "launch/common.sh is sourced by the other scripts of launch/; run one of those (each has --help)."
  exit 0
fi

# Open the standard streams that the caller has closed (2>&-); otherwise the next files would get their numbers.
[[ -e /proc/self/fd/0 ]] || exec </dev/null
[[ -e /proc/self/fd/1 ]] || exec >/dev/null
[[ -e /proc/self/fd/2 ]] || exec 2>/dev/null

# With CDPATH set, cd would print the directory.
QUILLAN_ROOT=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
QUILLAN_PACKAGES=(libopenmpi-dev openmpi-bin libopenblas-dev libzstd-dev libdnnl-dev pkg-config)

# quillan_say TEXT: prints one line on stderr; control characters in names become '?'.
quillan_say() {
  printf 'quillan: %s\n' "${1//[[:cntrl:]]/?}" >&2
}

# quillan_fail TEXT [CODE]: ends the script with one line.
quillan_fail() {
  quillan_say "$1"
  exit "${2:-1}"
}

# quillan_number TEXT: prints the whole number in a text, for arithmetic, and nothing for any other text: in arithmetic,
# bash would run a command in the text.
quillan_number() {
  [[ ! $1 =~ ^[0-9]{1,15}$ ]] || echo "$((10#$1))"
}

# quillan_quoted WORD ...: prints the words, quoted for a shell.
quillan_quoted() {
  local word text=''
  for word in "$@"; do
    [[ $word =~ ^[A-Za-z0-9_./:=,@%+-]+$ ]] || word=${word@Q}
    text+=" $word"
  done
  printf '%s\n' "${text# }"
}

# quillan_listen TEXT: from here on TERM, INT, HUP and USR1 end the script with a line and code 75, because it has started
# nothing that could lose work. While quillan_guard runs its command, it handles the signals itself.
quillan_listen() {
  quillan_listening=$1
  trap 'quillan_fail "$quillan_listening" 75' TERM INT HUP USR1
}

# Needs Swift 6.1 or newer.
quillan_check_swift() {
  local needed="Swift 6.1 or newer is needed; get it from https://www.swift.org/install/linux"
  command -v swift >/dev/null || quillan_fail "swift was not found: $needed"
  local version
  version=$(swift --version 2>/dev/null | grep -oE 'Swift version [0-9]+\.[0-9]+' | head -n 1 | grep -oE '[0-9]+\.[0-9]+' || true)
  [[ -n $version ]] || quillan_fail "swift --version prints no version: $needed"
  if ((${version%%.*} < 6 || (${version%%.*} == 6 && ${version##*.} < 1))); then
    quillan_fail "this is Swift $version: $needed"
  fi
}

# Installs the Debian packages of QUILLAN_PACKAGES that are missing, and only those.
quillan_install() {
  local missing=() package
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    command -v mpirun >/dev/null && command -v pkg-config >/dev/null && return
    quillan_fail "not a Debian system: install the equivalents of the Debian packages ${QUILLAN_PACKAGES[*]}, then start this script again"
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

# One BLAS thread per rank, because the program itself is parallel, and Open MPI settings for root, for containers, and for
# more ranks than cores. Ranks are not bound to cores, so that their threads may use all cores. A waiting rank yields its
# core, so that threads that save checkpoints can use it. When other programs ran on the cores (2 cores, load 5), steps took
# 15 % less time than with ranks that do not yield.
quillan_environment() {
  # Open MPI crashes without a home directory. Bash knows one even for a user without an entry in passwd.
  export HOME="${HOME:-/}"
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
  if ((code == 0)) && grep -F "$QUILLAN_ROOT/" "$log" | grep -qE '/(Sources|Tests|Package\.swift)[^ ]*: warning:'; then
    echo "quillan: the build has warnings (above); correct them" >&2
    code=1
  fi
  rm -f "$log"
  return "$code"
}

# quillan_cores [ROOT]: prints the number of cores that programs may use here: those of the machine, limited by affinity
# and by the quotas of this control group and its parents (versions 1 and 2). Tests pass a ROOT in place of /.
quillan_cores() {
  local root=${1:-} cores controllers path folder mount quota period
  # If OMP_NUM_THREADS is set, nproc prints that.
  cores=$(env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc)
  while IFS=: read -r _ controllers path; do
    case ,$controllers, in
      ,,) mount=$root/sys/fs/cgroup ;;
      *,cpu,*) mount=$root/sys/fs/cgroup/cpu ;;
      *) continue ;;
    esac
    # In a container the path may be the host's, and only its first parents may exist.
    while :; do
      folder=$mount${path%/} quota='' period=''
      if [[ -r $folder/cpu.max ]]; then
        read -r quota period <"$folder/cpu.max" || true
      elif [[ -r $folder/cpu.cfs_quota_us && -r $folder/cpu.cfs_period_us ]]; then
        read -r quota <"$folder/cpu.cfs_quota_us" || true
        read -r period <"$folder/cpu.cfs_period_us" || true
      fi
      if [[ $quota =~ ^[1-9][0-9]{0,14}$ && $period =~ ^[1-9][0-9]{0,14}$ ]]; then
        quota=$(((quota + period - 1) / period))
        ((quota >= cores)) || cores=$quota
      fi
      [[ -n ${path%/} ]] || break
      path=${path%/} path=${path%/*}
    done
  done < <(cat "$root/proc/self/cgroup" 2>/dev/null)
  echo "$cores"
}

# Prints the bytes of memory that programs can still allocate here, also in a control group.
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

# Prints the program's path: QUILLAN_PROGRAM, the release build, the program of the package that holds these scripts
# (PREFIX/share/quillan/launch), or the program on the path.
quillan_program() {
  local program=${QUILLAN_PROGRAM:-$QUILLAN_ROOT/.build/release/quillan}
  [[ -n ${QUILLAN_PROGRAM:-} || -x $program ]] || program=$(realpath -m -- "$QUILLAN_ROOT/../../lib/quillan/quillan")
  [[ -n ${QUILLAN_PROGRAM:-} || -x $program ]] || program=$(command -v quillan || true)
  [[ -f $program && -x $program ]] ||
    quillan_fail "${program:-quillan}: program not found; build it with: swift build -c release --product quillan"
  realpath -s -- "$program"
}

# quillan_read_command WORD ...: reads a quillan command into quillan_phase, quillan_config, quillan_sets (as arguments),
# quillan_name, quillan_resume and quillan_files (arguments that are paths).
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

# quillan_ask PROGRAM OPTION ...: asks the program about the configuration of the command that was read; the answers go into
# quillan_answers. If the configuration is wrong, the script ends with the program's error line and code.
quillan_ask() {
  local program=$1 last
  shift
  mapfile -d '' -t quillan_answers < <(
    code=0
    "$program" debug configuration --config "$quillan_config" "${quillan_sets[@]}" --null "$@" || code=$?
    printf '%s\0' "$code"
  )
  last=$((${#quillan_answers[@]} - 1))
  ((last >= 0)) || quillan_fail "$program: prints nothing about $quillan_config"
  [[ ${quillan_answers[last]} == 0 ]] || exit "${quillan_answers[last]}"
  unset 'quillan_answers[last]'
}

# quillan_read_settings PROGRAM SECTION.KEY ...: reads values of the configuration into quillan_settings, by key; null
# becomes an empty text.
quillan_read_settings() {
  local program=$1 key options=() index=0
  shift
  for key in "$@"; do options+=(--get "$key"); done
  quillan_ask "$program" "${options[@]}"
  declare -gA quillan_settings=()
  for key in "$@"; do
    # shellcheck disable=SC2034  # read by the scripts that source this
    quillan_settings[$key]=${quillan_answers[index]}
    index=$((index + 1))
  done
}

# quillan_rank_memory PROGRAM RANKS: prints the planned peak memory of a rank in bytes.
quillan_rank_memory() {
  "$1" plan --json --ranks "$2" --config "$quillan_config" "${quillan_sets[@]}" 2>/dev/null |
    grep -oE '"memory_bytes":[0-9]{1,15}' | head -n 1 | grep -oE '[0-9]+$' ||
    quillan_fail "quillan plan --config $quillan_config failed; run it to see why"
}

# quillan_bytes NUMBER: prints bytes in a readable unit.
quillan_bytes() {
  numfmt --to=iec-i --suffix=B --format=%.1f "$1"
}

# quillan_guard COMMAND ...: runs the command in a session of its own, because a terminal would send it Ctrl-C directly,
# and returns its exit code. The first TERM, INT, HUP or USR1 is passed on as USR1; ranks then save and exit with code 75.
# A signal that comes seconds later is passed on as TERM, which ends the command. USR1 kills ranks that do not handle it
# yet; they lose nothing, so the code is 75 as well. quillan_signals lists the signals received. If the function
# quillan_on_start exists, it is called with the process id.
quillan_guard() {
  local pid='' code=0 interrupted=0 started=$SECONDS stopped_at=0 repeating='' forced=0 signal
  quillan_signals=()
  for signal in TERM INT HUP USR1; do
    # shellcheck disable=SC2064  # this signal's name, now
    trap "interrupted=1; quillan_signals+=($signal); quillan_pass_stop" "$signal"
  done
  setsid "$@" </dev/null 2>&"${quillan_errors:-2}" &
  pid=$!
  # A signal that came before the process id was known.
  [[ -n $repeating ]] || ((${#quillan_signals[@]} == 0)) || quillan_repeat_stop
  if declare -F quillan_on_start >/dev/null; then quillan_on_start "$pid"; fi
  while :; do
    interrupted=0 code=0
    # 2>/dev/null hides bash's message about a command that a signal has ended.
    wait "$pid" 2>/dev/null || code=$?
    ((interrupted)) || break
  done
  if [[ -n ${quillan_listening:-} ]]; then quillan_listen "$quillan_listening"; else trap - TERM INT HUP USR1; fi
  if [[ -n $repeating ]]; then
    kill "$repeating" 2>/dev/null || true
    wait "$repeating" 2>/dev/null || true
  fi
  # A signal to all processes of a group reaches this one's child before it has its own session.
  if ((${#quillan_signals[@]} && !forced)) && [[ $code =~ ^(129|130|138|143)$ ]]; then
    quillan_say "stopped before the first step"
    code=75
  fi
  return "$code"
}

# Part of quillan_guard: asks its process to stop. Signals within two seconds count as one request: a batch system may send
# the signal to every process, and each passes it on.
quillan_pass_stop() {
  if ((${#quillan_signals[@]} == 1)); then
    stopped_at=$SECONDS
    [[ -z $pid ]] || quillan_repeat_stop
  elif ((SECONDS - stopped_at >= 2)); then
    forced=1
    [[ -z $pid ]] || kill -TERM "$pid" 2>/dev/null || true
  fi
}

# Part of quillan_guard: sends USR1 until the process has ended. mpirun passes it on to its ranks, but may not have started
# any yet; ranks ignore a repeated signal.
quillan_repeat_stop() {
  (
    trap - TERM INT HUP USR1
    exec </dev/null >/dev/null 2>&1
    quillan_let_errors_go
    exec {never}<> <(:)
    pause=0.3
    while kill -USR1 "$pid"; do
      read -r -t "$pause" -u "$never" || true
      ((SECONDS - started < 10)) || pause=5
    done
  ) &
  repeating=$!
}

# Closes this process's end of quillan_mpirun's stderr filter, so that the filter can end first.
quillan_let_errors_go() {
  [[ -z ${quillan_errors:-} ]] || exec {quillan_errors}>&-
}

# Lines that mpirun adds when ranks exit with a code other than 0, which is the script's code too, or when USR1 has killed
# ranks.
QUILLAN_BANNERS=(-e '-{74}' -e '' -e 'mpirun: Forwarding signal 10 to job'
  -e 'Primary job +terminated normally, but [0-9]+ process(es)? returned'
  -e 'a non-zero exit code\. Per user-direction, the job has been aborted\.'
  -e 'mpirun detected that one or more processes exited with non-zero status, thus causing'
  -e 'the job to be terminated\. The first process to do so was:'
  -e ' *Process name: \[\[[0-9]+,[0-9]+\],[0-9]+\]' -e ' *Exit code: +[0-9]+'
  -e 'mpirun noticed that process rank [0-9]+ with PID [0-9]+ on node .* exited on signal 10 \(User defined signal 1\)\.')

# quillan_mpirun ARGUMENT ...: runs mpirun without its banners and returns the exit code of its ranks. A signal makes the
# ranks save and exit (quillan_guard): mpirun forwards USR1, but kills its ranks soon after TERM or INT.
quillan_mpirun() {
  local code=0 filter tries quillan_errors=''
  exec {quillan_errors}> >(
    trap '' TERM INT HUP USR1 QUIT
    LC_ALL=C exec grep -a --line-buffered -v -x -E "${QUILLAN_BANNERS[@]}" >&2
  )
  filter=$!
  quillan_guard mpirun "$@" || code=$?
  quillan_let_errors_go
  # Wait for the filter, so that all output appears before the script ends, unless another process keeps its input open.
  for ((tries = 0; tries < 40; tries++)); do
    kill -0 "$filter" 2>/dev/null || break
    sleep 0.05
  done
  return "$code"
}
