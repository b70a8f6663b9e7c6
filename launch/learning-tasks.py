"""Prompts and answers of the ten tasks of launch/learning, as JSON Lines for data.prompts.

    python3 launch/learning-tasks.py TASK COUNT > prompts.jsonl

The same arguments give the same lines. Tasks of reasoning-gym need `pip install reasoning-gym`.
"""

import json
import random
import sys

NAMES = ["Ali", "Noa", "Leo", "Mia", "Sam", "Eva", "Tom", "Zoe", "Ben", "Ida", "Max", "Amy", "Jon", "Lea", "Kim", "Ron"]
THINGS = ["nuts", "cars", "eggs", "pens", "cups", "hats", "keys", "figs", "toys", "bags", "maps", "pins"]
PAIRS = {"(": ")", "[": "]", "{": "}", "<": ">"}


def word_problems(numbers):
    """A word problem; the answer has the calculation and the result, in the form of GSM8K."""
    name, other = numbers.sample(NAMES, 2)
    thing = numbers.choice(THINGS)
    have, count = numbers.randint(1, 9), numbers.randint(1, 9)
    kind = numbers.choice(["buys", "gets", "gives", "loses"])
    if kind in ("gives", "loses"):
        have, count = max(have, count), min(have, count)
        end = f"gives {count} to {other}" if kind == "gives" else f"loses {count}"
        line, total = f"{have}-{count}={have - count}", have - count
    else:
        end = f"buys {count} more" if kind == "buys" else f"gets {count} from {other}"
        line, total = f"{have}+{count}={have + count}", have + count
    return f"{name} has {have} {thing} and {end}. How many?\n", f"{line}\n#### {total}"


def addition(numbers):
    """Three-digit addition; the answer is written from its last digit."""
    first, second = numbers.randint(100, 999), numbers.randint(100, 999)
    return f"{first}+{second}=", str(first + second)[::-1]


def sorting(numbers):
    digits = "".join(numbers.choice("0123456789") for _ in range(6))
    return f"sort {digits}=", "".join(sorted(digits))


def brackets(numbers):
    """The beginning of a Dyck word, and the brackets that close it."""
    text, stack = "", []
    for _ in range(numbers.randint(6, 14)):
        if stack and numbers.random() < 0.4:
            text += PAIRS[stack.pop()]
        else:
            stack.append(numbers.choice("([{<"))
            text += stack[-1]
    if not stack:
        stack.append("(")
        text += "("
    return text + " closes ", "".join(PAIRS[bracket] for bracket in reversed(stack))


def answer_format(numbers):
    """Half of the answers have the format that the reward asks for."""
    first, second = numbers.randint(1, 30), numbers.randint(1, 30)
    total = first + second
    plain = f"{first}+{second} is {total}"
    formatted = f"<think>{first}+{second}</think><answer>{total}</answer>"
    return f"What is {first} plus {second}? Think, then answer.\n", formatted if first > second else plain


MADE = {
    "word-problems": word_problems,
    "addition": addition,
    "sorting": sorting,
    "brackets": brackets,
    "format": answer_format,
}
REASONING_GYM = {
    "chain-sum": {"min_terms": 2, "max_terms": 3, "min_digits": 1, "max_digits": 1},
    "spell-backward": {"min_word_len": 3, "max_word_len": 5},
    "letter-counting": {"min_words": 4, "max_words": 7},
    "simple-equations": {"min_terms": 2, "max_terms": 2, "min_value": 1, "max_value": 9},
    "gcd": {"min_numbers": 2, "max_numbers": 2, "min_value": 2, "max_value": 50},
}


def entries(task, count):
    """More prompts and answers than `count`, since some occur twice."""
    if task in MADE:
        numbers = random.Random(task)
        for _ in range(20 * count):
            yield MADE[task](numbers)
    else:
        import reasoning_gym

        for entry in reasoning_gym.create_dataset(
            task.replace("-", "_"), size=6 * count, seed=1, **REASONING_GYM[task]
        ):
            yield entry["question"].rstrip() + "\n", str(entry["answer"])


def main():
    task, count = sys.argv[1], int(sys.argv[2])
    seen = set()
    for prompt, answer in entries(task, count):
        if prompt not in seen and len(seen) < count:
            seen.add(prompt)
            print(json.dumps({"prompt": prompt, "answer": answer}))


main()
