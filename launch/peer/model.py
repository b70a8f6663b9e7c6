"""The Quillan model as a skilled PyTorch user would write it: floating-point weights, no quantisation.

Sizes and names are those of the `model` section of a Quillan configuration. Experts see their tokens sorted and grouped;
micro agents go through one batched product over all of them (training) or through gathered weights (few tokens). Attention is
PyTorch's own, with a preallocated key-value cache in decoding. Latents come from the reasoning diffusion.
"""

import math

import torch
import torch.nn.functional as F


def rms_norm(x, weight=None, eps=1e-6):
    return F.rms_norm(x, (x.shape[-1],), weight, eps)


class Quillan(torch.nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.s = s = sizes
        d, layers = s["dim"], s["num_layers"]
        o, big = s["overseer_dim"], s["diffusion_dim"]
        m, e, width = s["num_mini_moes"], s["num_experts_per_mini"], s["expert_dim"]
        a, small = s["num_micros_per_mini"], s["micro_agent_dim"]
        self.p = torch.nn.ParameterDict()

        def add(name, *shape, std=0.02, fill=None):
            value = torch.empty(*shape)
            value.normal_(0, std) if fill is None else value.fill_(fill)
            self.p[name] = torch.nn.Parameter(value)

        residual = 0.02 / math.sqrt(2 * layers)
        add("embedding", s["vocab_size"], d)
        add("overseer_norm", d, fill=1)
        add("overseer_up", o, d)
        add("overseer_up_bias", o, fill=0)
        add("overseer_down", d, o, std=residual)
        add("overseer_down_bias", d, fill=0)
        add("latent_in", d, d)
        add("context_norm", d, fill=1)
        add("time_up", big, d)
        add("time_up_bias", big, fill=0)
        add("time_down", d, big)
        add("time_down_bias", d, fill=0)
        for i in range(s["diffusion_blocks"]):
            add(f"block{i}_norm", d, fill=1)
            for part, rows, columns, std in (
                ("up", big, d, 0.02),
                ("mid", big, big, 0.02),
                ("down", d, big, residual),
            ):
                add(f"block{i}_{part}", rows, columns, std=std)
                add(f"block{i}_{part}_bias", rows, fill=0)
        add("out_norm", d, fill=1)
        add("diffusion_out", d, d)
        add("diffusion_out_bias", d, fill=0)
        add("latent_out", d, d, std=residual)
        for i in range(layers):
            add(f"layer{i}_attention_norm", d, fill=1)
            add(f"layer{i}_qkv", 3 * d, d)
            add(f"layer{i}_out", d, d, std=residual)
            add(f"layer{i}_moe_norm", d, fill=1)
            add(f"layer{i}_router", m, d)
        add("mini_router", m, e, d)
        add("expert_up", m * e, width, d)
        add("expert_up_bias", m * e, width, fill=0)
        add("expert_down", m * e, d, width, std=residual)
        add("expert_down_bias", m * e, d, fill=0)
        add("micro_router", m, a, d)
        add("agent_norm", m * a, d, fill=1)
        add("agent_up", m * a, small, d)
        add("agent_up_bias", m * a, small, fill=0)
        add("agent_down", m * a, d, small, std=residual)
        add("agent_down_bias", m * a, d, fill=0)
        add("final_norm", d, fill=1)
        add("value_head", d)
        add("value_bias", 1, fill=0)

        half = s["dim"] // s["num_heads"] // 2
        positions = torch.arange(s["max_seq_len"])[:, None]
        angles = positions * s["rope_base"] ** (-torch.arange(half) / half)
        self.register_buffer("cosine", torch.cos(angles), persistent=False)
        self.register_buffer("sine", torch.sin(angles), persistent=False)
        steps = s["diffusion_steps"]
        f = [math.cos((n / steps + 0.008) / 1.008 * math.pi / 2) ** 2 for n in range(steps + 1)]
        alpha = [1.0]
        for n in range(1, steps + 1):
            alpha.append(alpha[-1] * (1 - min(max(1 - f[n] / f[n - 1], 1e-4), 0.9999)))
        self.alpha = alpha
        omega = 10000 ** (-torch.arange(d // 2) / (d // 2 - 1))
        wave = torch.arange(steps + 1)[:, None] * omega
        self.register_buffer("waves", torch.cat([torch.sin(wave), torch.cos(wave)], 1), persistent=False)

    # Diffusion ---------------------------------------------------------------------------------------------------

    def overseer(self, tokens):
        p = self.p
        x = F.embedding(tokens, p["embedding"])
        h = F.gelu(F.linear(rms_norm(x, p["overseer_norm"]), p["overseer_up"], p["overseer_up_bias"]))
        c = F.linear(h, p["overseer_down"], p["overseer_down_bias"])
        return x + self.s["overseer_scale"] * c, c

    def times(self):
        p = self.p
        h = F.gelu(F.linear(self.waves.to(p["time_up"].dtype), p["time_up"], p["time_up_bias"]))
        return F.linear(h, p["time_down"], p["time_down_bias"])

    def denoise(self, bits, context, time):
        p = self.p
        h = F.linear(2 * bits - 1, p["latent_in"]) + context + time
        for i in range(self.s["diffusion_blocks"]):
            g = rms_norm(h, p[f"block{i}_norm"])
            for part in ("up", "mid"):
                g = F.gelu(F.linear(g, p[f"block{i}_{part}"], p[f"block{i}_{part}_bias"]))
            h = h + F.linear(g, p[f"block{i}_down"], p[f"block{i}_down_bias"])
        return F.linear(rms_norm(h, p["out_norm"]), p["diffusion_out"], p["diffusion_out_bias"])

    @torch.no_grad()
    def sample_latents(self, x, times):
        s = self.s
        count, visits = s["diffusion_steps"], s["diffusion_inference_steps"]
        context = rms_norm(x, self.p["context_norm"])
        z = torch.randint(0, 2, x.shape).to(x.dtype)
        order = [count - int(k * count / visits + 0.5) for k in range(visits)] + [0]
        for n, after in zip(order, order[1:]):
            chance = torch.sigmoid(self.denoise(z, context, times[n]))
            if after == 0:
                return (chance > 0.5).to(x.dtype)
            a, b = self.alpha[n] / self.alpha[after], self.alpha[after]
            sign = 2 * z - 1
            one, zero = (1 + a * sign) / 2, (1 - a * sign) / 2
            q1, q0 = (1 + b) / 2, (1 - b) / 2
            up = chance * one * q1 / (one * q1 + zero * (1 - q1))
            up = up + (1 - chance) * one * q0 / (one * q0 + zero * (1 - q0))
            z = (torch.rand_like(up) < up).to(x.dtype)

    # Council -----------------------------------------------------------------------------------------------------

    @staticmethod
    def choose(logits, k):
        p = torch.softmax(logits.float(), -1)
        top, index = p.topk(k, -1)
        return p, top / top.sum(-1, keepdim=True), index

    def balance(self, p, index, n):
        share = torch.bincount(index.reshape(-1), minlength=n).to(p.dtype) / index.numel()
        return n * (share * p.mean(0)).sum()

    def grouped_linear(self, x, experts, sizes):
        """Rows x, sorted by expert, through the experts: sizes[i] rows for experts[i].

        split, not slices: the backward of a slice fills the whole of x with zeros.
        """
        out = []
        for expert, rows in zip(experts, x.split(sizes)):
            h = F.linear(rows, self.up[expert], self.up_bias[expert])
            out.append(F.linear(F.gelu(h), self.down[expert], self.down_bias[expert]))
        return torch.cat(out)

    @staticmethod
    def by_mini(x, routers, counts):
        """Rows x, sorted by mini-MoE, through that mini-MoE's router."""
        pairs = zip(routers, x.split(counts))
        return torch.cat([F.linear(rows, router) for router, rows in pairs if len(rows)])

    def council(self, u, gates, minis, aux):
        """u [T, d]; gates and minis [T, k]."""
        s, p = self.s, self.p
        tokens, k = minis.shape
        e, a = s["num_experts_per_mini"], s["num_micros_per_mini"]
        slot = minis.reshape(-1)
        slot, by_mini = slot.sort()
        counts = torch.bincount(slot, minlength=s["num_mini_moes"]).tolist()
        row = by_mini // k
        x = u[row]
        probabilities, gate, chosen = self.choose(self.by_mini(x, self.mini_routers, counts), s["expert_top_k"])
        if aux is not None:
            aux.append(self.balance(probabilities, chosen, e))
        expert = (slot[:, None] * e + chosen).reshape(-1)
        expert, order = expert.sort()
        used, sizes = torch.unique_consecutive(expert, return_counts=True)
        place = order // s["expert_top_k"]
        y = self.grouped_linear(x[place], used.tolist(), sizes.tolist()) * gate.reshape(-1)[order, None].to(x.dtype)
        out = torch.zeros_like(x).index_add(0, place, y.to(x.dtype))

        hat = rms_norm(out)
        probabilities, gate, chosen = self.choose(self.by_mini(hat, self.micro_routers, counts), s["micro_top_k"])
        if aux is not None:
            aux.append(self.balance(probabilities, chosen, a))
        agent = (slot[:, None] * a + chosen).reshape(-1)
        place = torch.arange(len(slot)).repeat_interleave(s["micro_top_k"])
        weight = gate.reshape(-1)
        if len(agent) > 1024:
            agent, order = agent.sort()
            place, weight = place[order], weight[order]
            z = self.agents_padded(hat[place], agent)
        else:
            z = self.agents_gathered(hat[place], agent)
        z = torch.zeros_like(out).index_add(0, place, (z * weight[:, None].to(z.dtype)).to(out.dtype))
        value = out + s["micro_scale"] * z
        gate = gates.reshape(-1)[by_mini, None].to(value.dtype)
        return torch.zeros_like(u).index_add(0, row, value * gate)

    def agents_padded(self, x, agent):
        """Rows x, sorted by agent, through one batched product over all agents, each with as many rows as the busiest.

        Of 2,048 tokens and 10,400 agents nearly all are used, by three rows on average: no weights are gathered.
        """
        p = self.p
        counts = torch.bincount(agent, minlength=len(p["agent_norm"]))
        within = torch.arange(len(agent)) - (counts.cumsum(0) - counts)[agent]
        x = x * F.embedding(agent, p["agent_norm"]).to(x.dtype)
        padded = x.new_zeros(len(counts), int(counts.max()), x.shape[1]).index_put((agent, within), x)
        bias = p["agent_up_bias"][:, None].to(x.dtype)
        h = F.gelu(torch.baddbmm(bias, padded, self.agent_up.transpose(1, 2)))
        y = torch.baddbmm(p["agent_down_bias"][:, None].to(x.dtype), h, self.agent_down.transpose(1, 2))
        return y[agent, within]

    def agents_gathered(self, x, agent):
        p = self.p
        x = (x * p["agent_norm"][agent])[:, :, None]
        h = F.gelu(torch.bmm(self.agent_up[agent], x) + p["agent_up_bias"][agent][:, :, None].to(x.dtype))
        return (torch.bmm(self.agent_down[agent], h)[:, :, 0] + p["agent_down_bias"][agent].to(x.dtype))

    def cast_experts(self, dtype):
        """The expert stacks in the products' type, once a pass: layers share them.

        Experts are unbound, so that backward gathers their gradients once instead of a whole stack for each.
        """
        p = self.p
        self.up, self.down = p["expert_up"].to(dtype).unbind(0), p["expert_down"].to(dtype).unbind(0)
        self.up_bias, self.down_bias = p["expert_up_bias"].to(dtype).unbind(0), p["expert_down_bias"].to(dtype).unbind(0)
        self.mini_routers, self.micro_routers = p["mini_router"].to(dtype).unbind(0), p["micro_router"].to(dtype).unbind(0)
        self.agent_up, self.agent_down = p["agent_up"].to(dtype), p["agent_down"].to(dtype)

    # Trunk -------------------------------------------------------------------------------------------------------

    def rotate(self, x, cosine, sine):
        a, b = x.chunk(2, -1)
        return torch.cat([a * cosine - b * sine, b * cosine + a * sine], -1)

    def trunk(self, x, c, bits, start=0, cache=None, aux=None):
        """x, c, bits [B, T, d]; positions from `start`; cache [layer][2, B, H, length, head_dim]."""
        s, p = self.s, self.p
        batch, length, d = x.shape
        heads = s["num_heads"]
        x = x + s["latent_scale"] * F.linear(2 * bits - 1, p["latent_out"])
        cosine = self.cosine[start : start + length].to(x.dtype)
        sine = self.sine[start : start + length].to(x.dtype)
        for i in range(s["num_layers"]):
            qkv = F.linear(rms_norm(x, p[f"layer{i}_attention_norm"]), p[f"layer{i}_qkv"])
            q, k, v = qkv.view(batch, length, 3, heads, -1).permute(2, 0, 3, 1, 4)
            q, k = self.rotate(q, cosine, sine), self.rotate(k, cosine, sine)
            k, v = k.to(q.dtype), v.to(q.dtype)
            if cache is not None:
                cache[i][0, :, :, start : start + length] = k
                cache[i][1, :, :, start : start + length] = v
                k, v = cache[i][:, :, :, : start + length]
            y = F.scaled_dot_product_attention(q, k, v, is_causal=length > 1)
            x = x + F.linear(y.transpose(1, 2).reshape(batch, length, d), p[f"layer{i}_out"])
            u = rms_norm(x, p[f"layer{i}_moe_norm"])
            logits = F.linear((u + c).reshape(-1, d), p[f"layer{i}_router"])
            probabilities, gates, minis = self.choose(logits, s["mini_moe_top_k"])
            if aux is not None:
                aux.append(self.balance(probabilities, minis, s["num_mini_moes"]))
            x = x + self.council(u.reshape(-1, d), gates, minis, aux).view_as(x)
        return rms_norm(x, p["final_norm"])

    # Diffusion loss ----------------------------------------------------------------------------------------------

    def diffusion_loss(self, x, tokens):
        s = self.s
        with torch.no_grad():
            rows = F.embedding(tokens, self.p["embedding"])
            target = torch.zeros_like(rows)
            for j in range(1, s["latent_horizon"] + 1):
                if j < rows.shape[1]:
                    target[:, :-j] += s["latent_discount"] ** (j - 1) * rows[:, j:]
            target = (target > 0).to(x.dtype)
            n = torch.randint(1, s["diffusion_steps"] + 1, tokens.shape)
            flip = (1 - torch.tensor(self.alpha)[n])[..., None] / 2
            noisy = torch.where(torch.rand(target.shape) < flip, 1 - target, target)
        logits = self.denoise(noisy, rms_norm(x, self.p["context_norm"]), self.times()[n])
        return F.binary_cross_entropy_with_logits(logits[:, :-1].float(), target[:, :-1].float())
