"""Writes prompts of a reasoning-gym task as JSON Lines for data.prompts (pip install reasoning-gym).

    python3 configs/examples/rewards/reasoning_gym_prompts.py chain_sum 2000 '{"min_terms": 2, "max_terms": 2}' > prompts.jsonl

With a fourth argument, the prompt is that member of the entry's metadata, followed by '=', instead of the question: a small
model reads '15 - 43=' (expression) more easily than a sentence around it. Each line keeps the task's name and the entry's metadata, which reasoning_gym_reward.py needs to score an answer.
"""

import json
import sys

import reasoning_gym

task, size = sys.argv[1], int(sys.argv[2])
options = json.loads(sys.argv[3]) if len(sys.argv) > 3 else {}
member = sys.argv[4] if len(sys.argv) > 4 else None
seen = set()
for entry in reasoning_gym.create_dataset(task, size=size, seed=0, **options):
    prompt = f"{entry['metadata'][member]}=" if member else entry["question"] + "\n"
    if prompt in seen:
        continue
    seen.add(prompt)
    line = {
        "prompt": prompt,
        "answer": str(entry["answer"]),
        "task": task,
        "entry": json.loads(json.dumps(entry, default=str)),
    }
    print(json.dumps(line))
