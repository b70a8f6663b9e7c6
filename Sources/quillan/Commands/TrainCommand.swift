import ArgumentParser

/// `quillan train`.
struct TrainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "train",
    abstract: "Train by reinforcement: GRPO with DAPO's options.",
    discussion: """
      Every rank samples its groups from π_old, scores them, and all ranks reduce their gradients. Start it under \
      mpirun for several ranks. Writes a run directory like pretrain, with samples.jsonl. SIGUSR1 (without \
      mpirun also Ctrl-C or SIGTERM) stops after the current step or within an evaluation, saves a checkpoint and \
      exits 75; --resume goes on from it, on any number of ranks.
      """)

  @OptionGroup var options: RunOptions

  @Option(
    help: ArgumentHelp(
      "Learn from these recorded trajectories (JSON Lines) instead of sampling; data.trajectories.", valueName: "file"))
  var trajectories: String?

  func validate() throws { try PathCheck.validate(["--trajectories": trajectories]) }

  func run() throws {
    options.execute(.train, change: { if let trajectories { $0.data.trajectories = trajectories } }) {
      try $0.train($1)
    }
  }
}
