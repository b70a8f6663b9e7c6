import Checkpoints
import Configuration
import Foundation
import Learning
import Models
import MPI
import Reports

/// Resumes a run: chooses a checkpoint and checks that it fits.
struct RunResumption {
  /// The state that a run resumes from, the same on every rank except for `health` and `lock`.
  struct Point {
    /// The run directory to continue in; nil for a new one.
    var directory: RunDirectory?
    var checkpoint: String
    var step: Int
    /// Whether the run had finished.
    var isFinished: Bool
    /// Whether the evaluation of these weights was interrupted.
    var isEvaluationDue: Bool
    /// Skipped damaged checkpoints, each with its problem.
    var skipped: [(path: String, problem: String)]
    /// Settings that have changed since the checkpoint.
    var changes: [String]
    /// `checkpoint.weights` of the original start.
    var weights: String?
    /// The state of alarms; nil on ranks other than 0, or if the checkpoint has none.
    var health: HealthMonitor?
    /// Rank 0's lock on the directory.
    var lock: RunLock?
  }

  let configuration: RunConfiguration
  let phase: String
  let communicator: Communicator
  let threads: Int
  /// Digests of this run's input files.
  let inputs: InputDigests
  /// Whether changed data is allowed.
  let acceptsChangedData: Bool

  /// Loads the newest usable checkpoint into `run`. Collective.
  ///
  /// - Returns: nil if `--resume auto` finds no checkpoint.
  /// - Throws: `TrainingError`, on every rank.
  func resume(_ choice: ResumeChoice, name: String, into run: any Resumable) throws -> Point? {
    var found = ResumeChoice.Found()
    var problem = ""
    var lock: RunLock?
    if communicator.rank == 0 {
      do {
        found = try choice.find(parent: configuration.logging.directory, name: name)
        // Before reading: another process in the directory could change its checkpoints meanwhile.
        lock = try found.directory.map { try RunLock($0) }
      } catch { problem = "\(error)" }
    }
    if let problem = try communicator.firstText(problem) { throw TrainingError(.failure, isAgreed: true, problem) }
    found = try communicator.broadcast(record: found, from: 0)
    var skipped: [(path: String, problem: String)] = []
    for path in found.checkpoints {
      let attempt = try attempt(path, into: run)
      switch attempt {
      case .done(let manifest, let rules, let health):
        try run.completeResume()
        return Point(
          directory: found.directory.map(RunDirectory.init(path:)), checkpoint: path, step: manifest.step,
          isFinished: manifest.counters["finished"] == 1,
          isEvaluationDue: manifest.counters["evaluation_due"] == 1, skipped: skipped, changes: rules.changes,
          weights: rules.weights, health: health, lock: lock)
      case .damaged(let problem):
        if found.isNamed { throw TrainingError(.data, isAgreed: true, problem) }
        skipped.append((path, problem))
      case .changed(let problem): throw TrainingError(.data, isAgreed: true, problem)
      case .unfit(let problem): throw TrainingError(.configuration, isAgreed: true, problem)
      case .failed(let problem): throw TrainingError(.failure, isAgreed: true, problem)
      }
    }
    if let first = skipped.first {
      throw TrainingError(
        .data, isAgreed: true, "none of the \(skipped.count) checkpoints is usable; the newest: \(first.problem)")
    }
    return nil
  }

  private enum Attempt {
    case done(Manifest, ResumeRules.Outcome, HealthMonitor?)
    case damaged(String)
    case changed(String)
    case unfit(String)
    case failed(String)
  }

