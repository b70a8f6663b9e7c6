extension ConfigurationSection {
  static let rl = ConfigurationSection(
    name: "rl", documentation: "Reinforcement learning by GRPO/DAPO.",
    fields: [
      .real("learning_rate", \.rl.learningRate, .positive, "peak learning rate"),
      .whole("batch_size", \.rl.batchSize, "groups (prompts) per optimizer step, over all ranks"),
      .whole("num_trajectories", \.rl.numTrajectories, "trajectories of one group"),
      .whole("max_trajectory_len", \.rl.objective.maxTrajectoryLen, "maximum number of generated tokens"),
      .real(
        "clip_epsilon", \.rl.clipEpsilon, .nonNegative, "the importance ratio is clipped to 1 − this … 1 + this"),
      .real("clip_epsilon_low", \.rl.objective.clipEpsilonLow, .fraction, "the lower side only")
        .defaulting(to: "clip_epsilon") { _ in },
      .real("clip_epsilon_high", \.rl.objective.clipEpsilonHigh, .nonNegative, "the upper side only (DAPO: 0.28)")
        .defaulting(to: "clip_epsilon") { _ in },
      .real("value_coef", \.rl.objective.valueCoef, .nonNegative, "weight of the value head's squared error"),
      .real("entropy_coef", \.rl.objective.entropyCoef, .finite, "weight of the entropy bonus"),
      .real("aux_loss_coef", \.rl.objective.auxLossCoef, .nonNegative, "weight of the routers' load-balance loss"),
      .real("diffusion_loss_coef", \.rl.objective.diffusionLossCoef, .nonNegative, "weight of the denoiser's loss"),
      .real(
        "kl_coef", \.rl.objective.klCoef, .nonNegative,
        "weight of the KL divergence from a frozen reference; 0 means no reference"),
      .choice("kl_estimator", \.rl.objective.klEstimator, "estimator of the KL divergence from the reference"),
      .real(
        "max_grad_norm", \.rl.maxGradNorm, .positive, "maximum global gradient norm; larger gradients are scaled down"),
      .whole("num_epochs", \.rl.numEpochs, "optimizer steps of the run"),
      .whole("warmup_steps", \.rl.warmupSteps, in: 0...largestConfigurationCount, "optimizer steps of linear warm-up"),
      .flag("use_mixed_precision", \.rl.useMixedPrecision, "weight-gradient products read bf16 operands; false: fp32"),
      .whole(
        "accumulation_steps", \.rl.accumulationSteps,
        "parts of a step; a part with more tokens than a micro-batch holds (2,048) is split further"),
      .whole("old_policy_interval", \.rl.oldPolicyInterval, "optimizer steps between publications of the old policy"),
      .flag(
        "gradient_checkpointing", \.rl.gradientCheckpointing,
        "recompute activations in the backward pass, in micro-batches of up to 768 tokens, to save memory"),
      .real(
        "balance_rate", \.rl.balanceRate, .nonNegative,
        "step of the balance biases of a router that chooses k of n, in units of 1/(n k); 0 turns balancing off"),
      .choice("advantage", \.rl.objective.advantage, "how advantages are computed from the rewards of a group"),
      .choice(
        "advantage_std", \.rl.objective.advantageStd,
        "the deviation that advantages are divided by; TRL and verl use sample"),
      .real(
        "advantage_epsilon", \.rl.objective.advantageEpsilon, .nonNegative,
        "added to the deviation (TRL: 1e-4, verl: 1e-6)"),
      .choice("aggregation", \.rl.objective.aggregation, "how token terms are averaged"),
      .choice(
        "ratio", \.rl.objective.ratio, "importance ratio of each token, or of the sequence (GSPO; clips 3e-4 and 4e-4)"),
      .choice(
        "surrogate", \.rl.objective.surrogate,
        "clipped: as in PPO; cispo: bounds the weight of the ratio but keeps all gradients (MiniMax-M1)"),
      .real(
        "dual_clip", \.rl.objective.dualClip, .nonNegative,
        "bounds the ratio if the advantage is negative (Ye et al. and verl: 3.0); 0 means no bound"),
      .choice(
        "zero_advantage", \.rl.zeroAdvantage,
        "keep: trajectories without an advantage contribute entropy, balance, diffusion, value and KL terms; "
          + "skip: nothing, and steps are shorter"),
      .flag(
        "demonstrations", \.rl.demonstrations,
        "the answer of each prompt joins its group as one more trajectory, scored like the others (LUFFY, "
          + "arXiv:2504.14945, without its shaping)"),
      .real(
        "target_kl", \.rl.targetKL, .nonNegative,
        "KL per token between the policies before and after an update, in nats, at which the learning rate is scaled "
          + "down; 0 means no scaling"),
      .real(
        "ema_decay", \.rl.emaDecay, .properFraction,
        "decay of the moving average of the parameters that evaluations and weights files use; 0 means no average"),
      .real(
        "guard", \.rl.guardFall, .nonNegative,
        "return to the best weights and halve the learning rate if the held-out measure falls this far below its best "
          + "value; 0 means never"),
      .flag(
        "dynamic_sampling", \.rl.dynamicSampling,
        "replace groups whose raw rewards are all equal by further prompts (DAPO)"),
      .whole(
        "max_resample_times", \.rl.maxResampleTimes, in: 0...largestConfigurationCount,
        "maximum number of times that dynamic sampling draws again before it trains on what it has"),
      .whole("ppo_epochs", \.rl.ppoEpochs, "passes over the groups of one rollout"),
      .whole(
        "mini_batches", \.rl.miniBatches, "optimizer steps per pass; a rollout has mini_batches · batch_size groups"),
      .real(
        "entropy_target", \.rl.entropyTarget, .nonNegative,
        "target entropy in nats, towards which entropy_coef is adjusted; 0 keeps entropy_coef constant"),
      .real("entropy_delta", \.rl.entropyDelta, .nonNegative, "change of entropy_coef per step"),
      .real("entropy_coef_max", \.rl.entropyCoefMax, .nonNegative, "maximum of the adjusted entropy_coef"),
      .real("temperature", \.rl.objective.temperature, .temperature, "divides the logits in rollouts and in training"),
      .whole(
        "top_k", \.rl.topK, in: 0...largestConfigurationCount, "samples from this many most likely tokens; 0 means all"),
      .real(
        "top_p", \.rl.topP, .positiveFraction,
        "samples from the most likely tokens with this total probability, after top_k; 1 means all"),
      .whole(
        "overlong_cache", \.rl.overlongCache, in: 0...largestConfigurationCount,
        "number of tokens before the length limit over which the penalty grows to −1 (DAPO, TRL); 0 means no penalty"),
      .flag(
        "overlong_filter", \.rl.overlongFilter,
        "exclude trajectories that reached the length limit from the loss (DAPO)"),
      .optionalReal(
        "stop_at", \.rl.stopAt, .finite,
        "ends the run at the first evaluation after warm-up whose evaluation.metric reaches this; null means never"),
      .real("weight_decay", \.rl.weightDecay, .nonNegative, "decoupled weight decay"),
      .seed(
        "seed", \.rl.seed, "seed of all random numbers of the run except those of data.task, which has its own seed"),
    ])

  static let pretrain = ConfigurationSection(
    name: "pretrain",
    documentation: "Supervised next-token training; clipping, decay, balance, accumulation and seed are taken from rl.",
    fields: [
      .whole("steps", \.pretrain.steps, "optimizer steps"),
      .whole("batch_size", \.pretrain.batchSize, "sequences per optimizer step, over all ranks"),
      .real("learning_rate", \.pretrain.learningRate, .positive, "peak learning rate"),
      .whole(
        "warmup_steps", \.pretrain.warmupSteps, in: 0...largestConfigurationCount, "optimizer steps of linear warm-up"),
      .whole(
        "sequence_length", \.pretrain.sequenceLength,
        "maximum tokens of one sequence of a text; demonstrations are not split"
      )
      .defaulting(to: "512 or model.max_seq_len") { $0.pretrain.sequenceLength = min(512, $0.model.maxSeqLen) },
      .flag(
        "completion_only_loss", \.pretrain.completionOnlyLoss,
        "demonstrations train on the answer only; false: on prompt and answer"),
      .whole(
        "eval_every", \.pretrain.evalEvery, in: 0...largestConfigurationCount,
        "optimizer steps between evaluations; 0 means only before and after training"),
      .real(
        "stop_at_exact_match", \.pretrain.stopAtExactMatch, .fraction,
        "ends early at the first evaluation after warm-up that reaches this greedy exact match; 0 means never"),
      .real(
        "stop_at_reward", \.pretrain.stopAtReward, .nonNegative,
        "ends early at the first evaluation after warm-up that reaches this greedy mean reward; 0 means never"),
      .real("aux_loss_coef", \.pretrain.auxLossCoef, .nonNegative, "weight of the routers' load-balance loss")
        .defaulting(to: "rl.aux_loss_coef") { $0.pretrain.auxLossCoef = $0.rl.objective.auxLossCoef },
      .real("diffusion_loss_coef", \.pretrain.diffusionLossCoef, .nonNegative, "weight of the denoiser's loss")
        .defaulting(to: "rl.diffusion_loss_coef") { $0.pretrain.diffusionLossCoef = $0.rl.objective.diffusionLossCoef },
    ])

  static let optimizer = ConfigurationSection(
    name: "optimizer", documentation: "AdamW.",
    fields: [
      .choice("state", \.optimizer.state, "storage of the moments; int8: 1 byte per value, in blocks of 256"),
      .flag("shard", \.optimizer.shard, "ranks that hold the same parameters divide the moments among themselves"),
      .real("beta1", \.optimizer.beta1, .properFraction, "decay of the first moment"),
      .real("beta2", \.optimizer.beta2, .properFraction, "decay of the second moment"),
      .real("epsilon", \.optimizer.epsilon, .divisor, "added to the square root of the second moment"),
    ])

  static let parallel = ConfigurationSection(
    name: "parallel", documentation: "Ranks and threads.",
    fields: [
      .whole(
        "threads", \.parallel.threads, in: 0...4096,
        "threads per rank; 0 means the usable cores divided by the ranks that share them"),
      .whole(
        "expert", \.parallel.expert, "ranks per expert group; must divide model.num_mini_moes and the number of ranks"),
      .flag("reproducible", \.parallel.reproducible, "fixed-point gradient sums: the same weights on any layout"),
      .whole(
        "timeout", \.parallel.timeout, "maximum seconds of a collective before the run is ended"),
    ])

  package static let data = ConfigurationSection(
    name: "data", documentation: "Prompts, text, tokenizer and rewards; paths are relative to the working directory.",
    fields: [
      .optionalGroup("task", \.data.task, "a built-in task: name, digits, length, seed"),
      .optionalPath("prompts", \.data.prompts, "file of prompts and answers (JSON Lines or list); not with task"),
      .groups(
        "sources", \.data.sources,
        "several sources instead of task and prompts: name, prompts or task, weight, held_out, template, max_prompt_len, "
          + "rewards, members"),
      .optionalGroup(
        "members", \.data.members,
        "the members that hold the data, if they have other names: prompt, answer, text; a.b is a member of an object"),
      .optionalGroup(
        "sampler", \.data.sampler,
        "how training prompts are chosen: kind (uniform or difficulty), minimum; difficulty draws a prompt of pass rate p "
          + "with probability minimum + (1 − minimum) · 4p(1 − p)"),
      .flag("shuffle", \.data.shuffle, "visit the data in a new order each epoch; false: in the order of the file"),
      .optionalPath(
        "trajectories", \.data.trajectories,
        "JSON Lines file of recorded trajectories, which train uses instead of sampling"),
      .optionalPath("text", \.data.text, "text or JSON Lines file for pre-training"),
      .real(
        "held_out", \.data.heldOut, .properFraction, "fraction that is held out for evaluation and never trained on"),
      .splitVersion,
      .choice(
        "tokenizer", \.data.tokenizer, "byte (259 ids), gpt2 (50257 ids), or file: the tokenizer of tokenizer_file"),
      .optionalPath(
        "tokenizer_file", \.data.tokenizerFile, "byte-level BPE: tokenizer.json, or vocab.json with merges_file"),
      .optionalPath("merges_file", \.data.mergesFile, "merges.txt of a vocab.json"),
      .text("end_token", \.data.endToken, "the token of tokenizer_file that ends a text"),
      .chat,
      .text(
        "template", \.data.template,
        "the text that the model reads: {prompt} and other members of the prompt; special tokens by name; {{ and }} are "
          + "braces"),
      .whole("max_prompt_len", \.data.maxPromptLen, "maximum tokens of a prompt")
        .defaulting(to: "max_seq_len − max_trajectory_len") {
          $0.data.maxPromptLen = max(1, $0.model.maxSeqLen - $0.rl.objective.maxTrajectoryLen)
        },
      .choice("truncation", \.data.truncation, "longer prompts: an error, or truncated on the left or the right"),
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
        "optimizer steps between evaluations; 0 means only before and after training"),
      .whole("count", \.evaluation.count, "held-out prompts, or windows of held-out text, of one evaluation"),
      .whole(
        "samples", \.evaluation.samples, in: 0...65536,
        "sampled completions per prompt, in addition to the greedy completion"),
      .real("temperature", \.evaluation.temperature, .temperature, "temperature of the sampled completions"),
      .groups("tasks", \.evaluation.tasks, "further built-in tasks to evaluate, each as in data.task"),
      .groups(
        "sources", \.evaluation.sources,
        "further sources to evaluate, each as in data.sources; all prompts are evaluated, up to count"),
      .real(
        "threshold", \.evaluation.threshold, .finite,
        "a completion is right if its main reward (of the largest weight) reaches this"),
      .optionalText(
        "metric", \.evaluation.metric,
        "what the best weights, patience and rl.guard follow, for example pass_rate or gsm8k/pass@4; null: exact_match "
          + "with the rewards exact_match or partial_credit, pass_rate with numeric_match, otherwise reward"),
      .flag(
        "keep_best", \.evaluation.keepBest,
        "write best.safetensors whenever an evaluation is the best so far by evaluation.metric; on text by bits per byte"
      ),
      .whole(
        "patience", \.evaluation.patience, in: 0...largestConfigurationCount,
        "reinforcement ends after this many evaluations without a new best value; 0 means never"),
    ])

  static let checkpoint = ConfigurationSection(
    name: "checkpoint", documentation: "Initial weights and checkpoints.",
    fields: [
      .optionalPath(
        "weights", \.checkpoint.weights,
        "a run, checkpoint or safetensors file to start from; null means random initial weights"),
      .whole(
        "every", \.checkpoint.every, in: 0...largestConfigurationCount,
        "optimizer steps between checkpoints; 0 saves only if a signal stops the run"),
      .whole("keep", \.checkpoint.keep, "number of checkpoints to keep, in addition to milestones"),
      .whole(
        "milestones", \.checkpoint.milestones, in: 0...largestConfigurationCount,
        "checkpoints at multiples of this step are never deleted; 0 means no milestones"),
      .flag(
        "copy", \.checkpoint.copy,
        "copy the state and save it while training continues; false: the optimizer waits until it has been read"),
      .choice(
        "stop", \.checkpoint.stop,
        "when a stopped run saves: after the step, or also between rollout and update (phase)"),
      .choice("on_error", \.checkpoint.onError, "what happens if a checkpoint cannot be written"),
    ])

  static let logging = ConfigurationSection(
    name: "logging", documentation: "Metrics, samples, alarms and log lines.",
    fields: [
      .whole("every", \.logging.every, "optimizer steps between lines of metrics"),
      .whole(
        "samples_every", \.logging.samplesEvery, in: 0...largestConfigurationCount,
        "optimizer steps between sample completions; 0 means none"),
      .whole(
        "loads_every", \.logging.loadsEvery, in: 0...largestConfigurationCount,
        "optimizer steps between records of the routers' loads; 0 means none"),
      .whole(
        "norms_every", \.logging.normsEvery, in: 0...largestConfigurationCount,
        "optimizer steps between measurements of the gradient norms of the policy loss and of the other losses, each as "
          + "long as a step without its rollout; 0 means none"),
      .whole(
        "alarm_patience", \.logging.alarmPatience, in: 0...largestConfigurationCount,
        "consecutive steps for which a condition must hold before it raises an alarm; 0 means no alarms"),
      .path("directory", \.logging.directory, "the directory in which run directories are created"),
      .texts(
        "command", \.logging.command,
        "program and arguments; rank 0 starts the program once and writes each line of metrics to its standard input"),
      .real(
        "command_timeout", \.logging.commandTimeout, .positive,
        "seconds that the program of command has to end after the last line"),
      .choice("level", \.logging.level, "minimum severity of log lines on stderr"),
    ])

  static let debug = ConfigurationSection(
    name: "debug", documentation: "Checks that the program makes of itself.",
    fields: [
      .flag("assert_exact", \.debug.assertExact, "stop if rollout and training log-probabilities differ in any bit"),
      .whole(
        "skip_nonfinite", \.debug.skipNonfinite, in: 0...largestConfigurationCount,
        "number of updates with a non-finite loss or gradient that are skipped before the run stops"),
      .flag(
        "checks", \.debug.checks, "debug mode (--debug): check collectives, values and replicas, write the routing"),
      .whole(
        "hash_every", \.debug.hashEvery, in: 0...largestConfigurationCount,
        "in debug mode, optimizer steps between comparisons of the replicas; 0 means never"),
      .texts(
        "check_gradients", \.debug.checkGradients,
        "in debug mode, tensors whose gradient in the first step is compared with finite differences; * matches any text"
      ),
    ])
}
