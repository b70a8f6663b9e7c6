import Checkpoints
import Foundation

/// The state of alarms as a piece of a checkpoint: a resumed run raises the same alarms as an uninterrupted run.
///
/// `health` of kind `rollout`, U8: the JSON text of a `HealthMonitor`, whose member `patience` is
/// `logging.alarm_patience`.
enum HealthState {
  private static let key = TensorKey("health", .rollout)

  /// - Parameter rank: the rank that holds the state.
  static func piece(_ health: HealthMonitor, rank: Int) -> TensorPiece {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    guard let data = try? encoder.encode(health) else { preconditionFailure("the alarms cannot be encoded as JSON") }
    return TensorPiece(key, .uint8, [data.count], part: rank, elements: Array(data))
  }

  /// The saved state; nil if the checkpoint has none.
  ///
  /// - Throws: `CheckpointError`.
  static func read(_ reader: CheckpointReader) throws -> HealthMonitor? {
    guard reader.manifest.tensor(key) != nil else { return nil }
    let text = try reader.array(key, .uint8, of: UInt8.self)
    guard let health = try? JSONDecoder().decode(HealthMonitor.self, from: Data(text)),
      health.isPossible(at: reader.manifest.step)
    else {
      throw CheckpointError(
        .inconsistentLayout, path: reader.path, tensor: key.description, problem: "is not a valid alarm state",
        remedy: "use another checkpoint")
    }
    return health
  }
}
