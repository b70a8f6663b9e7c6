import ArgumentParser

/// `quillan pretrain`.
struct PretrainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pretrain",
    abstract: "Pre-train on text or task demonstrations by next-token loss.",
    discussion: """
      Learns from data.text (plain text or JSON Lines with "text") where the configuration names one, otherwise from \
      demonstrations of data.task or data.prompts. Writes a run directory with config.yaml, metrics.jsonl, TensorBoard \
      events, plot.svg and weights.safetensors. SIGUSR1 (without mpirun also Ctrl-C or SIGTERM) stops \
      after the current step or within an evaluation, saves a checkpoint and exits 75; --resume goes on from it.
      """)

  @OptionGroup var options: RunOptions

  func run() throws { options.execute(.pretrain) { try $0.pretrain($1) } }
}
