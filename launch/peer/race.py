"""Times training steps and decoding of the peer model; prints one JSON object.

    race.py --config FILE train|decode --precision fp32|bf16 [--tokens N …]

Run it with jemalloc preloaded. Training: AdamW (fused), clipping, the policy loss on log-probabilities with entropy, value,
balance and diffusion losses, on made-up tokens. Decoding: key-value cache, latents by diffusion, multinomial sampling; the
prompt's prefill is not counted.
"""

import argparse
import json
import resource
import statistics
import time

import torch
import torch.nn.functional as F
import yaml

from model import Quillan, rms_norm

DEFAULTS = dict(
    vocab_size=50257, dim=512, num_layers=6, num_heads=8, num_mini_moes=32, mini_moe_top_k=2, num_experts_per_mini=8,
    expert_top_k=2, max_seq_len=2048, overseer_scale=0.1, latent_scale=0.2, micro_scale=0.1, num_micros_per_mini=325,
    micro_top_k=8, micro_agent_dim=16, diffusion_blocks=3, diffusion_steps=10, diffusion_inference_steps=5,
    latent_horizon=8, latent_discount=0.8, rope_base=10000,
)


def sizes(path):
    with open(path) as file:
        given = yaml.safe_load(file).get("model", {})
    s = {**DEFAULTS, **given}
    s.setdefault("expert_dim", 2 * s["dim"])
    s.setdefault("overseer_dim", 4 * s["dim"])
    s.setdefault("diffusion_dim", 4 * s["dim"])
    s["rope_base"] = float(s["rope_base"])
    return s


def train(model, options):
    s = model.s
    length = options.sequence_length
    batch = options.tokens // length
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=1e-5, weight_decay=0.01, fused=True)
    tokens = torch.randint(0, s["vocab_size"], (batch, length))
    bits = torch.randint(0, 2, (batch, length, s["dim"])).float()
    advantages = (torch.arange(batch) % 2).float()[:, None]
    half = options.precision == "bf16"
    seconds = []
    for step in range(options.steps + 1):
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            model.cast_experts(torch.bfloat16 if half else torch.float32)
            x, c = model.overseer(tokens)
            aux = []
            h = model.trunk(x, c, bits, aux=aux)
            rows = h[:, 7:-1].reshape(-1, s["dim"])
            logits = F.linear(rows, model.p["embedding"])
            logp = torch.log_softmax(logits.float(), -1)
            chosen = logp.gather(1, tokens[:, 8:].reshape(-1, 1)).view(batch, -1)
            entropy = -(logp.exp() * logp).sum(-1).mean()
            ratio = torch.exp(chosen - chosen.detach())
            policy = torch.minimum(ratio * advantages, ratio.clamp(0.8, 1.2) * advantages).mean()
            value = rows.detach() @ model.p["value_head"] + model.p["value_bias"]
            value_loss = 0.5 * (value.view(batch, -1).float() - advantages).square().mean()
            loss = -policy - 0.01 * entropy + 0.5 * value_loss + 0.01 * sum(aux) / len(aux)
            loss = loss + 0.1 * model.diffusion_loss(x, tokens)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        if step:
            seconds.append(time.perf_counter() - start)
    return [dict(operation="training step", seconds=statistics.median(seconds), work=batch * length)]


@torch.inference_mode()
def decode(model, options):
    s = model.s
    kind = torch.bfloat16 if options.precision == "bf16" else torch.float32
    model.to(kind)
    model.cast_experts(kind)
    times = model.times()
    head = s["dim"] // s["num_heads"]
    results = []
    for batch in options.batch:
        length = options.prompt_length + options.tokens + 1
        cache = [torch.zeros(2, batch, s["num_heads"], length, head, dtype=kind) for _ in range(s["num_layers"])]
        seconds = []
        for _ in range(options.rounds):
            tokens = torch.randint(0, s["vocab_size"], (1, options.prompt_length)).expand(batch, -1)
            start = 0
            for step in range(options.tokens + 1):
                if step == 1:
                    clock = time.perf_counter()
                x, c = model.overseer(tokens)
                bits = model.sample_latents(x, times)
                h = model.trunk(x, c, bits, start=start, cache=cache)
                start += tokens.shape[1]
                chance = torch.softmax(F.linear(h[:, -1], model.p["embedding"]).float(), -1)
                tokens = torch.multinomial(chance, 1)
            seconds.append(time.perf_counter() - clock)
        results.append(
            dict(operation=f"decode, batch {batch}", seconds=statistics.median(seconds), work=batch * options.tokens))
    return results


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", required=True)
    parser.add_argument("what", choices=["train", "decode"])
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="bf16")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--tokens", type=int, default=0)
    parser.add_argument("--sequence-length", type=int, default=128)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--batch", type=int, action="append")
    parser.add_argument("--prompt-length", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    options.batch = options.batch or [1, 4, 16]
    options.tokens = options.tokens or (2048 if options.what == "train" else 32)
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    model = Quillan(sizes(options.config))
    count = sum(p.numel() for p in model.parameters())
    rows = (train if options.what == "train" else decode)(model, options)
    for row in rows:
        row.update(unit="tokens", rate=row["work"] / row["seconds"])
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps(dict(rows=rows, peak_bytes=peak, parameters=count, torch=torch.__version__)))


if __name__ == "__main__":
    main()
