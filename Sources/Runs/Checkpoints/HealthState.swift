import Checkpoints
import Foundation

/// What alarms have seen so far, as a piece of a checkpoint: a resumed run raises those of the run that was not stopped.
///
/// `health` of kind `rollout`, U8: the JSON text of a `HealthMonitor`, whose member `patience` is
/// `logging.alarm_patience`.
enum HealthState {
  private static let key = TensorKey("health", .rollout)

  /// - Parameter rank: who holds it.
  static func piece(_ health: HealthMonitor, rank: Int) -> TensorPiece {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    guard let data = try? encoder.encode(health) else { preconditionFailure("alarms that JSON cannot hold") }
    return TensorPiece(key, .uint8, [data.count], part: rank, elements: Array(data))
  }

  /// Nil where the checkpoint has none.
  ///
  /// - Throws: `CheckpointError`.
  static func read(_ reader: CheckpointReader) throws -> HealthMonitor? {
    guard reader.manifest.tensor(key) != nil else { return nil }
    let text = try reader.array(key, .uint8, of: UInt8.self)
    guard let health = try? JSONDecoder().decode(HealthMonitor.self, from: Data(text)),
      health.isPossible(at: reader.manifest.step)
    else {
      throw CheckpointError(
        .inconsistentLayout, path: reader.path, tensor: key.description, problem: "is not a state of alarms",
        remedy: "use another checkpoint")
    }
    return health
  }
}
