import ArgumentParser

/// `quillan pretrain`.
struct PretrainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pretrain",
    abstract: "Pre-train on text or task demonstrations by next-token loss.",
    discussion: """
      Learns from data.text (plain text or JSON Lines with "text") if the configuration sets it, otherwise from \
      demonstrations of data.task or data.prompts. Writes a run directory with config.yaml, metrics.jsonl, TensorBoard \
      events, plot.svg and weights.safetensors. SIGUSR1 (without mpirun also Ctrl-C or SIGTERM) finishes the current \
      step or drops the evaluation, saves a checkpoint and exits with 75; --resume continues from it.
      """)

  @OptionGroup var options: RunOptions

  func run() throws { options.execute(.pretrain) { try $0.pretrain($1) } }
}
