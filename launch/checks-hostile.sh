#!/usr/bin/env bash
# Names, values and answers that a shell could take for code. Sourced by test-launch.
# shellcheck disable=SC2154,SC2317  # test-launch has work, config, output and small, and calls the functions
# shellcheck disable=SC2016,SC2164  # what is not expanded is meant so; checks stop at a failure

# A name with spaces, quotes, a line end, patterns, letters beyond ASCII, and commands that would leave a trace.
hostile=$'läufe a  b\'c"d\n$(touch trace)`touch trace`;touch trace #*[x]&\\n'
# A number with a command, for arithmetic.
hostile_number='BASH_VERSINFO[0$(touch trace)]'

# hostile_folder: creates a directory of that name, with program, scripts, configuration, data and a reward program of such
# names, and enters it.
hostile_folder() {
  folder=$work/hostile/$hostile
  rm -rf "$work/hostile"
  mkdir -p "$folder/programs"
  cp -r "$QUILLAN_ROOT/launch" "$folder"
  local real=$QUILLAN_PROGRAM
  # A program of that name, which starts the real one, so that its resources are found.
  printf '#!/usr/bin/env bash\nexec %q "$@"\n' "$real" >"$folder/programs/$hostile"
  chmod +x "$folder/programs/$hostile"
  cp "$config" "$folder/$hostile.yaml"
  for number in {1..40}; do printf '{"prompt": "%d+1=", "answer": "%d"}\n' "$number" "$((number + 1))"; done >"$folder/$hostile.jsonl"
  cat >"$folder/$hostile.py" <<'END'
import json, sys
for line in sys.stdin:
    print(json.dumps({"id": json.loads(line)["id"], "reward": len(line) % 3}), flush=True)
END
  export QUILLAN_PROGRAM=$folder/programs/$hostile
  # The name in YAML double quotes.
  local quoted=${hostile//\\/\\\\}
  quoted=${quoted//\"/\\\"}
  quoted=\"${quoted//$'\n'/\\n}
  hostile_run=(--config "$hostile.yaml" --name "run" "${small[@]}" --set rl.num_epochs=2 --set "logging.directory=$quoted\""
    --set data.task=null --set "data.prompts=$quoted.jsonl\"" --set "data.rewards=[{command: [python3, $quoted.py\"]}]")
  cd "$folder"
}

# left_no_trace: no command in a name or an answer was run.
left_no_trace() {
  local found
  found=$(find "$work" "$QUILLAN_ROOT" -maxdepth 6 -name trace -newer "$work/started" | head -n 3)
  [[ -z $found ]] || { echo "a command was run: $found" && return 1; }
}

hostile_names_in_train() {
  local words
  touch "$work/started"
  hostile_folder
  outcome 0 launch/train --dry-run --ranks 1 "${hostile_run[@]}"
  # The output is a command that a shell can read.
  declare -a "words=($(tail -n 1 <<<"$output"))"
  [[ ${words[3]} == "$QUILLAN_PROGRAM" ]] || { echo "not the path of the program: ${words[3]}" && return 1; }
  [[ " ${words[*]} " == *" --config $hostile.yaml "* ]]
  outcome 0 launch/train --ranks 1 "${hostile_run[@]}"
  [[ -s $hostile/run/weights.safetensors ]]
  left_no_trace
}

hostile_names_in_supervise() {
  touch "$work/started"
  hostile_folder
  outcome 0 launch/supervise launch/train --ranks 1 "${hostile_run[@]}"
  [[ -s $hostile/run/weights.safetensors ]]
  # A failure after a checkpoint counts as progress, also in such a directory.
  rm -rf "$hostile"
  cat >"$folder/$hostile.failing" <<'END'
#!/usr/bin/env bash
starts=$(($(cat starts 2>/dev/null || echo 0) + 1))
echo "$starts" >starts
"$QUILLAN_PROGRAM" "$@" --set rl.num_epochs=$((2 * starts)) >>log 2>&1
((starts >= 4)) || exit 1
END
  chmod +x "$folder/$hostile.failing"
  outcome 0 launch/supervise --restarts 1 --delay 0 "./$hostile.failing" train "${hostile_run[@]}" --set checkpoint.every=2
  lines 3 "quillan: ended with code 1; restart 1 of 1 in 0 s, from step-"
  left_no_trace
}

hostile_names_in_cluster() {
  touch "$work/started"
  hostile_folder
  printf 'localhost slots=1\n' >"$hostile.hosts"
  outcome 0 launch/cluster --hostfile "$hostile.hosts" "${hostile_run[@]}"
  [[ -s $hostile/run/weights.safetensors ]]
  # The same through the shell of a host that lacks one file after another.
  mock_cluster
  printf 'one\ntwo\n' >"$hostile.hosts"
  outcome 0 launch/cluster --hostfile "$hostile.hosts" --check "${hostile_run[@]}"
  for file in 0 1 2; do
    mock ssh <<END
while [[ \$1 == -* ]]; do [[ \$1 == -[oF] ]] && shift; shift; done
[[ \$1 == two ]] || { shift; exec "\$@"; }
shift
"\$@" | sed '/^file $file /d'
END
    outcome 1 launch/cluster --hostfile "$hostile.hosts" --check "${hostile_run[@]}"
    lines 1 "quillan: two: "
    says "cannot be read there; copy it"
  done
  left_no_trace
}

hostile_names_in_slurm() {
  touch "$work/started"
  hostile_folder
  mock_slurm 0
  outcome 0 env SLURM_JOB_ID=77 SLURM_SUBMIT_DIR="$folder" 'SLURM_JOB_NODELIST=n[1-3]' 'SLURM_TASKS_PER_NODE=2(x2),1' \
    bash launch/slurm.sbatch "${hostile_run[@]}"
  grep -qF -- '-n 5 ' "$work/mpirun-used"
  for tasks in "$hostile_number" "2(x$hostile_number)" "08(x$hostile)" '1(x99999999)' '0'; do
    outcome 2 env SLURM_JOB_ID=77 SLURM_SUBMIT_DIR="$folder" SLURM_JOB_NODELIST=n "SLURM_TASKS_PER_NODE=$tasks" \
      bash launch/slurm.sbatch "${hostile_run[@]}"
    lines 1 "quillan: "
  done
  mock scontrol <<<"printf '%s\\n' '-oProxyCommand=touch trace'"
  outcome 1 env SLURM_JOB_ID=77 SLURM_SUBMIT_DIR="$folder" SLURM_JOB_NODELIST=n SLURM_TASKS_PER_NODE=1 \
    launch/cluster --slurm "${hostile_run[@]}"
  says "which is not a host name"
  left_no_trace
}

hostile_hostfiles() {
  local line
  touch "$work/started"
  cd "$work"
  for line in '-oProxyCommand=touch${IFS}trace' '$(touch trace)' '`touch trace`' 'a;touch trace' "a'b" 'a/../b' 'ho*' \
    "one slots=$hostile_number" 'one slots=$(touch trace)' 'one:2' 'two@-oX' '@one' $'one\e[2J'; do
    printf '%s\n' "$line" >"$work/hostfile"
    outcome 2 "$QUILLAN_ROOT/launch/cluster" --hostfile "$work/hostfile" --config "$QUILLAN_ROOT/$config" "${runs[@]}"
    lines 1 "quillan: $work/hostfile, line 1: "
    [[ $output != *$'\e'* ]]
  done
  outcome 2 "$QUILLAN_ROOT/launch/cluster" --hostfile "$work/none" --config "$QUILLAN_ROOT/$config" "${runs[@]}"
  left_no_trace
}

hostfile_of_windows() {
  mock_cluster
  printf '\xef\xbb\xbfone slots=2\r\n# two\r\n\r\ntwo\tslots = 1\r\nuser@three slots=1 # x\r' >"$work/hostfile"
  outcome 0 launch/cluster --hostfile "$work/hostfile" --config "$config" "${runs[@]}"
  [[ $(<"$work/hostfile-used") == "one slots=2"$'\n'"two slots=1"$'\n'"user@three slots=1" ]]
}

# Whatever a host answers, no command runs here, and each line of output remains one line about the right host.
hostile_answers() {
  local word
  touch "$work/started"
  cp -r "$config" "$work/hostile.yaml"
  cd "$work"
  mock_cluster
  for word in clock cores memory mpi directory program trouble token address network 'file [0-9]*' '[a-z]*' before after failed; do
    mock ssh <<END
while [[ \$1 == -* ]]; do [[ \$1 == -[oF] ]] && shift; shift; done
[[ \$1 == two ]] || { shift; exec "\$@"; }
shift
# Changes an answer of the host, and adds one.
"\$@" | sed -E 's#^($word) .*#\1 $hostile_number\x1b[2J\rquillan: one: false#'
[[ '$word' == *'*'* ]] || printf '%s %s\n' '$word' '$hostile_number'
[[ '$word' != network ]] || printf 'network %s\n' '192.0.2.1/$hostile_number' '$hostile_number.0.0.1/24' 08.09.0.1/08
END
    printf 'one slots=1\ntwo\n' >"$work/hostfile"
    output=$("$QUILLAN_ROOT/launch/cluster" --hostfile "$work/hostfile" --config hostile.yaml "${runs[@]}" 2>&1 || true)
    [[ $output != *$'\e'* && $output != *$'\r'* ]] || { echo "raw: $output" && return 1; }
    [[ $'\n'$output != *$'\nquillan: one: '* ]] || { echo "a line of another host: $output" && return 1; }
    left_no_trace
  done
}
