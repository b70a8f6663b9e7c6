import ArgumentParser
import Configuration

/// The program: one file for each command; `CommandRunner` maps errors to messages and exit codes.
@main
struct Quillan: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "quillan",
    abstract:
      "Train a hierarchical mixture-of-experts language model by reinforcement learning, on any number of CPU ranks.",
    discussion: """
      Results go to stdout, messages to stderr. Commands that use several ranks run under mpirun.

      Exit codes: 0 done, 1 error, 2 usage or configuration, 3 corrupt or incompatible data, 75 stopped by a signal \
      after a checkpoint. mpirun exits with 137 if a rank was killed.
      """,
    version: version,
    subcommands: [
      QuickstartCommand.self, PretrainCommand.self, TrainCommand.self, EvaluateCommand.self, ReportCommand.self,
      GenerateCommand.self,
      CheckpointCommand.self, QuantizeCommand.self, ExportCommand.self, BitsCommand.self, PlanCommand.self,
      BenchCommand.self, DebugCommand.self,
    ])

  /// The version that `--version` prints.
  static let version = ProgramVersion.text

  /// Replaces the argument parser's entry point, which has other exit codes and messages.
  static func main() {
    CommandRunner.main(Array(CommandLine.arguments.dropFirst()))
  }
}
