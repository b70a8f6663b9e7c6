#!/usr/bin/env bash
# The hosts of launch/cluster: the list, the checks of each host, and watching whether they still answer.
# Sourced by scripts that have sourced common.sh.

# The hosts, the maximum ranks of each (slots), and how each is reached: remote (ssh), slurm (srun) or here (this machine).
hosts=() slots=() reach=()

# The command that runs another command on a host.
remote=(ssh)
ssh_options=(-o BatchMode=yes -o ConnectTimeout=10 -o ServerAliveInterval=3 -o ServerAliveCountMax=3)
# Seconds after which a host counts as silent; follows from the options above.
silence=9

# read_hostfile FILE: reads lines 'host [slots=N]', as mpirun does; # begins a comment. Files from Windows have a carriage
# return at the end of each line, and a byte order mark before the first.
read_hostfile() {
  local file=$1 line number=0 host rest count
  [[ -r $file && ! -d $file ]] ||
    quillan_fail "$file: cannot be read; give a file with a line 'host slots=N' for each host" 2
  while IFS= read -r line || [[ -n $line ]]; do
    number=$((number + 1))
    ((number > 1)) || line=${line#$'\xef\xbb\xbf'}
    line=${line%%#*}
    read -r host rest <<<"${line%$'\r'}" || true
    [[ -n $host ]] || continue
    is_host "$host" || quillan_fail "$file, line $number: '$host' is not a host name" 2
    [[ ! $host =~ ^[^:]+:[0-9]+$ ]] || quillan_fail "$file, line $number: '$host': write '${host%:*} slots=${host##*:}'" 2
    count=''
    [[ -z $rest ]] || [[ ! $rest =~ ^slots\ *=\ *([1-9][0-9]{0,5})\ *$ ]] || count=${BASH_REMATCH[1]}
    [[ -z $rest || -n $count ]] || quillan_fail "$file, line $number: '$rest' is not 'slots=N'" 2
    [[ " ${hosts[*]} " != *" $host "* ]] || quillan_fail "$file, line $number: $host is listed twice; add up its slots" 2
    add_host "$host" "$count"
  done <"$file"
  ((${#hosts[@]})) || quillan_fail "$file: lists no hosts; write a line 'host slots=N' for each" 2
}

# is_host TEXT: whether the text is a host name or an address, optionally after 'user@'. Any other text could be an option
# of ssh, or several words for the shell of a host.
is_host() {
  [[ $1 =~ ^([A-Za-z0-9_][A-Za-z0-9_.-]*@)?[A-Za-z0-9_:][A-Za-z0-9_.:%-]*$ ]]
}

# read_slurm: reads the hosts of this Slurm allocation; its tasks are the slots.
read_slurm() {
  local host index parts part counts=()
  # "2(x3),1": two tasks on each of three nodes, one on the fourth.
  IFS=, read -ra parts <<<"${SLURM_TASKS_PER_NODE:-1}"
  for part in "${parts[@]}"; do
    [[ $part =~ ^([1-9][0-9]{0,5})(\(x([1-9][0-9]{0,5})\))?$ ]] || quillan_fail "SLURM_TASKS_PER_NODE is '$SLURM_TASKS_PER_NODE', expected for example '2(x3),1'" 2
    for ((index = 0; index < ${BASH_REMATCH[3]:-1}; index++)); do counts+=("${BASH_REMATCH[1]}"); done
  done
  index=0
  while IFS= read -r host; do
    is_host "$host" || quillan_fail "scontrol lists '$host', which is not a host name"
    hosts+=("$host")
    slots+=("${counts[index]:-1}")
    reach+=(slurm)
    index=$((index + 1))
  done < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
  ((${#hosts[@]})) || quillan_fail "scontrol lists no hosts for job $SLURM_JOB_ID"
}

# add_host HOST [SLOTS]: without SLOTS, the number of cores of the host is used later.
add_host() {
  hosts+=("$1")
  slots+=("${2:-}")
  if is_here "$1"; then reach+=(here); else reach+=(remote); fi
}

# is_here NAME: whether the name belongs to this machine.
is_here() {
  local own address
  [[ $1 != "$(hostname)" && $1 != "$(hostname -s)" ]] || return 0
  address=$(getent ahosts "$1" | awk 'NR == 1 { print $1 }') || return 1
  [[ -n $address ]] || return 1
  for own in 127.0.0.1 ::1 $(hostname -I); do
    [[ $own != "$address" ]] || return 0
  done
  return 1
}

# on_host INDEX COMMAND ...: runs a command on a host.
on_host() {
  local index=$1
  shift
  case ${reach[index]} in
    here) "$@" ;;
    slurm) srun --overlap --quiet --nodes=1 --ntasks=1 --nodelist="${hosts[index]}" "$@" ;;
    remote) "${remote[@]}" "${ssh_options[@]}" "${hosts[index]}" "$@" ;;
  esac
}

# quillan_probe PROGRAM DIRECTORY TOKEN FILE ...: runs on a host and prints what the checks need, one word and its value per
# line; for each file, its number and hash. The program's hash includes its resources; a directory's hash covers the names
# and sizes of its files.
quillan_probe() {
  local program=$1 directory=$2 token=$3 path words index=0
  shift 3
  echo "clock $(date +%s.%N)"
  echo "cores $(quillan_cores "")"
  echo "memory $(quillan_memory)"
  ! command -v orted >/dev/null || echo "mpi $(mpirun --version 2>/dev/null | sed -n '1s/.* //p')"
  [[ -z ${SSH_CONNECTION:-} ]] || echo "address $(cut -d ' ' -f 3 <<<"$SSH_CONNECTION")"
  ip -o -4 addr show scope global 2>/dev/null | awk '{ print "network", $4 }' || true
  if CDPATH='' cd -- "$directory" 2>/dev/null; then echo "directory there"; fi
  if [[ -x $program ]]; then
    echo "program $({ cat "$program"; find "$(dirname "$program")"/*.resources -type f -print0 2>/dev/null | LC_ALL=C sort -z | xargs -0r cat; } | sha256sum | cut -c 1-64)"
    words=$("$program" --version 2>&1) || echo "trouble ${words##*$'\n'}"
  fi
  [[ -z $token || ! -e $token ]] || echo "token seen"
  for path in "$@"; do
    if [[ -d $path ]]; then
      echo "file $index $(CDPATH='' cd -- "$path" && find . -type f -printf '%s %p\0' | LC_ALL=C sort -z | sha256sum | cut -c 1-64)"
    elif [[ -r $path ]]; then
      echo "file $index $(sha256sum <"$path" | cut -c 1-64)"
    fi
    index=$((index + 1))
  done
}

# probe_all FOLDER PROBE_ARGUMENT ...: probes this machine and all hosts in parallel; writes FOLDER/here and FOLDER/<index>,
# with the times before and after the probe, and errors to <index>.errors.
probe_all() {
  local folder=$1 index pids=()
  shift
  {
    declare -f quillan_cores quillan_memory quillan_probe
    printf 'quillan_probe'
    printf ' %q' "$@"
    echo
  } >"$folder/probe"
  bash "$folder/probe" >"$folder/here" 2>/dev/null &
  pids+=($!)
  for index in "${!hosts[@]}"; do
    {
      echo "before $(date +%s.%N)"
      on_host "$index" bash -s <"$folder/probe" 2>"$folder/$index.errors" | head -c 1048576 || echo "failed $?"
      echo "after $(date +%s.%N)"
    } >"$folder/$index" &
    pids+=($!)
  done
  wait "${pids[@]}"
}

# answer FILE WORD: prints the value of a line of a probe. It is text: check that it is a number before using it as one.
answer() {
  awk -v word="$2" '$1 == word { print substr($0, length(word) + 2); exit }' "$1"
}

# file_hash FILE NUMBER: prints the hash of one of the files.
file_hash() {
  awk -v number="$2" '$1 == "file" && $2 == number { print $3; exit }' "$1"
}

# number_from FILE WORD: prints a value if it is a whole number. seconds_from FILE WORD: also with decimals.
number_from() {
  quillan_number "$(answer "$1" "$2")"
}
seconds_from() {
  local text
  text=$(answer "$1" "$2")
  [[ ! $text =~ ^[0-9]{1,12}(\.[0-9]{1,9})?$ ]] || echo "$text"
}

# network_of ADDRESS FILE: prints the network of an address, from the list of a probe: 10.0.0.7/24 becomes 10.0.0.0/24.
network_of() {
  local address=$1 file=$2 line length octets number
  while read -r line; do
    [[ $line =~ ^([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})/([0-9]{1,2})$ ]] || continue
    octets=("${BASH_REMATCH[@]:1:4}") length=$((10#${BASH_REMATCH[5]}))
    ((length <= 32)) || continue
    number=$(((10#${octets[0]} << 24 | 10#${octets[1]} << 16 | 10#${octets[2]} << 8 | 10#${octets[3]}) >> (32 - length) << (32 - length)))
    if [[ -z $address || ${line%/*} == "$address" ]]; then
      echo "$((number >> 24 & 255)).$((number >> 16 & 255)).$((number >> 8 & 255)).$((number & 255))/$length"
    fi
  done < <(awk '$1 == "network" { print $2 }' "$file")
}

# shared_network FOLDER INDEX ...: prints the network in which these hosts were reached, if it is the same for all and
# includes this machine.
shared_network() {
  local folder=$1 index network found=''
  shift
  for index in "$@"; do
    [[ ${reach[index]} == remote ]] || continue
    network=$(network_of "$(answer "$folder/$index" address)" "$folder/$index")
    [[ -n $network && ${found:-$network} == "$network" ]] || return 0
    found=$network
  done
  [[ -z $found ]] || network_of '' "$folder/here" | grep -xF "$found" || true
}

# watch_hosts PROCESS SECONDS FOLDER RANK INDEX ...: starts a background job for each of these hosts that is reached over
# ssh. The job holds a connection open and names a host that stops answering. It writes FOLDER/silent and kills the session
# of PROCESS if the host does not come back within SECONDS of its last answer, or as soon as no process of the program RANK
# is left here (RANK is empty if this machine has no ranks). mpirun itself would wait until the connection times out: a
# quarter of an hour with Linux's defaults. (Ranks that the watchdog ends also end the mpirun that started them, but mpirun's
# machine may have no ranks.) The jobs end when this script ends, because nobody then holds their input open.
watch_hosts() {
  local process=$1 seconds=$2 folder=$3 rank=$4 index input
  shift 4
  mkfifo "$folder/input"
  exec {input}<>"$folder/input"
  for index in "$@"; do
    [[ ${reach[index]} == remote ]] || continue
    (exec {input}>&- && quillan_let_errors_go && watch_host "${hosts[index]}" "$process" "$seconds" "$folder" "$rank") &
  done
}

# has_rank SESSION PROGRAM: whether a process of the session runs the program, which may be a script.
has_rank() {
  local process name LC_ALL=C
  for process in $(pgrep -s "$1"); do
    [[ ! /proc/$process/exe -ef $2 ]] || return 0
    # The kernel keeps 15 bytes of the name.
    name=$(cat "/proc/$process/comm" 2>/dev/null || true)
    [[ $name != "$(printf '%s' "${2##*/}" | head -c 15)" ]] || return 0
  done
  return 1
}

watch_host() {
  local host=$1 process=$2 seconds=$3 folder=$4 rank=$5 said silent_since errors=$4/watch-$1
  trap '' INT HUP
  while :; do
    silent_since=''
    setsid "${remote[@]}" -o LogLevel=INFO "${ssh_options[@]}" "$host" cat <"$folder/input" >/dev/null 2>"$errors" || silent_since=$SECONDS
    [[ -n $silent_since ]] && kill -0 "$process" 2>/dev/null || return 0
    # ssh fails late if the host is silent, immediately if the connection was closed.
    ! grep -q 'not responding' "$errors" || silent_since=$((silent_since - silence))
    said=0
    until setsid "${remote[@]}" -o ConnectTimeout=2 "${ssh_options[@]}" "$host" true </dev/null >/dev/null 2>&1; do
      kill -0 "$process" 2>/dev/null || return 0
      sleep 1
      ((SECONDS - silent_since >= silence)) || continue
      ((said)) || quillan_say "$host: no longer answers; the run waits $seconds s for it (parallel.timeout and 5 s)"
      said=1
      if ((SECONDS - silent_since >= seconds)) || { [[ -n $rank ]] && ! has_rank "$process" "$rank"; }; then
        quillan_say "$host: silent for $((SECONDS - silent_since)) s, so the run has ended; when host and network are back, restart it with --resume auto"
        : >"$folder/silent"
        pkill -KILL -s "$process" || true
        return 0
      fi
    done
    ((said == 0)) || quillan_say "$host: answers again"
  done
}
