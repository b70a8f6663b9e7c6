"""Times decoding of an ONNX export in onnxruntime beside the program's own, in alternating runs.

    python Tests/ONNX/speed.py MODEL EXPORT [--tokens N] [--rounds N] [--threads N]

MODEL is what `quillan generate` takes, EXPORT what `quillan export onnx` wrote from it. Both draw N tokens greedily after
the same prompt of token ids, at batch 1, each in a process of its own; latents are sampled by either side. Prints tokens a
second from the second token on, seconds to the first token from the start of the process, and peak resident memory, each the
median of the rounds. Needs Python packages numpy and onnxruntime, and a built program.
"""
import argparse, json, os, pathlib, resource, statistics, subprocess, sys, time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROMPT = list(range(100, 132))


def run_onnx(folder, tokens, threads, started):
    import numpy as np, onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    sizes = json.loads((folder / "config.json").read_text())["model"]
    model = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
    diffusion = onnxruntime.InferenceSession(folder / "diffusion.onnx", options, providers=["CPUExecutionProvider"])
    names = [o.name for o in model.get_outputs()]
    heads, d, steps = sizes["num_heads"], sizes["dim"], sizes["diffusion_inference_steps"]
    past = {f"past_key_values.{l}.{k}": np.zeros((1, heads, 0, d // heads), np.float32)
            for l in range(sizes["num_layers"]) for k in ("key", "value")}
    rng = np.random.default_rng(0)
    ids = np.array([PROMPT], np.int64)
    times = []
    for _ in range(tokens):
        feed = {"input_ids": ids, "noise": rng.integers(0, 2, (1, ids.shape[1], d), np.uint8)}
        if steps > 1:
            feed["uniforms"] = rng.random((steps - 1, 1, ids.shape[1], d), np.float32)
        latents = diffusion.run(["latents"], feed)[0]
        out = dict(zip(names, model.run(None, {"input_ids": ids, "latents": latents, **past})))
        past = {name: out[name.replace("past_key_values", "present")] for name in past}
        ids = np.array([[int(out["logits"][0, -1].argmax())]])
        times.append(time.time())
    return report(times, started)


def run_native(program, model, tokens, threads, started):
    child = subprocess.Popen(
        [program, "generate", model, " ".join(map(str, PROMPT)), "--token-ids", "--temperature", "0", "--max-tokens",
         str(tokens), "--threads", str(threads)], stdout=subprocess.PIPE)
    times = []
    # Text is streamed: a token at a time.
    while True:
        part = os.read(child.stdout.fileno(), 1 << 16)
        if not part:
            break
        times += [time.time()] * len(part.split())
    if child.wait() != 0:
        sys.exit(child.returncode)
    return report(times, started, resource.RUSAGE_CHILDREN)


def report(times, started, who=resource.RUSAGE_SELF):
    rate = (len(times) - 1) / (times[-1] - times[0])
    return {"rate": rate, "first": times[0] - started, "peak": resource.getrusage(who).ru_maxrss / 1024}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("export", type=pathlib.Path)
    parser.add_argument("--program", default=str(ROOT / ".build/release/quillan"))
    parser.add_argument("--tokens", type=int, default=65)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", choices=["native", "onnxruntime"], help=argparse.SUPPRESS)
    parser.add_argument("--started", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only == "native":
        print(json.dumps(run_native(options.program, options.model, options.tokens, options.threads, options.started)))
        return
    if options.only == "onnxruntime":
        print(json.dumps(run_onnx(options.export, options.tokens, options.threads, options.started)))
        return
    results = {"native": [], "onnxruntime": []}
    for _ in range(options.rounds):
        for side, found in results.items():
            output = subprocess.run(
                [sys.executable, *sys.argv, "--only", side, "--started", str(time.time())], check=True,
                capture_output=True, text=True).stdout
            found.append(json.loads(output))
    print(f"{'':<14}{'tokens/s':>10}{'first token':>14}{'peak memory':>14}")
    for side, found in results.items():
        rate, first, peak = (statistics.median(r[key] for r in found) for key in ("rate", "first", "peak"))
        print(f"{side:<14}{rate:>10.1f}{first:>12.2f} s{peak:>10.0f} MiB")


if __name__ == "__main__":
    main()
