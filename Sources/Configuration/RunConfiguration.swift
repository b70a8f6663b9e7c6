import Models
import Objectives
import Rollouts

/// The complete configuration of a run: one value per section of the YAML file.
///
/// Every key has a default, so a file needs only the keys that differ; `yaml()` writes all keys.
public struct RunConfiguration: Sendable, Equatable {
  /// Sizes of the model.
  public var model = ModelConfiguration()
  /// Number formats as configured; `formats` applies `use_bitnet` to them.
  public var precision = PrecisionConfiguration()
  /// Reinforcement learning.
  public var rl = ReinforcementConfiguration()
  /// Supervised training before reinforcement learning.
  public var pretrain = PretrainConfiguration()
  /// AdamW.
  public var optimizer = OptimizerConfiguration()
  /// Ranks and threads.
  public var parallel = ParallelConfiguration()
  /// Prompts, text, tokenizer, rewards.
  public var data = DataConfiguration()
  /// Evaluation.
  public var evaluation = EvaluationConfiguration()
  /// Initial weights and checkpoints.
  public var checkpoint = CheckpointConfiguration()
  /// Metrics, samples, alarms and log lines.
  public var logging = LoggingConfiguration()
  /// Checks that the program makes of itself.
  public var debug = DebugConfiguration()

  /// The defaults: the 511M model, without data.
  public init() {}

  /// The loss of `rl`.
  public var objective: ObjectiveConfiguration { rl.objective }

  /// The effective number formats: ternary becomes fp32 if `use_bitnet` is false.
  public var formats: PrecisionConfiguration { precision.resolved() }

  /// A source of prompts.
  public enum PromptSource: Sendable, Equatable {
    case task(TaskConfiguration)
    case file(String)
    case sources([DataSourceConfiguration])
  }

  /// The source of prompts.
  ///
  /// - Throws: `ConfigurationError` if the configuration has none.
  public func promptSource(file: String) throws(ConfigurationError) -> PromptSource {
    if let task = data.task { return .task(task) }
    if let prompts = data.prompts { return .file(prompts) }
    if !data.sources.isEmpty { return .sources(data.sources) }
    throw ConfigurationError(
      ConfigurationLocation(source: file),
      "no prompts", remedy: "set data.task to a built-in task, data.prompts to a JSON Lines file, or data.sources")
  }
}
