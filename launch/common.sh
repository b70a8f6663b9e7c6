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

# With CDPATH, cd would say where it went.
QUILLAN_ROOT=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
QUILLAN_PACKAGES=(libopenmpi-dev openmpi-bin libopenblas-dev libzstd-dev libdnnl-dev pkg-config)

# quillan_say TEXT: one line on stderr, whatever names are in it.
quillan_say() {
  printf 'quillan: %s\n' "${1//[[:cntrl:]]/?}" >&2
}

# quillan_fail TEXT [CODE]: ends the script with one line.
quillan_fail() {
  quillan_say "$1"
  exit "${2:-1}"
}

# quillan_number TEXT: the whole number that a text is, for arithmetic, and nothing for any other text: bash would run a
# command that it finds in there.
quillan_number() {
  [[ ! $1 =~ ^[0-9]{1,15}$ ]] || echo "$((10#$1))"
}

# quillan_quoted WORD ...: the words as a shell reads them.
quillan_quoted() {
  local word text=''
  for word in "$@"; do
    [[ $word =~ ^[A-Za-z0-9_./:=,@%+-]+$ ]] || word=${word@Q}
    text+=" $word"
  done
  printf '%s\n' "${text# }"
}

# quillan_listen TEXT: from here on TERM, INT, HUP and USR1 end the script with a line and code 75: it has started nothing
# that could lose anything. quillan_guard listens otherwise while its command runs.
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
    quillan_fail "this is not a Debian system: install what its packages ${QUILLAN_PACKAGES[*]} hold, then start this again"
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
# offers its core to others: the threads that save use cores that nobody else does (until ranks wait for them), and where
# other programs ran on the cores (2 cores, load 5) steps took 15 % less time than with ranks that keep it.
quillan_environment() {
  # Open MPI crashes without a home folder. Bash knows one also for a user without an entry in passwd.
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

# quillan_cores [ROOT]: the cores that programs may use here: the machine's, less what affinity and the quotas of control
# groups (versions 1 and 2, this one's and those around it) leave out. A test's ROOT stands for /.
quillan_cores() {
  local root=${1:-} cores controllers path folder mount quota period
  # nproc would answer with OMP_NUM_THREADS where that is set.
  cores=$(env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc)
  while IFS=: read -r _ controllers path; do
    case ,$controllers, in
      ,,) mount=$root/sys/fs/cgroup ;;
      *,cpu,*) mount=$root/sys/fs/cgroup/cpu ;;
      *) continue ;;
    esac
    # In a container the path may be the host's, of which only the end of the way up is there.
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
  [[ -f $program && -x $program ]] ||
    quillan_fail "${program:-quillan}: no program here; build it with: swift build -c release --product quillan"
  realpath -s -- "$program"
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

# quillan_ask PROGRAM OPTION ...: what the program says of the configuration of the command that was read, into
# quillan_answers. Where the configuration is wrong, the script ends as the program does: with its line and its code.
quillan_ask() {
  local program=$1 last
  shift
  mapfile -d '' -t quillan_answers < <(
    code=0
    "$program" debug configuration --config "$quillan_config" "${quillan_sets[@]}" --null "$@" || code=$?
    printf '%s\0' "$code"
  )
  last=$((${#quillan_answers[@]} - 1))
  ((last >= 0)) || quillan_fail "$program: says nothing about $quillan_config"
  [[ ${quillan_answers[last]} == 0 ]] || exit "${quillan_answers[last]}"
  unset 'quillan_answers[last]'
}

# quillan_read_settings PROGRAM SECTION.KEY ...: these values of the configuration, into
# quillan_settings by key; null is nothing.
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

# quillan_rank_memory PROGRAM RANKS: the bytes that a rank needs at its peak, as planned.
quillan_rank_memory() {
  "$1" plan --json --ranks "$2" --config "$quillan_config" "${quillan_sets[@]}" 2>/dev/null |
    grep -oE '"memory_bytes":[0-9]{1,15}' | head -n 1 | grep -oE '[0-9]+$' ||
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
  local pid='' code=0 interrupted=0 started=$SECONDS stopped_at=0 repeating='' forced=0 signal
  quillan_signals=()
  for signal in TERM INT HUP USR1; do
    # shellcheck disable=SC2064  # this signal's name, now
    trap "interrupted=1; quillan_signals+=($signal); quillan_pass_stop" "$signal"
  done
  setsid "$@" </dev/null 2>&"${quillan_errors:-2}" &
  pid=$!
  # A signal that came before the process had a number.
  [[ -n $repeating ]] || ((${#quillan_signals[@]} == 0)) || quillan_repeat_stop
  if declare -F quillan_on_start >/dev/null; then quillan_on_start "$pid"; fi
  while :; do
    interrupted=0 code=0
    # Without what bash says of a command that a signal has ended.
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

# Part of quillan_guard: tells its process to stop. Signals within two seconds are one request: a batch system may send
# it to every process, and each passes it on.
quillan_pass_stop() {
  if ((${#quillan_signals[@]} == 1)); then
    stopped_at=$SECONDS
    [[ -z $pid ]] || quillan_repeat_stop
  elif ((SECONDS - stopped_at >= 2)); then
    forced=1
    [[ -z $pid ]] || kill -TERM "$pid" 2>/dev/null || true
  fi
}

# Part of quillan_guard: sends USR1 until the process has gone. mpirun passes it on to the ranks that there are, and none
# is there when it has just been started; ranks that know it already take no notice.
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

# Lets quillan_mpirun's filter of stderr end before this process, which does not need it.
quillan_let_errors_go() {
  [[ -z ${quillan_errors:-} ]] || exec {quillan_errors}>&-
}

# What mpirun says besides of ranks that leave with a code of their own, which is the script's code, too, and of ranks that
# USR1 has ended.
QUILLAN_BANNERS=(-e '-{74}' -e '' -e 'mpirun: Forwarding signal 10 to job'
  -e 'Primary job +terminated normally, but [0-9]+ process(es)? returned'
  -e 'a non-zero exit code\. Per user-direction, the job has been aborted\.'
  -e 'mpirun detected that one or more processes exited with non-zero status, thus causing'
  -e 'the job to be terminated\. The first process to do so was:'
  -e ' *Process name: \[\[[0-9]+,[0-9]+\],[0-9]+\]' -e ' *Exit code: +[0-9]+'
  -e 'mpirun noticed that process rank [0-9]+ with PID [0-9]+ on node .* exited on signal 10 \(User defined signal 1\)\.')

# quillan_mpirun ARGUMENT ...: runs mpirun and returns the exit code of its ranks, without its banners. A signal makes them
# save and leave (quillan_guard), since mpirun itself kills its ranks soon after TERM or INT but forwards USR1.
quillan_mpirun() {
  local code=0 filter tries quillan_errors=''
  exec {quillan_errors}> >(
    trap '' TERM INT HUP USR1 QUIT
    LC_ALL=C exec grep -a --line-buffered -v -x -E "${QUILLAN_BANNERS[@]}" >&2
  )
  filter=$!
  quillan_guard mpirun "$@" || code=$?
  quillan_let_errors_go
  # All that was said is said before the script ends, unless somebody keeps the filter's input open.
  for ((tries = 0; tries < 40; tries++)); do
    kill -0 "$filter" 2>/dev/null || break
    sleep 0.05
  done
  return "$code"
}
