import ArgumentParser
import Training

/// The program: commands in one file each, under one frame of exit codes and messages (`CommandRunner`).
@main
struct Quillan: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "quillan",
    abstract: "Train a hierarchical mixture-of-experts language model by reinforcement, on any number of CPU ranks.",
    discussion: """
      Results go to stdout, messages to stderr. Commands that use several ranks run under mpirun.

      Exit codes: 0 done, 1 error, 2 usage or configuration, 3 corrupt or incompatible data, 75 stopped by a signal \
      after a checkpoint; mpirun gives 137 where a rank was killed.
      """,
    version: version,
    subcommands: [
      PretrainCommand.self, TrainCommand.self, EvaluateCommand.self, ReportCommand.self, GenerateCommand.self,
      CheckpointCommand.self, QuantizeCommand.self, ExportCommand.self, BitsCommand.self, PlanCommand.self,
      BenchCommand.self,
      DebugCommand.self,
    ])

  /// The program's version, as `--version` prints it.
  static let version = ProgramVersion.text

  /// Replaces the argument parser's entry, whose exit codes and messages are others.
  static func main() {
    CommandRunner.main(Array(CommandLine.arguments.dropFirst()))
  }
}
