import ArgumentParser

/// `quillan checkpoint`.
struct CheckpointCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "checkpoint", abstract: "Inspect, verify, compare and convert checkpoints.",
    discussion: "A run's directory stands for its newest checkpoint.",
    subcommands: [
      CheckpointInspectCommand.self, CheckpointVerifyCommand.self, CheckpointDiffCommand.self,
      CheckpointConvertCommand.self,
    ])
}
