#!/usr/bin/env bash
# What the tests of the launch scripts share: sentences that hold or not, counted. To be sourced.

# Only sentences that have checks_filter are looked at.
checks_passed=0 checks_failed=0 checks_filter=''

# check SENTENCE COMMAND ...: the sentence holds where the command succeeds, a function with every command in it; its
# output is shown where it does not hold, and lines 'note: …' of it where it does. Not to be called in a condition, where bash would not stop at a failure.
check() {
  local sentence=$1 started=$SECONDS output code
  shift
  [[ $sentence == *"$checks_filter"* ]] || return 0
  set +e
  output=$(set -e && "$@" 2>&1)
  code=$?
  set -e
  if ((code == 0)); then
    checks_passed=$((checks_passed + 1))
    echo "passed  $sentence ($((SECONDS - started)) s)"
    sed -n 's/^note: /        /p' <<<"$output"
  else
    checks_failed=$((checks_failed + 1))
    echo "FAILED  $sentence"
    [[ -z $output ]] || echo "        ${output//$'\n'/$'\n'        }"
  fi
}

# finish_checks: prints the totals and ends the script.
finish_checks() {
  echo "$checks_passed passed, $checks_failed failed"
  ((checks_failed == 0)) || exit 1
  exit 0
}

# outcome CODE COMMAND ...: runs the command, leaves what it wrote in $output, and fails where it ends with another code.
outcome() {
  local wanted=$1 code=0
  shift
  output=$("$@" 2>&1) || code=$?
  ((code == wanted)) || { echo "code $code instead of $wanted:"$'\n'"$output" && return 1; }
}

# says TEXT: $output has it. lines N TEXT: $output has N lines that have it.
says() {
  [[ $output == *"$1"* ]] || { echo "not said: $1"$'\n'"$output" && return 1; }
}
says_not() {
  [[ $output != *"$1"* ]] || { echo "said: $1"$'\n'"$output" && return 1; }
}
lines() {
  local count
  count=$(grep -cF -- "$2" <<<"$output" || true)
  ((count == $1)) || { echo "$count lines instead of $1 with: $2"$'\n'"$output" && return 1; }
}

# until_true SECONDS COMMAND ...: waits for the command to succeed.
until_true() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < deadline)) || { echo "not within its time: $*" && return 1; }
    sleep 0.1
  done
}
