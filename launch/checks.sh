#!/usr/bin/env bash
# Functions shared by the tests of the launch scripts: checks, each described by a sentence. Sourced by the tests.

# Only checks whose sentence contains checks_filter run.
checks_passed=0 checks_failed=0 checks_filter=''

# check SENTENCE COMMAND ...: passes if the command succeeds, usually a function that stops at its first failing command.
# Prints the output of a check that fails, and the lines 'note: …' of one that passes. Do not call it in a condition: bash
# would not stop at a failure.
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

# outcome CODE COMMAND ...: runs the command, stores its output in $output, and fails if it ends with another code.
outcome() {
  local wanted=$1 code=0
  shift
  output=$("$@" 2>&1) || code=$?
  ((code == wanted)) || { echo "code $code instead of $wanted:"$'\n'"$output" && return 1; }
}

# says TEXT: requires TEXT in $output. lines N TEXT: requires N lines of $output to contain TEXT.
says() {
  [[ $output == *"$1"* ]] || { echo "not in the output: $1"$'\n'"$output" && return 1; }
}
says_not() {
  [[ $output != *"$1"* ]] || { echo "in the output: $1"$'\n'"$output" && return 1; }
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
    ((SECONDS < deadline)) || { echo "timed out: $*" && return 1; }
    sleep 0.1
  done
}
