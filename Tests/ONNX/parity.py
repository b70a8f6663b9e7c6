"""Holds exported ONNX graphs, run by onnxruntime, against this project's golden cases and its own generation.

Needs Python packages onnx, onnxruntime, numpy and safetensors, and a built program:
    swift build -c release && python Tests/ONNX/parity.py
For each golden case and each way of storing weights: onnx.checker, logits and values of every trajectory (whole, and in
two parts through past keys and values), the latents from the seed's own random numbers, and the greedy text of 20 prompts
fed with the native latents. The last line says whether all was within bounds.
"""
import argparse, json, pathlib, subprocess, sys, tempfile, time
import numpy as np, onnx, onnxruntime
from safetensors.numpy import load_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
failures = []


def hold(name, error, bound):
    print(f"  {name:<44} {error:9.2e}  bound {bound:.0e}  {'ok' if error <= bound else 'FAILED'}")
    if not error <= bound:
        failures.append(name)


def philox(seed, stream, step, sequence, position, count):
    """The first `count` words of a stream (Philox4x32-10; design: counter = block, position, sequence, stream and step)."""
    blocks = np.arange((count + 3) // 4, dtype=np.uint64)
    c = [blocks, np.full_like(blocks, position), np.full_like(blocks, sequence & 0xFFFFFFFF), np.full_like(blocks, stream << 24 | step)]
    k = [seed & 0xFFFFFFFF, (seed >> 32) ^ (sequence >> 32)]
    low = np.uint64(0xFFFFFFFF)
    for _ in range(10):
        p0, p1 = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [(p1 >> np.uint64(32)) ^ c[1] ^ np.uint64(k[0]), p1 & low, (p0 >> np.uint64(32)) ^ c[3] ^ np.uint64(k[1]), p0 & low]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return np.stack(c, 1).reshape(-1)[:count].astype(np.uint32)


class Network:
    """The two graphs of an export."""

    def __init__(self, folder):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 2
        self.sizes = json.loads((folder / "config.json").read_text())["model"]
        self.model = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
        diffusion = folder / "diffusion.onnx"
        self.diffusion = onnxruntime.InferenceSession(diffusion, options) if diffusion.exists() else None
        self.outputs = [o.name for o in self.model.get_outputs()]

    def empty_past(self):
        heads, size = self.sizes["num_heads"], self.sizes["dim"] // self.sizes["num_heads"]
        return {f"past_key_values.{l}.{k}": np.zeros((1, heads, 0, size), np.float32)
                for l in range(self.sizes["num_layers"]) for k in ("key", "value")}

    def run(self, tokens, bits, past):
        out = dict(zip(self.outputs, self.model.run(None, {"input_ids": tokens, "latents": bits, **past})))
        return out, {name: out[name.replace("past_key_values", "present")] for name in past}

    def sample(self, tokens, seed, ids):
        """Latents of one sequence whose position t has the sequence id ids[t]; and the probabilities compared with."""
        d, steps = self.sizes["dim"], self.sizes["diffusion_inference_steps"]
        words = np.stack([philox(seed, 2, 0, i, t, (d + 31) // 32) for t, i in enumerate(ids)])
        noise = np.unpackbits(words.view(np.uint8), axis=1, bitorder="little")[:, :d]
        uniforms = np.stack([[(philox(seed, 3, k, i, t, d) >> 8) * np.float32(2**-24) for t, i in enumerate(ids)]
                             for k in range(steps - 1)]).astype(np.float32)
        feed = {"input_ids": tokens, "noise": noise[None]}
        if steps > 1:
            feed["uniforms"] = uniforms[:, None]
        latents, probabilities = self.diffusion.run(None, feed)
        thresholds = np.concatenate([uniforms, np.full((1, *uniforms.shape[1:]), 0.5, np.float32)])
        return latents[0], np.abs(probabilities[:, 0] - thresholds).min(0)


def golden(program, name, kind, folder):
    case = ROOT / f"Tests/Fixtures/golden/{name}"
    weights, configuration = f"{case}.weights.safetensors", f"{case}.json"
    subprocess.run([program, "export", "onnx", weights, "--config", configuration, "--type", kind, "-o", folder],
                   check=True, stdout=subprocess.DEVNULL)
    for file in sorted(folder.glob("*.onnx")):
        onnx.checker.check_model(str(file), full_check=True)
    network, expected = Network(folder), load_file(f"{case}.expected.safetensors")
    description = json.loads(pathlib.Path(configuration).read_text())
    bound = 1e-4 if name == "fp32" else 1e-2
    near = 1e-5 if name == "fp32" else 1e-3
    logits = values = parts = 0.0
    wrong = near_bits = 0
    for index in range(len(description["rewards"])):
        of = lambda key: expected[f"trajectory.{index}.{key}"]
        tokens = of("tokens").astype(np.int64)[None]
        bits = np.unpackbits(of("latents"), axis=1, bitorder="little")[None, :, :network.sizes["dim"]]
        whole, _ = network.run(tokens, bits, network.empty_past())
        logits = max(logits, np.abs(whole["logits"][0] - of("logits")).max())
        values = max(values, np.abs(whole["value"][0] - of("value")).max())
        half = tokens.shape[1] // 2
        first, past = network.run(tokens[:, :half], bits[:, :half], network.empty_past())
        second, _ = network.run(tokens[:, half:], bits[:, half:], past)
        parts = max(parts, np.abs(np.concatenate([first["logits"], second["logits"]], 1) - whole["logits"]).max())
        ids = [0 if t < description["prompt_length"] else index for t in range(tokens.shape[1])]
        sampled, margin = network.sample(tokens, description["seed"], ids)
        differs = sampled != bits[0]
        wrong += int((differs & (margin > near)).sum())
        near_bits += int(differs.sum())
    hold(f"{name} {kind}: logits", logits, bound)
    hold(f"{name} {kind}: value", values, bound)
    hold(f"{name} {kind}: in two parts", parts, bound)
    hold(f"{name} {kind}: latent bits wrong ({near_bits} near)", wrong, 0)
    text(program, network, [weights, "--config", configuration], f"{name} {kind}", 20, 64)


def text(program, network, source, label, prompts, length):
    """Greedy text of random prompts with native latents."""
    rng = np.random.default_rng(1)
    wrong = 0
    for _ in range(prompts):
        prompt = rng.integers(0, network.sizes["vocab_size"], 5)
        result = subprocess.run(
            [program, "generate", *source, " ".join(map(str, prompt)), "--token-ids", "--json", "--latents",
             "--temperature", "0", "--max-tokens", str(length)], check=True, capture_output=True, text=True)
        completion = json.loads(result.stdout)["completions"][0]
        d = network.sizes["dim"]
        packed = np.frombuffer(bytes.fromhex(completion["latents"]), np.uint8).reshape(-1, (d + 7) // 8)
        bits = np.unpackbits(packed, axis=1, bitorder="little")[None, :, :d]
        tokens, past, place, mine = prompt[None].astype(np.int64), network.empty_past(), 0, []
        while len(mine) < len(completion["tokens"]):
            out, past = network.run(tokens, bits[:, place:place + tokens.shape[1]], past)
            place += tokens.shape[1]
            mine.append(int(out["logits"][0, -1].argmax()))
            tokens = np.array([[mine[-1]]])
        wrong += mine != completion["tokens"]
    hold(f"{label}: greedy texts of {length} tokens that differ", wrong, 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=str(ROOT / ".build/release/quillan"))
    program = parser.parse_args().program
    for name, kind in [("fp32", "quantised"), ("quantised", "quantised"), ("quantised", "fp32")]:
        with tempfile.TemporaryDirectory() as folder:
            golden(program, name, kind, pathlib.Path(folder))
    print("all within bounds" if not failures else f"outside: {', '.join(failures)}")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
