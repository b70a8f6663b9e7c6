import Foundation
import MPI
import Parameters
import Rollouts

/// A whole run of pre-training or reinforcement: steps, records, evaluations, and the weights at the end.
public struct TrainingRun {
  /// What a finished run reports.
  public struct Outcome: Sendable {
    /// The run directory; nil on ranks other than 0.
    public let directory: RunDirectory?
    public let steps: Int
    /// Whether a signal ended it early.
    public let stopped: Bool
    public let seconds: Double
    /// Evaluations before the first and after the last step, by name.
    public let before: [String: Double]
    public let after: [String: Double]
    /// Answers after the last step.
    public let examples: [SamplesWriter.Sample]
  }

  private let assembly: RunAssembly
  private let name: String
  private var communicator: Communicator { assembly.communicator }
  private var configuration: RunConfiguration { assembly.configuration }

  public init(_ assembly: RunAssembly, name: String) {
    self.assembly = assembly
    self.name = name
  }

  /// Reinforcement: `rl.num_epochs` steps of GRPO. Collective.
  public func train(_ materials: RunAssembly.Materials) throws -> Outcome {
    guard let prompts = materials.prompts, let rewards = materials.rewards else {
      preconditionFailure("reinforcement without prompts")
    }
    let learner = try assembly.learner(materials.masters)
    let trainer = try Trainer(
      configuration: configuration, learner: learner, prompts: prompts, tokenizer: assembly.tokenizer,
      rewards: rewards)
    return try run(
      learner, total: configuration.rl.numEpochs, title: "train",
      evaluate: { try evaluateTask(prompts, rewards, learner) }
    ) { recorder, step in
      let report = try trainer.step()
      try recorder?.record(step: step, report.metrics, prompts: report.prompts)
      try recorder?.record(step: step, samples: report.samples)
      if let warning = report.warning { recorder?.note(warning) }
    }
  }

  /// Pre-training: `pretrain.steps` steps on text or demonstrations. Collective.
  public func pretrain(_ materials: RunAssembly.Materials) throws -> Outcome {
    guard let sequences = materials.sequences else { preconditionFailure("pre-training without sequences") }
    let learner = try assembly.learner(materials.masters)
    let trainer = Pretrainer(configuration: configuration, learner: learner, source: sequences)
    return try run(
      learner, total: configuration.pretrain.steps, title: "pretrain",
      evaluate: {
        if let text = materials.text { return try text.heldOut.map { try evaluateText($0, learner) } ?? ([:], []) }
        guard let prompts = materials.prompts, let rewards = materials.rewards else { return ([:], []) }
        return try evaluateTask(prompts, rewards, learner)
      }
    ) { recorder, step in
      let metrics = try trainer.step()
      try recorder?.record(step: step, metrics)
    }
  }

  private func run(
    _ learner: Learner, total: Int, title: String,
    evaluate: () throws -> ([String: Double], [SamplesWriter.Sample]),
    step: (RunRecorder?, Int) throws -> Void
  ) throws -> Outcome {
    StopSignal.install()
    let recorder =
      communicator.rank == 0 ? try RunRecorder(configuration, name: name, title: title, total: total) : nil
    let start = ContinuousClock.now
    let before = try evaluate().0
    try recorder?.record(step: 0, evaluation: before)
    var after = before
    var examples: [SamplesWriter.Sample] = []
    var done = 0
    var stopped = false
    let goal = title == "train" ? 0 : configuration.pretrain.stopAtExactMatch
    let every = title == "train" ? configuration.evaluation.every : configuration.pretrain.evalEvery
    while done < total, !stopped {
      try step(recorder, done + 1)
      done += 1
      stopped = try StopSignal.isRequested(communicator)
      if done == total || stopped || (every > 0 && done % every == 0) {
        (after, examples) = try evaluate()
        try recorder?.record(step: done, evaluation: after)
        if goal > 0, (after["eval/exact_match"] ?? 0) >= goal { break }
      }
    }
    if let recorder {
      try WeightsFile.save(
        learner.masters, to: recorder.directory.weights,
        metadata: ["format": "quillan-weights", "version": "1", "steps": "\(done)", "phase": title])
      try recorder.finish(panels: Self.panels)
    }
    return Outcome(
      directory: recorder?.directory, steps: done, stopped: stopped && done < total,
      seconds: (ContinuousClock.now - start) / .seconds(1), before: before, after: after, examples: examples)
  }

  private static let panels: [(title: String, label: String, metrics: [String])] = [
    ("Reward", "mean reward", ["reward"]),
    ("Held-out exact match", "share", ["eval/exact_match"]),
    ("Held-out bits per byte", "bits", ["eval/bits_per_byte"]),
    ("Loss", "loss", ["loss", "loss/cross_entropy", "loss/diffusion"]),
    ("Entropy and KL to π_old", "nats", ["entropy", "kl"]),
  ]

  private var evaluator: Evaluator {
    Evaluator(
      configuration: configuration, model: assembly.model, tokenizer: assembly.tokenizer,
      communicator: communicator, context: assembly.context)
  }

  private func evaluateTask(_ prompts: any PromptSource, _ rewards: WeightedRewards, _ learner: Learner) throws
    -> ([String: Double], [SamplesWriter.Sample])
  {
    let count = min(configuration.evaluation.count, prompts.heldOutCount ?? configuration.evaluation.count)
    guard count > 0 else { return ([:], []) }
    let result = try evaluator.task(prompts, rewards, count: count, samples: 0, learner.weights)
    return (
      ["eval/exact_match": result.exactMatch, "eval/reward": result.reward, "eval/mean_length": result.meanLength],
      result.examples
    )
  }

  private func evaluateText(_ stream: TokenStream, _ learner: Learner) throws
    -> ([String: Double], [SamplesWriter.Sample])
  {
    let length = min(configuration.pretrain.sequenceLength, configuration.model.maxSeqLen)
    let result = try evaluator.text(stream, length: length, learner.weights)
    return (["eval/bits_per_byte": result.bitsPerByte, "eval/cross_entropy": result.crossEntropy], [])
  }
}
