import Checkpoints
import Configuration
import Foundation
import Learning
import Reports
import Rollouts
import Formats

/// What a run directory records about a step: its configuration, the checkpoints before it, and its metrics.
public struct RecordedStep: Sendable {
  public let directory: RunDirectory
  /// The number of the step, from 1.
  public let step: Int
  /// The configuration that the step ran with.
  public let configuration: RunConfiguration
  /// The file of `configuration`.
  public let source: String
  public let phase: RunPhase
  /// The run's ranks and P; nil if no checkpoint states them.
  public let layout: (ranks: Int, expert: Int)?
  /// The step's members of metrics.jsonl; nil if the step has no line.
  let line: [String: JSONValue]?
  /// Checkpoints before the step, newest first.
  let checkpoints: [String]
  /// Whether the run started at step 1 from the configured weights.
  let beginsWithWeights: Bool
  /// Messages about damaged checkpoints that were skipped.
  public let problems: [String]

  /// Reads the records of a step, but no tensors.
  ///
  /// - Parameters:
  ///   - path: the run's directory.
  ///   - checkpoint: the checkpoint to start from instead of the newest before the step.
  ///   - overrides: `section.key=value`, for files that have moved.
  /// - Throws: `ReportError`, `ConfigurationError`, `CheckpointError`; `TrainingError` if the run has no such step.
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
    // Settings change only when a run resumes, so the next checkpoint holds the configuration of the steps before it.
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
    // The step after the last recorded one may have failed.
    guard step <= last + configuration.logging.every else {
      throw TrainingError(
        .configuration, "\(path): step \(step) was never begun; the last on record is step \(last)")
    }
    if let named, named.manifest.step >= step {
      throw TrainingError(
        .configuration,
        "\(named.path): is a checkpoint of step \(named.manifest.step), but step \(step) starts from an earlier one; "
          + "name an earlier checkpoint")
    }
    guard !checkpoints.isEmpty || beginsWithWeights else {
      throw TrainingError(
        .failure,
        "\(path): no checkpoint before step \(step) is left, and the run was resumed from a checkpoint elsewhere; name that "
          + "checkpoint with --checkpoint")
    }
  }
}
