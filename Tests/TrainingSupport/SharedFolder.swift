import Foundation
import MPI
import Training

/// A folder that all ranks share and rank 0 removes.
package final class SharedFolder {
  package let path: String
  private let ranks: Communicator

  /// Collective.
  package init(_ ranks: Communicator) throws {
    self.ranks = ranks
    let own = FileManager.default.temporaryDirectory.appendingPathComponent("quillan-runs-\(UUID().uuidString)").path
    path = String(decoding: try ranks.broadcast(Array(own.utf8), from: 0), as: UTF8.self)
    if ranks.rank == 0 { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
    try ranks.barrier()
  }

  deinit { if ranks.rank == 0 { try? FileManager.default.removeItem(atPath: path) } }

  /// Removes a file or folder in it. Collective.
  package func remove(_ name: String) throws {
    try ranks.barrier()
    if ranks.rank == 0 { try FileManager.default.removeItem(atPath: "\(path)/\(name)") }
    try ranks.barrier()
  }

  /// The lines of metrics.jsonl of a run without times, memory and transferred bytes.
  package func metrics(_ run: String) throws -> [String] {
    let text = try String(contentsOfFile: "\(path)/\(run)/metrics.jsonl", encoding: .utf8)
    return text.split(separator: "\n").map { line in
      line.split(separator: ",").filter { part in
        !["time", "reward/wait", "tokens_per_second", "memory/", "publication/"].contains { part.contains($0) }
      }
      .joined(separator: ",")
    }
  }

  package func bytes(_ name: String) -> Data? { FileManager.default.contents(atPath: "\(path)/\(name)") }
}