  private func attempt(_ path: String, into run: any Resumable) throws -> Attempt {
    var manifest: Manifest?
    var rules = ResumeRules.Outcome()
    var health: HealthMonitor?
    var problem = ""
    var severity: Int32 = 0
    do {
      let reader = try CheckpointReader(path)
      rules = try ResumeRules(configuration, phase: phase).outcome(from: reader)
      rules.changes += try inputs.changes(
        since: reader.manifest, path: path, configuration, accepting: acceptsChangedData)
      try run.learner.resume(from: reader, threads: threads)
      try run.resume(from: reader, threads: threads)
      if communicator.rank == 0 { health = try HealthState.read(reader) }
      manifest = reader.manifest
    } catch let error as TrainingError {
      (problem, severity) = ("\(error)", error.kind == .data ? 4 : 2)
    } catch let error as CheckpointError where error.code == .mismatch || error.code == .missingTensor {
      (problem, severity) = ("\(error)", 2)
    } catch let error as CheckpointError where error.isCorruptData || error.code == .inaccessible {
      (problem, severity) = ("\(error)", 1)
    } catch { (problem, severity) = ("\(error)", 3) }
    let worst = try communicator.allReduce(severity, .maximum)
    let text = try communicator.firstText(severity == worst ? problem : "") ?? ""
    switch worst {
    case 0: return manifest.map { .done($0, rules, health) } ?? .failed(path)
    case 1: return .damaged(text)
    case 2: return .unfit(text)
    case 4: return .changed(text)
    default: return .failed(text)
    }
  }
}

/// Which settings may change when a run resumes.
struct ResumeRules {
  private let configuration: RunConfiguration
  private let phase: String

  init(_ configuration: RunConfiguration, phase: String) {
    self.configuration = configuration
    self.phase = phase
  }

  /// Settings that determine tensors, prompts or their order: a different value makes a different run.
  private static let fixed: Set<String> = [
    "rl.seed", "rl.batch_size", "rl.num_trajectories", "rl.mini_batches", "pretrain.batch_size",
    "pretrain.sequence_length", "optimizer.state", "data.task", "data.held_out", "data.split_version",
    "data.tokenizer", "data.max_prompt_len", "data.shuffle", "data.sampler", "data.members",
  ]

  /// What a resumed run needs to know about the checkpoint's settings.
  struct Outcome {
    /// Changed settings that the run reads, as `key old → new`, except for paths of files.
    var changes: [String] = []
    /// `checkpoint.weights` of the original start.
    var weights: String?
  }

  /// Compares the settings with a checkpoint's.
  ///
  /// - Throws: `TrainingError` if a change makes resuming impossible.
  func outcome(from reader: CheckpointReader) throws -> Outcome {
    let manifest = reader.manifest
    guard manifest.phase == phase else {
      let before = try? RunConfiguration.parse(yaml: manifest.configuration, file: reader.path)
      let advice = before.map { newRun(from: reader.path, $0) } ?? "start a new run without --resume"
      throw TrainingError(
        .configuration, "\(reader.path): is a checkpoint of '\(manifest.phase)', but this run is '\(phase)'; \(advice)")
    }
    var before: RunConfiguration
    do { before = try RunConfiguration.parse(yaml: manifest.configuration, file: reader.path) } catch {
      throw TrainingError(.configuration, "\(error); another version of this program wrote the checkpoint")
    }
    var configuration = configuration
    (before.data.splitVersion, configuration.data.splitVersion) = (before.data.split, configuration.data.split)
    // A checkpoint without an order was written before there was a choice.
    before.precision.bf16Sums = before.precision.bf16Sums.resolved(hasTiles: false)
    configuration.precision.bf16Sums = configuration.precision.bf16Sums.resolved(hasTiles: false)
    try checkRollouts(of: reader, before)
    let inputs = Set(InputDigests.Input.keys.map(\.key))
    var outcome = Outcome(weights: try weights(before, reader.path))
    // A key that neither configuration reads has no effect on the run.
    let readers = [before, configuration].compactMap { configuration in
      RunPhase(rawValue: phase).map { IneffectiveKeys(configuration, phase: $0) }
    }
    for section in ConfigurationSection.all where section.name != "logging" && section.name != "checkpoint" {
      for field in section.fields {
        let (old, new) = (field.encode(before), field.encode(configuration))
        let key = "\(section.name).\(field.key)"
        if key == "data.sources" { try checkSources(before, configuration, reader.path) }
        guard old != new, !inputs.contains(key), readers.contains(where: { $0.isRead(key) }) else { continue }
        if section.name == "model" || section.name == "precision" || Self.fixed.contains(key) {
          throw TrainingError(
            .configuration,
            "\(key) is \(new), but the checkpoint \(reader.path) was written with \(old); restore it, or "
              + newRun(from: reader.path, before))
        }
        if key == "rl.kl_coef", before.objective.klCoef == 0 {
          throw TrainingError(
            .configuration,
            "rl.kl_coef is \(new), but the checkpoint \(reader.path) was written with 0 and lacks the reference policy; "
              + "restore it, or start a new run from its weights with --weights \(reader.path)")
        }
        if key == "rl.temperature", manifest.counters["waiting_updates"] ?? 0 > 0 {
          throw TrainingError(
            .configuration,
            "rl.temperature is \(new), but the pending rollouts of the checkpoint \(reader.path) were sampled at \(old); "
              + "restore it until they are trained on, or resume from a checkpoint without pending rollouts")
        }
        outcome.changes.append("\(key) \(old) → \(new)")
      }
    }
    return outcome
  }

