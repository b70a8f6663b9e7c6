#!/usr/bin/env bash
# Checks of launch/dataset. Sourced by test-launch.
# shellcheck disable=SC2154  # work and output are test-launch's

dataset_of_csv() {
  printf '\xEF\xBB\xBFquestion,result,note\n"1+1, in words?",2,"a\nb"\n\n3+4,7,é\n' >"$work/t.csv"
  outcome 0 launch/dataset "$work/t.csv" --prompt question --answer result -o "$work/t.jsonl"
  says "2 rows written to"
  [[ $(<"$work/t.jsonl") == '{"question": "1+1, in words?", "result": "2", "note": "a\nb", "prompt": "1+1, in words?", "answer": "2"}
{"question": "3+4", "result": "7", "note": "é", "prompt": "3+4", "answer": "7"}' ]]
  outcome 2 launch/dataset "$work/t.csv" -o "$work/t.jsonl"
  says "exists; give another name, or --force"
  outcome 0 "$QUILLAN_PROGRAM" train --config "$config" "${runs[@]}" --name from-csv --set data.task=null \
    --set "data.prompts=$work/t.jsonl" --set data.held_out=0 --set data.members="{prompt: question, answer: result}" \
    --set data.max_prompt_len=16 --set rl.num_epochs=1
}

faulty_datasets() {
  printf 'a,b\n1,2\n3\n' >"$work/short.csv"
  outcome 3 launch/dataset "$work/short.csv"
  says "short.csv:3: 1 cells, but 2 columns"
  printf 'a,a\n1,2\n' >"$work/twice.csv"
  outcome 3 launch/dataset "$work/twice.csv"
  says "two columns have the name 'a'"
  printf 'a,b\n,2\n1,3\n' >"$work/empty.csv"
  outcome 3 launch/dataset "$work/empty.csv" --prompt a
  says "empty.csv:2: no value in 'a'"
  outcome 0 launch/dataset "$work/empty.csv" --prompt a --skip-empty -o "$work/kept.jsonl"
  says "1 rows written to $work/kept.jsonl, 1 left out"
  printf 'a\n\xff\n' >"$work/bytes.csv"
  outcome 3 launch/dataset "$work/bytes.csv"
  says "not valid UTF-8"
  outcome 1 launch/dataset "$work/absent.csv"
  says "no such file"
  outcome 2 launch/dataset "$config"
  says "not a .parquet, .arrow, .csv or .tsv file"
  outcome 2 launch/dataset "$work/t.csv" --limit 0
  outcome 2 launch/dataset
  outcome 3 launch/dataset "$work/short.csv" -o "$work/none.jsonl"
  [[ ! -e $work/none.jsonl && -z $(find "$work" -name '.dataset-*') ]]
}

dataset_of_arrow() {
  local venv=${QUILLAN_DATASET_VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/quillan-dataset}
  mkdir -p "$work/probe"
  # An empty folder makes the script prepare pyarrow.
  output=$(launch/dataset "$work/probe" 2>&1) || true
  if [[ $output == *"pip could not install"* || $output == *"could not create the virtual environment"* ]]; then
    echo "note: not checked with pyarrow: ${output##*$'\n'}"
    return 0
  fi
  says "neither a saved data set nor a folder with Parquet files"
  "$venv/bin/python" - "$work" <<'PY'
import datetime, json, os, sys
import pyarrow, pyarrow.ipc, pyarrow.parquet
folder = sys.argv[1]
table = pyarrow.table({
    "prompt": [[{"role": "user", "content": f"{n}+1"}] for n in range(3)],
    "reward_model": [{"ground_truth": n + 1, "style": "rule"} for n in range(3)],
    "big": [2**62 + n for n in range(3)], "x": [0.5, float("nan"), None],
    "day": [datetime.date(2026, 1, 2)] * 3, "image": [b"\x00"] * 3})
pyarrow.parquet.write_table(table, f"{folder}/t.parquet")
for split in ("train", "test"):
    os.makedirs(f"{folder}/saved/{split}")
    with pyarrow.ipc.new_stream(f"{folder}/saved/{split}/data-00000-of-00001.arrow", table.schema) as out:
        out.write_table(table)
    with open(f"{folder}/saved/{split}/state.json", "w") as file:
        json.dump({"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}, file)
with open(f"{folder}/saved/dataset_dict.json", "w") as file:
    json.dump({"splits": ["train", "test"]}, file)
PY
  outcome 3 launch/dataset "$work/t.parquet"
  says "the column 'image' holds bytes, which JSON cannot; leave it out with --drop image"
  outcome 0 launch/dataset "$work/t.parquet" --drop image --answer reward_model.ground_truth -o "$work/p.jsonl"
  [[ $(sed -n 2p "$work/p.jsonl") == '{"prompt": [{"role": "user", "content": "1+1"}], "reward_model": {"ground_truth": 2, "style": "rule"}, "big": 4611686018427387905, "x": null, "day": "2026-01-02", "answer": "2"}' ]]
  outcome 2 launch/dataset "$work/saved" --drop image
  says "has the splits train, test; choose one with --split"
  outcome 0 launch/dataset "$work/saved" --split test --drop image --answer reward_model.ground_truth --limit 2 -o "$work/s.jsonl"
  [[ $(<"$work/s.jsonl") == "$(head -n 2 "$work/p.jsonl")" ]]
  head -c 100 "$work/t.parquet" >"$work/cut.parquet"
  outcome 3 launch/dataset "$work/cut.parquet"
  says "cut.parquet: cannot be read as Parquet"
}
