import Models
import Objectives
import Rollouts

/// The complete configuration of a run: one value per section of the YAML file.
///
/// Every key has a default, so a file holds only what differs; `yaml()` writes them all.
public struct RunConfiguration: Sendable, Equatable {
  /// Sizes of the model.
  public var model = ModelConfiguration()
  /// Number formats as configured, before `use_bitnet`; `formats` has those in force.
  public var precision = PrecisionConfiguration()
  /// Reinforcement.
  public var rl = ReinforcementConfiguration()
  /// Supervised training before it.
  public var pretrain = PretrainConfiguration()
  /// AdamW.
  public var optimizer = OptimizerConfiguration()
  /// Ranks and threads.
  public var parallel = ParallelConfiguration()
  /// Prompts, text, tokenizer, rewards.
  public var data = DataConfiguration()
  /// Evaluation.
  public var evaluation = EvaluationConfiguration()
  /// What the run starts from.
  public var checkpoint = CheckpointConfiguration()
  /// What the run writes and says.
  public var logging = LoggingConfiguration()
  /// Checks of the program itself.
  public var debug = DebugConfiguration()

  /// The defaults: the 511M model, without data.
  public init() {}

  /// The loss that `rl` describes.
  public var objective: ObjectiveConfiguration { rl.objective }

  /// The formats in force: ternary becomes fp32 without `model.use_bitnet`.
  public var formats: PrecisionConfiguration { precision.resolved() }

  /// Where prompts come from.
  public enum PromptSource: Sendable, Equatable {
    case task(TaskConfiguration)
    case file(String)
  }

  /// The source of prompts.
  ///
  /// - Throws: `ConfigurationError` where the configuration names none.
  public func promptSource(file: String) throws(ConfigurationError) -> PromptSource {
    if let task = data.task { return .task(task) }
    if let prompts = data.prompts { return .file(prompts) }
    throw ConfigurationError(
      ConfigurationLocation(source: file),
      "no prompts: set data.task to a built-in task or data.prompts to a JSON Lines file")
  }
}
