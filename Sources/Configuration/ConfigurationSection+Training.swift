extension ConfigurationSection {
  static let rl = ConfigurationSection(
    name: "rl", documentation: "Reinforcement by GRPO/DAPO.",
    fields: [
      .real("learning_rate", \.rl.learningRate, .positive, "peak learning rate"),
      .whole("batch_size", \.rl.batchSize, "groups (prompts) per optimizer step, over all ranks"),
      .whole("num_trajectories", \.rl.numTrajectories, "trajectories of one group"),
      .whole("max_trajectory_len", \.rl.objective.maxTrajectoryLen, "generated tokens, at most"),
      .real(
        "clip_epsilon", \.rl.clipEpsilon, .nonNegative, "the importance ratio is clipped this far below and above 1"),
      .real("clip_epsilon_low", \.rl.objective.clipEpsilonLow, .fraction, "the lower side alone")
        .defaulting(to: "clip_epsilon") { _ in },
      .real("clip_epsilon_high", \.rl.objective.clipEpsilonHigh, .nonNegative, "the upper side alone (DAPO: 0.28)")
        .defaulting(to: "clip_epsilon") { _ in },
      .real("value_coef", \.rl.objective.valueCoef, .nonNegative, "weight of the value head's squared error"),
      .real("entropy_coef", \.rl.objective.entropyCoef, .finite, "weight of the entropy bonus"),
      .real("aux_loss_coef", \.rl.objective.auxLossCoef, .nonNegative, "weight of the routers' load-balance loss"),
      .real("diffusion_loss_coef", \.rl.objective.diffusionLossCoef, .nonNegative, "weight of the denoiser's loss"),
      .real("kl_coef", \.rl.objective.klCoef, .nonNegative, "weight of the KL to a frozen reference; 0 needs none"),
      .choice("kl_estimator", \.rl.objective.klEstimator, "estimator of that KL"),
      .real("max_grad_norm", \.rl.maxGradNorm, .positive, "the global gradient norm is clipped to this"),
      .whole("num_epochs", \.rl.numEpochs, "optimizer steps of the run"),
      .whole("warmup_steps", \.rl.warmupSteps, in: 0...largestConfigurationCount, "optimizer steps of linear warm-up"),
      .flag("use_mixed_precision", \.rl.useMixedPrecision, "gradient products read bf16 operands; false: fp32"),
      .whole(
        "accumulation_steps", \.rl.accumulationSteps,
        "parts of a step; one with more tokens than a micro-batch takes (2,048) is cut further"),
      .whole("old_policy_interval", \.rl.oldPolicyInterval, "optimizer steps between publications of the old policy"),
      .flag(
        "gradient_checkpointing", \.rl.gradientCheckpointing,
        "recompute activations in the backward pass, in micro-batches of up to 768 tokens: less memory"),
      .real("balance_rate", \.rl.balanceRate, .nonNegative, "step of the balance biases; 0 turns balancing off"),
      .choice("advantage", \.rl.objective.advantage, "how advantages follow from a group's rewards"),
      .choice("advantage_std", \.rl.objective.advantageStd, "what advantages divide by; sample is TRL's and verl's"),
      .real(
        "advantage_epsilon", \.rl.objective.advantageEpsilon, .nonNegative,
        "added to that deviation (TRL: 1e-4, verl: 1e-6)"),
      .choice("aggregation", \.rl.objective.aggregation, "how token terms are averaged"),
      .choice(
        "ratio", \.rl.objective.ratio, "importance ratio of each token, or of the sequence (GSPO; clips 3e-4 and 4e-4)"),
      .choice(
        "surrogate", \.rl.objective.surrogate,
        "clipped is PPO's; cispo bounds the ratio's weight and stops no gradient (MiniMax-M1)"),
      .real(
        "dual_clip", \.rl.objective.dualClip, .nonNegative,
        "bounds the ratio where the advantage is negative (Ye et al. and verl: 3.0); 0 is none"),
      .flag(
        "dynamic_sampling", \.rl.dynamicSampling, "draw further prompts for groups whose raw rewards are equal (DAPO)"),
      .whole(
        "max_resample_times", \.rl.maxResampleTimes, in: 0...largestConfigurationCount,
        "how often dynamic sampling draws again before it trains on what it has"),
      .whole("ppo_epochs", \.rl.ppoEpochs, "passes over the groups of one rollout"),
      .whole("mini_batches", \.rl.miniBatches, "optimizer steps of a pass; a rollout has batch_size groups for each"),
      .real("entropy_target", \.rl.entropyTarget, .nonNegative, "nats that entropy_coef is moved towards; 0 keeps it"),
      .real("entropy_delta", \.rl.entropyDelta, .nonNegative, "how far a step moves entropy_coef"),
      .real("entropy_coef_max", \.rl.entropyCoefMax, .nonNegative, "how far entropy_coef is moved, at most"),
      .real("temperature", \.rl.objective.temperature, .temperature, "divides the logits, at rollout and in training"),
      .whole(
        "top_k", \.rl.topK, in: 0...largestConfigurationCount, "samples among this many likeliest tokens; 0 is all"),
      .real(
        "top_p", \.rl.topP, .positiveFraction,
        "samples among the likeliest tokens of this share of what top_k leaves; 1 is all"),
      .whole(
        "overlong_cache", \.rl.overlongCache, in: 0...largestConfigurationCount,
        "tokens before the length limit in which the penalty grows to its plateau −1 (DAPO, TRL); 0 is none"),
      .flag(
        "overlong_filter", \.rl.overlongFilter, "leave trajectories that met the length limit out of the loss (DAPO)"),
      .real("weight_decay", \.rl.weightDecay, .nonNegative, "decoupled weight decay"),
      .seed("seed", \.rl.seed, "seed of every random number of the run but those of data.task, which has its own"),
    ])

  static let pretrain = ConfigurationSection(
    name: "pretrain",
    documentation: "Supervised next-token training; clipping, decay, balance, accumulation and seed are those of rl.",
    fields: [
      .whole("steps", \.pretrain.steps, "optimizer steps"),
      .whole("batch_size", \.pretrain.batchSize, "sequences per optimizer step, over all ranks"),
      .real("learning_rate", \.pretrain.learningRate, .positive, "peak learning rate"),
      .whole(
        "warmup_steps", \.pretrain.warmupSteps, in: 0...largestConfigurationCount, "optimizer steps of linear warm-up"),
      .whole(
        "sequence_length", \.pretrain.sequenceLength, "tokens of one sequence of a text; demonstrations stay whole"
      )
      .defaulting(to: "512 or model.max_seq_len") { $0.pretrain.sequenceLength = min(512, $0.model.maxSeqLen) },
      .whole(
        "eval_every", \.pretrain.evalEvery, in: 0...largestConfigurationCount,
        "optimizer steps between evaluations; 0 is before and after only"),
      .real(
        "stop_at_exact_match", \.pretrain.stopAtExactMatch, .fraction,
        "ends early at an evaluation with this greedy exact match; 0: never"),
      .real("aux_loss_coef", \.pretrain.auxLossCoef, .nonNegative, "weight of the routers' load-balance loss")
        .defaulting(to: "rl.aux_loss_coef") { $0.pretrain.auxLossCoef = $0.rl.objective.auxLossCoef },
      .real("diffusion_loss_coef", \.pretrain.diffusionLossCoef, .nonNegative, "weight of the denoiser's loss")
        .defaulting(to: "rl.diffusion_loss_coef") { $0.pretrain.diffusionLossCoef = $0.rl.objective.diffusionLossCoef },
    ])

  static let optimizer = ConfigurationSection(
    name: "optimizer", documentation: "AdamW.",
    fields: [
      .choice("state", \.optimizer.state, "storage of the moments; int8: 1 byte a value, in blocks of 256"),
      .flag("shard", \.optimizer.shard, "ranks that hold the same parameters split the moments among them"),
      .real("beta1", \.optimizer.beta1, .properFraction, "decay of the first moment"),
      .real("beta2", \.optimizer.beta2, .properFraction, "decay of the second moment"),
      .real("epsilon", \.optimizer.epsilon, .divisor, "added to the root of the second moment"),
    ])

  static let parallel = ConfigurationSection(
    name: "parallel", documentation: "Ranks and threads.",
    fields: [
      .whole(
        "threads", \.parallel.threads, in: 0...4096,
        "threads of one rank; 0: the cores that it may use, divided among the ranks that share them"),
      .whole("expert", \.parallel.expert, "ranks of an expert group; must divide model.num_mini_moes and the ranks"),
      .flag("reproducible", \.parallel.reproducible, "fixed-point gradient sums: the same weights on any layout"),
      .whole(
        "timeout", \.parallel.timeout, "seconds that a collective may take before the run ends"),
    ])

  package static let data = ConfigurationSection(
    name: "data", documentation: "Prompts, text, tokenizer and rewards; paths are relative to the working directory.",
    fields: [
      .optionalGroup("task", \.data.task, "a built-in task: name, digits, length, seed"),
      .optionalPath("prompts", \.data.prompts, "JSON Lines file of prompts and answers, instead of task"),
      .optionalPath("trajectories", \.data.trajectories, "JSON Lines file of recorded trajectories for train"),
      .optionalPath("text", \.data.text, "text or JSON Lines file for pre-training"),
      .real("held_out", \.data.heldOut, .properFraction, "share kept for evaluation, never trained on"),
      .splitVersion,
      .choice("tokenizer", \.data.tokenizer, "byte (259 ids), gpt2 (50257 ids), or file: that of tokenizer_file"),
      .optionalPath(
        "tokenizer_file", \.data.tokenizerFile, "byte-level BPE: tokenizer.json, or vocab.json with merges_file"),
      .optionalPath("merges_file", \.data.mergesFile, "merges.txt of a vocab.json"),
      .text("end_token", \.data.endToken, "the token of tokenizer_file that ends a text"),
      .text(
        "template", \.data.template,
        "what the model reads: {prompt} and other members of the prompt; special tokens by name; {{ and }} are braces"),
      .whole("max_prompt_len", \.data.maxPromptLen, "tokens of a prompt, at most")
        .defaulting(to: "what max_trajectory_len leaves of max_seq_len") {
          $0.data.maxPromptLen = max(1, $0.model.maxSeqLen - $0.rl.objective.maxTrajectoryLen)
        },
      .choice("truncation", \.data.truncation, "longer prompts: an error, or cut off on the left or the right"),
      .groups(
        "rewards", \.data.rewards,
        "terms of the reward: name, weight, pattern (format), length (length); "
          + "or command, label, workers, batch, timeout, start_timeout"),
    ])

  static let evaluation = ConfigurationSection(
    name: "evaluation", documentation: "Evaluation on the held-out split.",
    fields: [
      .whole(
        "every", \.evaluation.every, in: 0...largestConfigurationCount,
        "optimizer steps between evaluations; 0 is before and after only"),
      .whole("count", \.evaluation.count, "held-out prompts, or windows of held-out text, of one evaluation"),
      .whole("samples", \.evaluation.samples, in: 0...65536, "sampled completions per prompt besides the greedy one"),
      .real("temperature", \.evaluation.temperature, .temperature, "temperature of the sampled completions"),
      .groups("tasks", \.evaluation.tasks, "further built-in tasks to evaluate, each like data.task"),
      .flag(
        "keep_best", \.evaluation.keepBest,
        "write best.safetensors whenever an evaluation is the best so far: by exact match where the rewards are "
          + "exact_match or partial_credit, else by reward; on text by bits per byte"),
    ])

  static let checkpoint = ConfigurationSection(
    name: "checkpoint", documentation: "What a run starts from and what it saves on the way.",
    fields: [
      .optionalPath(
        "weights", \.checkpoint.weights, "a run, checkpoint or safetensors file to start from; null is initial weights"),
      .whole(
        "every", \.checkpoint.every, in: 0...largestConfigurationCount,
        "optimizer steps between checkpoints; 0 saves only where a signal stops the run"),
      .whole("keep", \.checkpoint.keep, "checkpoints kept, milestones not counted"),
      .whole(
        "milestones", \.checkpoint.milestones, in: 0...largestConfigurationCount,
        "checkpoints of multiples of this step are kept for ever; 0 is none"),
      .flag(
        "copy", \.checkpoint.copy,
        "copy the state and save it while training goes on; false: the optimizer waits until it has been read"),
      .choice(
        "stop", \.checkpoint.stop,
        "where a stopped run saves: after the step, or also between rollout and update (phase)"),
      .choice("on_error", \.checkpoint.onError, "what happens where a checkpoint cannot be written"),
    ])

  static let logging = ConfigurationSection(
    name: "logging", documentation: "What a run writes and says.",
    fields: [
      .whole("every", \.logging.every, "optimizer steps between lines of metrics"),
      .whole(
        "samples_every", \.logging.samplesEvery, in: 0...largestConfigurationCount,
        "optimizer steps between sample completions; 0 is none"),
      .whole(
        "loads_every", \.logging.loadsEvery, in: 0...largestConfigurationCount,
        "optimizer steps between records of the routers' loads; 0 is none"),
      .whole(
        "alarm_patience", \.logging.alarmPatience, in: 0...largestConfigurationCount,
        "steps for which something must go wrong before it is an alarm; 0 is no alarms"),
      .path("directory", \.logging.directory, "where run directories are made"),
      .choice("level", \.logging.level, "least severe log lines shown"),
    ])

  static let debug = ConfigurationSection(
    name: "debug", documentation: "Checks of the program itself.",
    fields: [
      .flag("assert_exact", \.debug.assertExact, "stop where rollout and training log-probabilities differ in a bit"),
      .whole(
        "skip_nonfinite", \.debug.skipNonfinite, in: 0...largestConfigurationCount,
        "updates with a non-finite loss or gradient to skip before the run stops"),
      .flag(
        "checks", \.debug.checks, "debug mode (--debug): check collectives, values and replicas, write the routing"),
      .whole(
        "hash_every", \.debug.hashEvery, in: 0...largestConfigurationCount,
        "in debug mode, optimizer steps between comparisons of the replicas; 0 is never"),
      .texts(
        "check_gradients", \.debug.checkGradients,
        "in debug mode, tensors whose gradient in the first step is held against finite differences; * is any text"),
    ])
}
