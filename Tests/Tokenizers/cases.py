"""Small tokenizers of published forms, and random texts with the ids that the `tokenizers` library gives them.

    pip install tokenizers
    python3 Tests/Tokenizers/cases.py [--count N] [--seed S] [--output FOLDER] [FORM …]

writes FORM.json, a tokenizer.json trained on the sentences below with the form's normaliser, pre-tokenizers and added
tokens, and FORM.cases.json, the texts and their ids, to Tests/Fixtures/tokenizers, where RolloutsTests reads them; chats.json has conversations in published chat forms. The
repository has 500 texts per form; run it with --count 10000 --seed 7 and the suite "Published tokenizers" after a change
of the scanners, and restore the folder.

Special tokens are encoded as text (`encode_special_tokens`), as the program does.
"""

import argparse
import json
import random
import sys
import unicodedata
from pathlib import Path

import tokenizers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence, Split

CONTRACTION = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
CL100K = CONTRACTION + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}" + REST
QWEN2 = CONTRACTION + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}" + REST
QWEN35 = CONTRACTION + (
    r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
O200K = "|".join([
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+" + CONTRACTION + "?",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*" + CONTRACTION + "?",
    r"\p{N}{1,3}", r" ?[^\s\p{L}\p{N}]+[\r\n/]*", r"\s*[\r\n]+", r"\s+(?!\S)", r"\s+"])

SENTENCES = """The quick brown fox jumps over the lazy dog; it's what they'd said, and we'll see.
I'VE SEEN THEM, and you're not alone: "don't worry", she said. That's 12345 of 67,890.50 apples!
def main(argv):\n    for i in range(100):\n        print(f"{i}: {argv[i]}")\n\n    return 0  # done
Der Bär läuft über die Straße; größer, schöner und müder als früher.
Tiếng Việt có nhiều dấu thanh; người dùng viết chữ như thế này.
Быстрая лиса прыгает через ленивую собаку, и это хорошо.
Η γρήγορη αλεπού πηδά πάνω από το τεμπέλικο σκυλί.
天地玄黄，宇宙洪荒。日月盈昃，辰宿列张。我们今天去学校。
いろはにほへと ちりぬるを わかよたれそ つねならむ。カタカナ
다람쥐 헌 쳇바퀴에 타고파. 한국어 문장입니다.
नमस्ते दुनिया, यह एक छोटा वाक्य है। १२३४५
السلام عليكم ورحمة الله، هذه جملة قصيرة ١٢٣
שלום עולם, זה משפט קצר. สวัสดีชาวโลก นี่คือประโยค
😀 👩‍👩‍👧‍👦 👍🏽 🇩🇪 ❤️ → ∑ ≤ ½ ² Ⅷ © … — “quotes” ‘single’
{"key": [1, 2.5, true, null], "text": "a\\n\\tb"}\r\n<div class="x">text</div>\r\n\r\n\t\tif (a && b) { return c; }""".split("\n")
CHARACTERS = {}
for value in range(0x20, 0x110000):
    CHARACTERS.setdefault(unicodedata.category(chr(value))[0], []).append(chr(value))
LETTERS, MARKS, NUMBERS = CHARACTERS["L"], CHARACTERS["M"], CHARACTERS["N"]
SYMBOLS = CHARACTERS["P"] + CHARACTERS["S"]
FORMATS = [c for c in CHARACTERS["C"] if unicodedata.category(c) == "Cf"]
SPACES = [" ", " ", " ", "\n", "\n", "\r", "\r\n", "\t", "\u00a0", "\u3000", "\u2028", "\u2003", "\u0085", "\x0b", "\x0c"]
EMOJI = ["😀", "👩‍👩‍👧‍👦", "👍🏽", "🇩🇪", "❤️", "👨🏾‍🚀", "1️⃣", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "\u200d", "\ufe0f"]
CONTRACTIONS = ["s", "t", "re", "ve", "m", "ll", "d", "r", "l", "v", "x", "ſ", "re's", "LL", "Ve", "S", "D'"]
COMPOSED = ["Å", "Ω", "é", "ạ̈", "각", "가", "ᄀ", "ᅡ", "ᆨ", "ﬁ", "豈", "ê", "ế", "क़", "ड़", "ः", "e", "a", "n", "o"]


def added(content, special=False, **changes):
    return {"content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
            "special": special} | changes


END = added("<|endoftext|>", True)
CHAT = [added("<|im_start|>", True), added("<|im_end|>", True)]
THINK = [added(content) for content in ["<tool_call>", "</tool_call>", "<think>", "</think>"]]
BYTE_LEVEL = dict(add_prefix_space=False, use_regex=False)
MISSING = [*range(0x00, 0x09), *range(0x0e, 0x20), 0xc0, 0xc1, *range(0xf5, 0x100)]


def split(pattern, behavior="isolated", invert=False):
    return Sequence([Split(tokenizers.Regex(pattern), behavior, invert), ByteLevel(**BYTE_LEVEL)])


# Name: pre-tokenizers, normaliser, added tokens, bytes without a token, share of the merges that are kept.
FORMS = {
    "gpt2": (ByteLevel(add_prefix_space=False), None, [END, added(" " * 8, normalized=True), added("    ", normalized=True),
             added("  ", normalized=True), added("\t\t", normalized=True)], [], 1),
    "cl100k": (split(CL100K, "removed", True), None, [END, added("<|fim_prefix|>", True)], [], 1),
    "o200k": (split(O200K), None, [END, added("<|endofprompt|>", True)], [], 1),
    "llama3": (split(CL100K), None, [added(f"<|{name}|>", True) for name in
               ["begin_of_text", "end_of_text", "start_header_id", "end_header_id", "eot_id"]], [], 0.8),
    "qwen2": (split(QWEN2), normalizers.NFC(), [END, *CHAT], [], 1),
    "qwen3": (split(QWEN2), normalizers.NFC(), [END, *CHAT, *THINK], [], 1),
    "qwen35": (split(QWEN35), normalizers.NFC(), [END, *CHAT, *THINK], [], 1),
    "smollm": (Sequence([Digits(individual_digits=True), ByteLevel(add_prefix_space=False)]), None,
               [END, *CHAT, added("<repo_name>", True)], MISSING, 1),
    "flags": (ByteLevel(add_prefix_space=False), normalizers.NFC(), [
        END, added("<left>", lstrip=True), added("<right>", rstrip=True), added("<both>", lstrip=True, rstrip=True),
        added("word", single_word=True), added("<|endof"), added("der", normalized=True, single_word=True, lstrip=True),
        added("ế", normalized=True), added("e\u0302\u0301x"), added("    ", normalized=True), added("text|>x")], [], 1),
}


def symbols():
    """GPT-2's visible character of each byte."""
    printable = [*range(0x21, 0x7f), *range(0xa1, 0xad), *range(0xae, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + i) for i, byte in enumerate(others)}


def tokenizer(name, numbers):
    """The tokenizer.json of a form."""
    division, normalizer, tokens, missing, share = FORMS[name]
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = division
    if normalizer:
        trained.normalizer = normalizer
    alphabet = [symbol for byte, symbol in symbols().items() if byte not in missing]
    trained.train_from_iterator(
        SENTENCES, trainers.BpeTrainer(vocab_size=560, initial_alphabet=alphabet, show_progress=False))
    root = json.loads(trained.to_str())
    model = root["model"]
    model["merges"] = [merge for merge in model["merges"] if numbers.random() < share]
    model["ignore_merges"] = share < 1
    ids = dict(model["vocab"])
    for token in tokens:
        ids.setdefault(token["content"], len(ids))
    root["added_tokens"] = [{"id": ids[token["content"]]} | token for token in tokens]
    root["decoder"] = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    root["post_processor"] = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True}
    return root


