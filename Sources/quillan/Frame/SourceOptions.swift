import ArgumentParser
import Runs
import Tensors

/// Options of every command that reads weights for deployment.
struct SourceOptions: ParsableArguments {
  @Argument(
    help: ArgumentHelp(
      "A run's directory, safetensors weights next to config.yaml or config.json, an export, or a packed model.",
      valueName: "model"))
  var model: String

  @Option(
    help: ArgumentHelp("Configuration of the weights, instead of the one in their directory.", valueName: "file"))
  var config: String?

  @OptionGroup var overrides: OverrideOptions

  @Option(help: ArgumentHelp("Threads (default: all cores).", valueName: "n"))
  var threads: Int?

  func validate() throws {
    try PathCheck.validate(["the model's path": model, "--config": config])
    if let threads, !(1...4096).contains(threads) {
      throw ValidationError("--threads must be from 1 to 4096, got \(threads)")
    }
  }

  func context() -> Context { Context(threads: threads ?? UsableCores.current.count) }

  /// Opens the weights.
  func open(_ context: Context, overrides: [String]? = nil) throws -> ModelSource {
    try ModelSource(model, configuration: config, overrides: overrides ?? self.overrides.set, context: context)
  }
}
