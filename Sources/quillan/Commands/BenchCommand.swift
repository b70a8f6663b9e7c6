import ArgumentParser

/// `quillan bench`.
struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench", abstract: "Measure message passing, kernels and checkpoints on this machine.",
    subcommands: [BenchKernelsCommand.self, BenchMPICommand.self, BenchCheckpointCommand.self])
}
