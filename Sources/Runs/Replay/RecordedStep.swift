import Checkpoints
import Configuration
import Foundation
import Learning
import Reports
import Rollouts
import Formats

/// What a run directory says about one of its steps: the configuration that it ran with, where it can be started from,
/// and the figures that it gave.
public struct RecordedStep: Sendable {
  public let directory: RunDirectory
  /// The number of the step, from 1.
  public let step: Int
  /// The configuration that the step ran with.
  public let configuration: RunConfiguration
  /// Where that is written.
  public let source: String
  public let phase: RunPhase
  /// The ranks of the run and P, where a checkpoint tells.
  public let layout: (ranks: Int, expert: Int)?
  /// The step's members of metrics.jsonl; nil where it has no line.
  let line: [String: JSONValue]?
  /// Checkpoints before the step, the newest first.
  let checkpoints: [String]
  /// Whether the run's first step was step 1, from the weights that the configuration names.
  let beginsWithWeights: Bool
  /// What was found damaged.
  public let problems: [String]

  /// Reads what there is, but no tensor.
  ///
  /// - Parameters:
  ///   - path: the run's directory.
  ///   - checkpoint: one to start from instead of the newest before the step.
  ///   - overrides: `section.key=value`, for files that have moved.
  /// - Throws: `ReportError`, `ConfigurationError`, `CheckpointError`; `TrainingError` where the run has no such step.
  public init(_ path: String, step: Int, checkpoint: String? = nil, overrides: [String] = []) throws {
    let path = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
    directory = try RunDirectory.open(path)
    self.step = step
    let lines = try RunContent(path: path).lines.filter { $0.members["learning_rate"] != nil }
    line = lines.first { $0.step == step }?.members

    var problems: [String] = []
    var readers: [CheckpointReader] = []
    for found in try CheckpointStore(path: directory.checkpoints).checkpoints() {
      do { readers.append(try CheckpointReader(found)) } catch {
        problems.append("skipped a damaged checkpoint: \(error)")
      }
    }
    let named = try checkpoint.map { try CheckpointReader(CheckpointStore.checkpoint(at: $0)) }
    self.problems = problems
    // A run goes on from checkpoints only, so what the next one holds is what the steps before it ran with.
    let next = readers.last { $0.manifest.step >= step }
    source = next?.path ?? directory.configuration
    if let next {
      configuration = try RunConfiguration.parse(
        yaml: next.manifest.configuration, file: source, overrides: overrides)
    } else {
      configuration = try RunConfiguration.load(path: source, overrides: overrides)
    }
    let known = next ?? named ?? readers.first
    layout = known.map { (ranks: $0.manifest.ranks, expert: $0.manifest.expertParallel) }
    let isPretraining =
      known.map { $0.manifest.phase == "pretrain" }
      ?? lines.contains { $0.members["loss/cross_entropy"] != nil }
    phase = isPretraining ? .pretrain : .train
    beginsWithWeights = (lines.first?.step ?? 1) <= configuration.logging.every
    checkpoints = named.map { [$0.path] } ?? readers.filter { $0.manifest.step < step }.map(\.path)

    let last = max(lines.last?.step ?? 0, readers.first?.manifest.step ?? 0)
    // The step after the last one may be the one that failed.
    guard step <= last + configuration.logging.every else {
      throw TrainingError(
        .configuration, "\(path): step \(step) was never begun; the last on record is step \(last)")
    }
    if let named, named.manifest.step >= step {
      throw TrainingError(
        .configuration,
        "\(named.path): is of step \(named.manifest.step), step \(step) begins from one before it; name an earlier one")
    }
    guard !checkpoints.isEmpty || beginsWithWeights else {
      throw TrainingError(
        .failure,
        "\(path): no checkpoint of a step before \(step) is left, and the run went on from one elsewhere; name that "
          + "with --checkpoint")
    }
  }
}
