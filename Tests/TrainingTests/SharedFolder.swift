import Foundation
import MPI
import Training

/// A folder that all ranks share, and rank 0 removes.
final class SharedFolder {
  let path: String
  private let ranks: Communicator

  /// Collective.
  init(_ ranks: Communicator) throws {
    self.ranks = ranks
    let own = FileManager.default.temporaryDirectory.appendingPathComponent("quillan-runs-\(UUID().uuidString)").path
    path = String(decoding: try ranks.broadcast(Array(own.utf8), from: 0), as: UTF8.self)
    if ranks.rank == 0 { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
    try ranks.barrier()
  }

  deinit { if ranks.rank == 0 { try? FileManager.default.removeItem(atPath: path) } }

  /// Removes a part of it. Collective.
  func remove(_ name: String) throws {
    try ranks.barrier()
    if ranks.rank == 0 { try FileManager.default.removeItem(atPath: "\(path)/\(name)") }
    try ranks.barrier()
  }

  /// Lines of a run's metrics without times, and without what travelled.
  func metrics(_ run: String) throws -> [String] {
    let text = try String(contentsOfFile: "\(path)/\(run)/metrics.jsonl", encoding: .utf8)
    return text.split(separator: "\n").map { line in
      line.split(separator: ",").filter { part in
        !["time", "tokens_per_second", "memory/", "publication/"].contains { part.contains($0) }
      }
      .joined(separator: ",")
    }
  }

  func bytes(_ name: String) -> Data? { FileManager.default.contents(atPath: "\(path)/\(name)") }
}

extension TinyRun {
  /// Runs it with the configured rewards, in `logging.directory`. Collective.
  @discardableResult
  func execute(
    _ ranks: Communicator, name: String, phase: RunPhase = .train, resume: ResumeChoice? = nil,
    acceptsChangedData: Bool = false
  ) throws -> TrainingRun.Outcome {
    let assembly = try assembly(ranks)
    let materials = try assembly.materials(for: phase, weights: nil)
    let training = TrainingRun(
      assembly, name: name, resume: resume, acceptsChangedData: acceptsChangedData)
    let outcome = phase == .train ? try training.train(materials) : try training.pretrain(materials)
    try ranks.barrier()
    return outcome
  }
}