  /// Rejects sources with other prompts or another order. Their files are compared by content, elsewhere.
  private func checkSources(_ before: RunConfiguration, _ now: RunConfiguration, _ path: String) throws {
    let (old, new) = (before.data.sources, now.data.sources)
    guard old.map(\.identity) != new.map(\.identity) else { return }
    let changed = zip(old, new).first { $0.identity != $1.identity }?.1 ?? new.dropFirst(old.count).first
    throw TrainingError(
      .configuration,
      "data.sources: \(changed.map { "'\($0.name)' differs" } ?? "a source is missing"), compared with the checkpoint "
        + "\(path); restore it, or \(newRun(from: path, before))")
  }

  /// `checkpoint.weights` of the original start, which cannot change afterwards.
  private func weights(_ before: RunConfiguration, _ path: String) throws -> String? {
    let (old, new) = (before.checkpoint.weights, configuration.checkpoint.weights)
    guard let new, new != old else { return old }
    func standardized(_ path: String) -> String { URL(fileURLWithPath: path).standardizedFileURL.path }
    if let old, standardized(old) == standardized(new) { return old }
    throw TrainingError(
      .configuration,
      "checkpoint.weights is \(new), but the run of the checkpoint \(path) began with \(old ?? "initial weights"); "
        + "omit it to resume, or start a new run")
  }

  /// How to start a new run, from the checkpoint's weights if they fit the model of this configuration.
  private func newRun(from path: String, _ before: RunConfiguration) -> String {
    let (old, new) = (Self.shapes(before), Self.shapes(configuration))
    return old != nil && old == new
      ? "start a new run from its weights, without --resume and with --weights \(path)"
      : "start a new run without --resume (its weights do not fit this model)"
  }

  /// The shapes of a configuration's parameters by name; nil if the configuration describes no model.
  private static func shapes(_ configuration: RunConfiguration) -> [String: [Int]]? {
    guard let model = try? QuillanModel(configuration.model, configuration.precision) else { return nil }
    return Dictionary(uniqueKeysWithValues: model.table.specifications.map { ($0.name, $0.shape) })
  }

  /// Rejects changed rewards if the checkpoint holds pending rollouts, which the previous rewards scored.
  private func checkRollouts(of reader: CheckpointReader, _ before: RunConfiguration) throws {
    guard RolloutPieces.records(of: reader) != nil else { return }
    func names(_ configuration: RunConfiguration) -> [String] {
      guard configuration.data.trajectories == nil else { return [] }
      let lists = [configuration.data.rewards] + configuration.data.sources.map(\.rewards)
      return lists.flatMap { $0.map(\.termName) }
    }
    let (old, new) = (names(before), names(configuration))
    guard old != new else { return }
    throw TrainingError(
      .configuration,
      "data.rewards has the terms \(new.joined(separator: ", ")), but the pending rollouts of \(reader.path) were scored by "
        + "\(old.joined(separator: ", ")); restore it for one step, or resume from an earlier checkpoint")
  }
}
