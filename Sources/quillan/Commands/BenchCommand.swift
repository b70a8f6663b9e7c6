import ArgumentParser

/// `quillan bench`.
struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Benchmark kernels, memory passes, decoding, training steps, MPI messages, scaling and checkpoints.",
    subcommands: [
      BenchKernelsCommand.self, BenchAttentionCommand.self, BenchMemoryCommand.self, BenchDecodeCommand.self,
      BenchTrainStepCommand.self, BenchMPICommand.self, BenchParallelCommand.self, BenchCheckpointCommand.self,
    ])
}
