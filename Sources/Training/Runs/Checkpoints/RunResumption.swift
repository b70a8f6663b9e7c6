import Checkpoints
import Foundation
import MPI

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
    /// Damaged checkpoints that were skipped, and what is wrong with each.
    var skipped: [(path: String, problem: String)]
    /// Settings that differ from those that the checkpoint was written with.
    var changes: [String]
    /// `checkpoint.weights` of the run's start.
    var weights: String?
    /// What alarms had seen; nil on ranks other than 0, or where the checkpoint does not tell.
    var health: HealthMonitor?
  }

  let configuration: RunConfiguration
  let phase: String
  let communicator: Communicator
  let threads: Int

  /// Takes the newest whole checkpoint into `run`. Collective.
  ///
  /// - Returns: nil where there is nothing to go on from, which `--resume auto` allows.
  /// - Throws: `TrainingError`, on every rank.
  func resume(_ choice: ResumeChoice, name: String, into run: any Resumable) throws -> Point? {
    var found = ResumeChoice.Found()
    var problem = ""
    if communicator.rank == 0 {
      do { found = try choice.find(parent: configuration.logging.directory, name: name) } catch { problem = "\(error)" }
    }
    if let problem = try communicator.firstText(problem) { throw TrainingError(.failure, isAgreed: true, problem) }
    let text = try communicator.broadcast(Array(found.text.utf8), from: 0)
    found = ResumeChoice.Found(text: String(decoding: text, as: UTF8.self))
    var skipped: [(path: String, problem: String)] = []
    for path in found.checkpoints {
      let attempt = try attempt(path, into: run)
      switch attempt {
      case .done(let manifest, let rules, let health):
        try run.completeResume()
        return Point(
          directory: found.directory.map(RunDirectory.init(path:)), checkpoint: path, step: manifest.step,
          isFinished: manifest.counters["finished"] == 1, skipped: skipped, changes: rules.changes,
          weights: rules.weights, health: health)
      case .damaged(let problem):
        if found.isNamed { throw TrainingError(.data, isAgreed: true, problem) }
        skipped.append((path, problem))
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
      try run.learner.resume(from: reader, threads: threads)
      try run.resume(from: reader, threads: threads)
      if communicator.rank == 0 { health = try HealthState.read(reader) }
      manifest = reader.manifest
    } catch let error as TrainingError {
      (problem, severity) = ("\(error)", 2)
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
    "pretrain.sequence_length", "optimizer.state", "data.task", "data.prompts", "data.text", "data.held_out",
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
      throw TrainingError(
        .configuration,
        "\(reader.path): is a checkpoint of '\(manifest.phase)', this is '\(phase)'; start from its weights with "
          + "--weights \(reader.path)")
    }
    let before: RunConfiguration
    do { before = try RunConfiguration.parse(yaml: manifest.configuration, file: reader.path) } catch {
      throw TrainingError(.configuration, "\(error); the checkpoint is of another version of this program")
    }
    var outcome = Outcome(weights: try weights(before, reader.path))
    // What either command line would not read, the run does not use.
    let readers = [before, configuration].compactMap { configuration in
      RunAssembly.Phase(rawValue: phase).map { IneffectiveKeys(configuration, phase: $0) }
    }
    for section in ConfigurationSection.all where section.name != "logging" && section.name != "checkpoint" {
      for field in section.fields {
        let (old, new) = (field.encode(before), field.encode(configuration))
        guard old != new else { continue }
        let key = "\(section.name).\(field.key)"
        guard readers.contains(where: { $0.isRead(key) }) else { continue }
        if section.name == "model" || section.name == "precision" || Self.fixed.contains(key) {
          throw TrainingError(
            .configuration,
            "\(key) is \(new), the checkpoint \(reader.path) was written with \(old); set it back, or start a new run "
              + "from its weights with --weights \(reader.path)")
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
}
