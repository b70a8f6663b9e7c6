/// A section of the YAML file: its keys in the order of reading and writing.
package struct ConfigurationSection: Sendable {
  package let name: String
  let documentation: String
  package let fields: [ConfigurationField<RunConfiguration>]

  package static let all = [
    model, precision, rl, pretrain, optimizer, parallel, data, evaluation, checkpoint, logging, debug,
  ]

  package static let model = ConfigurationSection(
    name: "model", documentation: "Sizes of the model.",
    fields: [
      .whole("vocab_size", \.model.vocabSize, "rows of the embedding table, which is also the output head"),
      .whole("dim", \.model.dim, "width of the residual stream; also the number of latent bits"),
      .whole("num_layers", \.model.numLayers, "transformer layers"),
      .whole("num_heads", \.model.numHeads, "attention heads; must divide dim and leave an even head size"),
      .whole("num_mini_moes", \.model.numMiniMoes, "mini-MoEs of the council, which all layers share"),
      .whole("mini_moe_top_k", \.model.miniMoeTopK, "mini-MoEs that a token visits in a layer"),
      .whole("num_experts_per_mini", \.model.numExpertsPerMini, "experts of one mini-MoE"),
      .whole("expert_top_k", \.model.expertTopK, "experts that a token visits in one mini-MoE"),
      .whole("expert_dim", \.model.expertDim, "hidden width of an expert")
        .defaulting(to: "2 · dim") { $0.model.expertDim = 2 * $0.model.dim },
      .whole("max_seq_len", \.model.maxSeqLen, "maximum tokens of prompt and completion together"),
      .single("overseer_scale", \.model.overseerScale, .finite, "weight of the Overseer's output"),
      .single("latent_scale", \.model.latentScale, .finite, "weight of the reasoning latents"),
      .single("micro_scale", \.model.microScale, .finite, "weight of the micro agents' output"),
      .whole("num_micros_per_mini", \.model.numMicrosPerMini, "micro agents of one mini-MoE"),
      .whole("micro_top_k", \.model.microTopK, "micro agents that a token visits in one mini-MoE"),
      .whole("micro_agent_dim", \.model.microAgentDim, "hidden width of a micro agent"),
      .whole("overseer_dim", \.model.overseerDim, "hidden width of the Overseer")
        .defaulting(to: "4 · dim") { $0.model.overseerDim = 4 * $0.model.dim },
      .whole("diffusion_dim", \.model.diffusionDim, "hidden width of the denoiser")
        .defaulting(to: "4 · dim") { $0.model.diffusionDim = 4 * $0.model.dim },
      .whole("diffusion_blocks", \.model.diffusionBlocks, "blocks of the denoiser"),
      .whole("diffusion_steps", \.model.diffusionSteps, "noise levels of the diffusion schedule"),
      .whole(
        "diffusion_inference_steps", \.model.diffusionInferenceSteps,
        "denoiser calls when latents are sampled; at most diffusion_steps"),
      .whole(
        "latent_horizon", \.model.latentHorizon, "number of future tokens that the latent of a position describes"),
      .real(
        "latent_discount", \.model.latentDiscount, .positiveFraction,
        "factor by which the weight of each further future token falls"),
      .real("rope_base", \.model.ropeBase, .positive, "base of the rotary embedding"),
      .single("norm_eps", \.model.normEps, .positive, "added to the mean square in every RMSNorm"),
      .whole("int4_group", \.model.int4Group, "inputs that share one int4 scale; must divide longer rows"),
      .flag("use_bitnet", \.precision.useBitnet, "false makes every ternary component fp32"),
      .flag(
        "use_bit_diffusion", \.model.useBitDiffusion, "false removes the reasoning latents, the denoiser and its loss"),
    ])

  package static let precision = ConfigurationSection(
    name: "precision",
    documentation: "Number format of the linear layers of each component, and the order of bfloat16 sums.",
    fields: [
      .choice("overseer", \.precision.overseer, "the Overseer's matrices"),
      .choice("attention", \.precision.attention, "attention's matrices"),
      .choice("diffusion", \.precision.diffusion, "the denoiser's matrices"),
      .choice("experts", \.precision.experts, "the experts' matrices"),
      .choice("agents", \.precision.agents, "the micro agents' matrices"),
      .choice("head", \.precision.head, "the embedding table, also the output head"),
      .choice(
        "bf16_sums", \.precision.bf16Sums,
        "order of the sums of bfloat16 products; auto: tiles if all ranks have AMX, else pairs; kept on resume"),
    ])
}