def part(numbers, tokens):
    """A short random text."""
    kind = numbers.randrange(16)
    choose = lambda items, most: "".join(numbers.choices(items, k=numbers.randint(1, most)))
    if kind < 4:
        word = numbers.choice(numbers.choice(SENTENCES).split(" ") or ["a"])
        return numbers.choice([str, str.upper, str.title, str.swapcase])(word)
    if kind == 4:
        return numbers.choice(["'", "'", "’", " '"]) + numbers.choice(CONTRACTIONS)
    if kind == 5:
        return choose(LETTERS, 4)
    if kind == 6:
        return numbers.choice(["a", "E", "я", "क", "1", " ", "!"]) + choose(MARKS, 3)
    if kind == 7:
        return choose(NUMBERS, 3) if numbers.random() < 0.4 else choose("0123456789", 7)
    if kind == 8:
        return choose(SPACES, 5)
    if kind == 9:
        return " " * numbers.randint(1, 9)
    if kind == 10:
        return choose("!\"#$%&'()*+,-./:;<=>?@[]^_`{|}~", 4)
    if kind == 11:
        return choose(SYMBOLS, 3)
    if kind == 12:
        return choose(EMOJI, 2)
    if kind == 13:
        return choose(COMPOSED, 4) if numbers.random() < 0.7 else unicodedata.normalize(
            "NFD", numbers.choice(SENTENCES[3:5] + SENTENCES[9:11])[:9])
    if kind == 14:
        return chr(numbers.choice([*range(0x20), 0x7f, 0x80, 0x9f, 0xfffd, 0xfeff, 0xe000, 0x10ffff])) + choose(FORMATS, 1)
    token = numbers.choice(tokens)["content"]
    return token[: numbers.randint(1, len(token))] if numbers.random() < 0.2 else token


