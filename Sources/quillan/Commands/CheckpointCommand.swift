import ArgumentParser

/// `quillan checkpoint`.
struct CheckpointCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "checkpoint", abstract: "Look at, prove, compare and convert checkpoints.",
    discussion: "Where a checkpoint is asked for, a run's directory stands for its newest checkpoint.",
    subcommands: [
      CheckpointInspectCommand.self, CheckpointVerifyCommand.self, CheckpointDiffCommand.self,
      CheckpointConvertCommand.self,
    ])
}
