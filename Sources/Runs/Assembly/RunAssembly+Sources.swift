import Configuration
import Foundation
import Learning
import Rollouts

/// A set of prompts that evaluations measure.
public struct EvaluatedPrompts: Sendable {
  /// The name in metrics (`eval/NAME/…`); nil if only the metrics `eval/…` measure it.
  public let name: String?
  public let source: any PromptSource
  /// Whether the metrics `eval/…` measure it, together with the other sets of which this is true.
  public let isMain: Bool
}

extension RunAssembly {
  /// Receives the bytes of the files of prompts.
  typealias InputObserver = (InputDigests.Input, UnsafeRawBufferPointer) -> Void

  /// The configured prompts.
  ///
  /// - Parameters:
  ///   - use: the purpose of the prompts.
  ///   - observe: receives the bytes of the prompt files.
  func prompts(for use: PromptUse, observing observe: InputObserver) throws -> any PromptSource {
    switch try configuration.promptSource(file: file) {
    case .task(let task): return try prompts(of: task, heldOut: configuration.data.heldOut, for: use)
    case .file(let path):
      return try promptSet(path, configuration.data.members(), heldOut: configuration.data.heldOut, for: use) {
        observe(.prompts, $0)
      }
    case .sources(let sources):
      let parts = try sources.map { source in
        let heldOut = source.heldOut ?? configuration.data.heldOut
        let base: any PromptSource
        if let task = source.task {
          base = try prompts(of: task, heldOut: heldOut, for: use)
        } else {
          base = try promptSet(source.prompts ?? "", configuration.data.members(of: source), heldOut: heldOut, for: use)
          {
            observe(.source(source.name), $0)
          }
        }
        return PromptMixture.Part(
          name: source.name, weight: source.weight,
          source: SourcePrompts(base, name: source.name, form: try form(of: source)))
      }
      return PromptMixture(
        name: "data.sources", parts: parts, seed: configuration.rl.seed, isShuffled: configuration.data.shuffle)
    }
  }

  private func promptSet(
    _ path: String, _ members: PromptMembers, heldOut: Double, for use: PromptUse, observe: ContentObserver
  ) throws -> PromptSet {
    try PromptSet(
      name: path,
      prompts: PromptFile.prompts(at: URL(fileURLWithPath: path), members: members, observe: observe),
      seed: configuration.rl.seed, heldOutShare: heldOut, version: configuration.data.split, use: use,
      isShuffled: configuration.data.shuffle)
  }

  private func form(of source: DataSourceConfiguration) throws -> PromptForm {
    PromptForm(
      template: try PromptTemplate(source.template ?? configuration.data.template),
      maximumLength: source.maxPromptLen ?? configuration.data.maxPromptLen)
  }

  /// The sets of prompts that an evaluation measures: the held-out part of each source, then `evaluation.sources` and
  /// `evaluation.tasks`. `evaluation.sources` are the main sets if nothing is held out.
  ///
  /// - Parameters:
  ///   - prompts: the prompts of training; nil if there are none.
  ///   - observe: receives the bytes of the files of `evaluation.sources`.
  func evaluatedPrompts(
    _ prompts: (any PromptSource)?, observing observe: InputObserver
  ) throws -> [EvaluatedPrompts] {
    var sets: [EvaluatedPrompts] = []
    if let mixture = prompts as? PromptMixture {
      sets = mixture.parts.map { EvaluatedPrompts(name: $0.name, source: $0.source, isMain: true) }
    } else if let prompts {
      sets = [EvaluatedPrompts(name: nil, source: prompts, isMain: true)]
    }
    sets.removeAll { $0.source.heldOutCount == 0 }
    let hasHeldOut = !sets.isEmpty
    for source in configuration.evaluation.sources {
      let base: any PromptSource
      if let task = source.task {
        // A task has no last problem, so that its held-out part is evaluated.
        base = try self.prompts(
          of: task, heldOut: configuration.data.heldOut > 0 ? configuration.data.heldOut : 0.5, for: .reinforcement)
      } else {
        let path = source.prompts ?? ""
        let prompts = try PromptFile.prompts(
          at: URL(fileURLWithPath: path), members: configuration.data.members(of: source),
          observe: { observe(.evaluationSource(source.name), $0) })
        base = try PromptSet(
          name: path, train: [], heldOut: prompts, seed: configuration.rl.seed, version: configuration.data.split)
      }
      sets.append(
        EvaluatedPrompts(
          name: source.name, source: SourcePrompts(base, name: Self.rewardName(source), form: try form(of: source)),
          isMain: !hasHeldOut))
    }
    for (name, task) in zip(configuration.evaluationTaskNames, configuration.evaluation.tasks) {
      let source = try self.prompts(of: task, heldOut: configuration.data.heldOut, for: .reinforcement)
      sets.append(EvaluatedPrompts(name: name, source: source, isMain: false))
    }
    return sets
  }

  /// The name by which the rewards of an evaluated source are found; the name of a source of training may be the same.
  private static func rewardName(_ source: DataSourceConfiguration) -> String { "evaluation.\(source.name)" }

  /// The configured rewards of training with their weights, those of sources included.
  public func rewards() throws -> WeightedRewards {
    let data = configuration.data
    var rewards = try rewards(data.rewards, "data.rewards")
    for source in data.sources where !source.rewards.isEmpty {
      rewards.add(try self.rewards(source.rewards, "data.sources '\(source.name)'"), of: source.name)
    }
    return rewards
  }

  /// The rewards of training, and those of `evaluation.sources`.
  func evaluationRewards(_ training: WeightedRewards) throws -> WeightedRewards {
    var rewards = training
    for source in configuration.evaluation.sources where !source.rewards.isEmpty {
      rewards.add(
        try self.rewards(source.rewards, "evaluation.sources '\(source.name)'"), of: Self.rewardName(source))
    }
    return rewards
  }

  /// Warns about evaluated prompts that are also trained on.
  ///
  /// - Returns: one line for each set of `evaluation.sources` with such prompts.
  static func overlapWarnings(_ prompts: (any PromptSource)?, _ sets: [EvaluatedPrompts]) -> [String] {
    let sources = (prompts as? PromptMixture)?.parts.map(\.source) ?? prompts.map { [$0] } ?? []
    var trained: Set<String> = []
    for source in sources { trained.formUnion((source.promptSet?.train ?? []).map(\.text)) }
    return sets.compactMap { set in
      guard let name = set.name, let evaluated = set.source.promptSet, evaluated.train.isEmpty else { return nil }
      let count = evaluated.heldOut.count { trained.contains($0.text) }
      return count == 0
        ? nil
        : "evaluation.sources '\(name)': \(count) of \(evaluated.heldOut.count) prompts are also trained on; remove them "
          + "from the training data"
    }
  }
}

extension PromptSource {
  /// The set behind a source that reads a file; nil for a task or a mixture.
  var promptSet: PromptSet? { self as? PromptSet ?? (self as? SourcePrompts)?.base.promptSet }

  /// The task behind a source; nil for a file or a mixture.
  var task: ProceduralTask? { self as? ProceduralTask ?? (self as? SourcePrompts)?.base.task }
}