def text(numbers, tokens):
    return "".join(
        part(numbers, tokens) + numbers.choice(["", "", " ", " ", "  "]) for _ in range(numbers.randint(1, 7)))


CONVERSATIONS = [
    [("user", "Hi")],
    [("system", "You are a helpful AI assistant for travel tips and recommendations"),
     ("user", "What can you help me with?")],
    [("user", "What is 2+2?\n"), ("assistant", "<think>\n4\n</think>\n\n4"), ("user", "  Größer: 3x?  ")],
    [("system", ""), ("user", "\n\nTiếng Việt\r\n"), ("assistant", " "), ("tool", "{\"a\": 1}"), ("user", "    4 spaces")],
]


def chatml(messages):
    """As the published template: see the model card of Qwen2.5."""
    return "".join(f"<|im_start|>{role}\n{content}<|im_end|>\n" for role, content in messages) + (
        "<|im_start|>assistant\n")


def llama3(messages):
    """As Meta's page on the prompt format of Llama 3 describes it."""
    return "<|begin_of_text|>" + "".join(
        f"<|start_header_id|>{role}<|end_header_id|>\n\n{content.strip()}<|eot_id|>" for role, content in messages) + (
        "<|start_header_id|>assistant<|end_header_id|>\n\n")


def chats(folder):
    """Conversations with the ids of their text, in which special tokens are tokens."""
    cases = []
    for name, form in [("qwen3", chatml), ("smollm", chatml), ("llama3", llama3)]:
        reference = Tokenizer.from_file(str(folder / f"{name}.json"))
        for messages in CONVERSATIONS:
            text = form(messages)
            cases.append({
                "form": form.__name__, "tokenizer": name, "text": text,
                "messages": [{"role": role, "content": content} for role, content in messages],
                "ids": reference.encode(text, add_special_tokens=False).ids})
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    (folder / "chats.json").write_text(f"[\n{lines}\n]\n")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--count", type=int, default=500)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--output", type=Path, default=Path(__file__).parent.parent / "Fixtures" / "tokenizers")
    options.add_argument("forms", nargs="*", default=[])
    chosen = options.parse_args()
    for name in chosen.forms or FORMS:
        if name not in FORMS:
            sys.exit(f"cases.py: '{name}' is not a form; give some of {', '.join(FORMS)}")
        root = tokenizer(name, random.Random(0))
        reference = Tokenizer.from_str(json.dumps(root))
        for token in root["added_tokens"]:
            if reference.token_to_id(token["content"]) != token["id"]:
                sys.exit(f"cases.py: the library gives '{token['content']}' another id")
        reference.encode_special_tokens = True
        numbers = random.Random(f"{chosen.seed} {name}")
        texts = {}
        while len(texts) < chosen.count:
            texts[text(numbers, root["added_tokens"])] = None
        lines = [json.dumps([text, reference.encode(text, add_special_tokens=False).ids], separators=(",", ":"))
                 for text in texts]
        (chosen.output / f"{name}.json").write_text(json.dumps(root, separators=(",", ":")) + "\n")
        (chosen.output / f"{name}.cases.json").write_text(
            f'{{"library":"tokenizers {tokenizers.__version__}","cases":[\n' + ",\n".join(lines) + "\n]}\n")
    if not chosen.forms:
        chats(chosen.output)


main()
