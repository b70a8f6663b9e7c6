import Checkpoints
import Configuration
import Foundation
import Learning
import Models
import MPI
import Reports

/// Going on from a checkpoint: which, and whether it fits.
struct RunResumption {
  /// What a run goes on from, the same on every rank.
  struct Point {
    /// The run directory to go on in; nil: a new one.
    var directory: RunDirectory?
    var checkpoint: String
    var step: Int
    /// Whether the run had come to its end.
    var isFinished: Bool
    /// Whether a stop cut the evaluation of these weights short.
    var isEvaluationDue: Bool
    /// Damaged checkpoints that were skipped, and what is wrong with each.
    var skipped: [(path: String, problem: String)]
    /// Settings that differ from those that the checkpoint was written with.
    var changes: [String]
    /// `checkpoint.weights` of the run's start.
    var weights: String?
    /// What alarms had seen; nil on ranks other than 0, or where the checkpoint does not tell.
    var health: HealthMonitor?
    /// Rank 0's hold on the directory.
    var lock: RunLock?
  }

  let configuration: RunConfiguration
  let phase: String
  let communicator: Communicator
  let threads: Int
  /// What this run has read.
  let inputs: InputDigests
  /// Whether data may be other than it was.
  let acceptsChangedData: Bool

  /// Takes the newest whole checkpoint into `run`. Collective.
  ///
  /// - Returns: nil where there is nothing to go on from, which `--resume auto` allows.
  /// - Throws: `TrainingError`, on every rank.
  func resume(_ choice: ResumeChoice, name: String, into run: any Resumable) throws -> Point? {
    var found = ResumeChoice.Found()
    var problem = ""
    var lock: RunLock?
    if communicator.rank == 0 {
      do {
        found = try choice.find(parent: configuration.logging.directory, name: name)
        // Before anything is read: what another process goes on with changes meanwhile.
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
        .data, isAgreed: true, "none of \(skipped.count) checkpoints is whole, of which the newest: \(first.problem)")
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
        since: reader.manifest, path: path, configuration.data, accepting: acceptsChangedData)
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
    let words = try communicator.firstText(severity == worst ? problem : "") ?? ""
    switch worst {
    case 0: return manifest.map { .done($0, rules, health) } ?? .failed(path)
    case 1: return .damaged(words)
    case 2: return .unfit(words)
    case 4: return .changed(words)
    default: return .failed(words)
    }
  }
}

/// Which settings may change where a run goes on.
struct ResumeRules {
  private let configuration: RunConfiguration
  private let phase: String

  init(_ configuration: RunConfiguration, phase: String) {
    self.configuration = configuration
    self.phase = phase
  }

  /// What decides tensors, prompts or their order: with another value it would be another run.
  private static let fixed: Set<String> = [
    "rl.seed", "rl.batch_size", "rl.num_trajectories", "rl.mini_batches", "pretrain.batch_size",
    "pretrain.sequence_length", "optimizer.state", "data.task", "data.held_out", "data.split_version",
    "data.tokenizer", "data.max_prompt_len",
  ]

  /// What a run that goes on has to know of the checkpoint's settings.
  struct Outcome {
    /// Keys whose value has changed, as `key old → new`: those that the run reads, but what says where files lie.
    var changes: [String] = []
    /// `checkpoint.weights` of the run's start.
    var weights: String?
  }

  /// Holds the settings against those of a checkpoint.
  ///
  /// - Throws: `TrainingError` where a change makes going on impossible.
  func outcome(from reader: CheckpointReader) throws -> Outcome {
    let manifest = reader.manifest
    guard manifest.phase == phase else {
      let before = try? RunConfiguration.parse(yaml: manifest.configuration, file: reader.path)
      let advice = before.map { newRun(from: reader.path, $0) } ?? "start a new run without --resume"
      throw TrainingError(
        .configuration, "\(reader.path): is a checkpoint of '\(manifest.phase)', this is '\(phase)'; \(advice)")
    }
    var before: RunConfiguration
    do { before = try RunConfiguration.parse(yaml: manifest.configuration, file: reader.path) } catch {
      throw TrainingError(.configuration, "\(error); the checkpoint is of another version of this program")
    }
    var configuration = configuration
    (before.data.splitVersion, configuration.data.splitVersion) = (before.data.split, configuration.data.split)
    try checkRollouts(of: reader, before)
    let inputs = Set(InputDigests.Input.allCases.map(\.key))
    var outcome = Outcome(weights: try weights(before, reader.path))
    // What either command line would not read, the run does not use.
    let readers = [before, configuration].compactMap { configuration in
      RunPhase(rawValue: phase).map { IneffectiveKeys(configuration, phase: $0) }
    }
    for section in ConfigurationSection.all where section.name != "logging" && section.name != "checkpoint" {
      for field in section.fields {
        let (old, new) = (field.encode(before), field.encode(configuration))
        let key = "\(section.name).\(field.key)"
        guard old != new, !inputs.contains(key), readers.contains(where: { $0.isRead(key) }) else { continue }
        if section.name == "model" || section.name == "precision" || Self.fixed.contains(key) {
          throw TrainingError(
            .configuration,
            "\(key) is \(new), the checkpoint \(reader.path) was written with \(old); set it back, or "
              + newRun(from: reader.path, before))
        }
        if key == "rl.kl_coef", before.objective.klCoef == 0 {
          throw TrainingError(
            .configuration,
            "rl.kl_coef is \(new), the checkpoint \(reader.path) was written with 0 and has no reference to compare with; "
              + "set it back, or start a new run from its weights with --weights \(reader.path)")
        }
        if key == "rl.temperature", manifest.counters["waiting_updates"] ?? 0 > 0 {
          throw TrainingError(
            .configuration,
            "rl.temperature is \(new), but updates of the checkpoint \(reader.path) wait whose rollouts were drawn at \(old); "
              + "set it back for these, or go on from a checkpoint without")
        }
        outcome.changes.append("\(key) \(old) → \(new)")
      }
    }
    return outcome
  }

  /// `checkpoint.weights` of the run's start, which nothing can change afterwards.
  private func weights(_ before: RunConfiguration, _ path: String) throws -> String? {
    let (old, new) = (before.checkpoint.weights, configuration.checkpoint.weights)
    guard let new, new != old else { return old }
    func place(_ path: String) -> String { URL(fileURLWithPath: path).standardizedFileURL.path }
    if let old, place(old) == place(new) { return old }
    throw TrainingError(
      .configuration,
      "checkpoint.weights is \(new), the run of the checkpoint \(path) began with \(old ?? "initial weights"); leave it out "
        + "to go on, or start a new run")
  }

  /// How to begin another run, from the checkpoint's weights if the model of this configuration can take them.
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

  /// Refuses other rewards where rollouts of the checkpoint wait whose scores are those of its rewards.
  private func checkRollouts(of reader: CheckpointReader, _ before: RunConfiguration) throws {
    guard reader.manifest.tensor(TensorKey("summary.records", .rollout)) != nil else { return }
    func names(_ configuration: RunConfiguration) -> [String] {
      configuration.data.trajectories == nil ? configuration.data.rewards.map(\.termName) : []
    }
    let (old, new) = (names(before), names(configuration))
    guard old != new else { return }
    throw TrainingError(
      .configuration,
      "data.rewards has the terms \(new.joined(separator: ", ")), the rollouts that wait in \(reader.path) are scored by "
        + "\(old.joined(separator: ", ")); set it back for one step, or resume from an earlier checkpoint")
  }
}
