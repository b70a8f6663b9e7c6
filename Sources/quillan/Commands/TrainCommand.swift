import ArgumentParser

/// `quillan train`.
struct TrainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "train",
    abstract: "Train by reinforcement learning: GRPO with the options of DAPO.",
    discussion: """
      Every rank samples a share of the trajectories from π_old and scores them; all ranks reduce their gradients. Start it under \
      mpirun for several ranks. Writes a run directory as pretrain does, plus samples.jsonl. SIGUSR1 (without mpirun \
      also Ctrl-C or SIGTERM) finishes the current step or drops the evaluation, saves a checkpoint and exits with 75; --resume continues from \
      it, on any number of ranks.
      """)

  @OptionGroup var options: RunOptions

  @Option(
    help: ArgumentHelp(
      "Train on these recorded trajectories (JSON Lines) instead of sampling (data.trajectories).", valueName: "file"))
  var trajectories: String?

  func validate() throws { try PathCheck.validate(["--trajectories": trajectories]) }

  func run() throws {
    options.execute(.train, change: { if let trajectories { $0.data.trajectories = trajectories } }) {
      try $0.train($1)
    }
  }
}
