import Checkpoints
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
    /// Rank 0's hold on the directory.
    var lock: RunLock?
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
    var lock: RunLock?
    if communicator.rank == 0 {
      do {
        found = try choice.find(parent: configuration.logging.directory, name: name)
        // Before anything is read: what another process goes on with changes meanwhile.
        lock = try found.directory.map { try RunLock($0) }
      } catch { problem = "\(error)" }
    }
    if let problem = try communicator.firstText(problem) { throw TrainingError(.failure, isAgreed: true, problem) }
    let text = try communicator.broadcast(Array(found.text.utf8), from: 0)
    found = ResumeChoice.Found(text: String(decoding: text, as: UTF8.self))
    var skipped: [(path: String, problem: String)] = []
    for path in found.checkpoints {
      let attempt = try attempt(path, into: run)
      switch attempt {
      case .done(let manifest, let changes):
        try run.completeResume()
        return Point(
          directory: found.directory.map(RunDirectory.init(path:)), checkpoint: path, step: manifest.step,
          isFinished: manifest.counters["finished"] == 1, skipped: skipped, changes: changes,
          lock: lock)
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
    case done(Manifest, [String])
    case damaged(String)
    case unfit(String)
    case failed(String)
  }

  private func attempt(_ path: String, into run: any Resumable) throws -> Attempt {
    var manifest: Manifest?
    var changes: [String] = []
    var problem = ""
    var severity: Int32 = 0
    do {
      let reader = try CheckpointReader(path)
      changes = try ResumeRules(configuration, phase: phase).changes(from: reader)
      try run.learner.resume(from: reader, threads: threads)
      try run.resume(from: reader, threads: threads)
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
    case 0: return manifest.map { .done($0, changes) } ?? .failed(path)
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

  /// Keys whose value has changed, as `key old → new`; what says where files lie is left out.
  ///
  /// - Throws: `TrainingError` where a change makes going on impossible.
  func changes(from reader: CheckpointReader) throws -> [String] {
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
    var changes: [String] = []
    for section in ConfigurationSection.all where section.name != "logging" && section.name != "checkpoint" {
      for field in section.fields {
        let (old, new) = (field.encode(before), field.encode(configuration))
        guard old != new else { continue }
        let key = "\(section.name).\(field.key)"
        if section.name == "model" || section.name == "precision" || Self.fixed.contains(key) {
          throw TrainingError(
            .configuration,
            "\(key) is \(new), the checkpoint \(reader.path) was written with \(old); set it back, or start a new run "
              + "from its weights with --weights \(reader.path)")
        }
        changes.append("\(key) \(old) → \(new)")
      }
    }
    return changes
  }
}
