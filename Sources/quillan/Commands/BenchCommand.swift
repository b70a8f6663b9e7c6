import ArgumentParser

/// `quillan bench`.
struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench", abstract: "Measure message passing, kernels, scaling and checkpoints on this machine.",
    subcommands: [
      BenchKernelsCommand.self, BenchMPICommand.self, BenchParallelCommand.self, BenchCheckpointCommand.self,
    ])
}
