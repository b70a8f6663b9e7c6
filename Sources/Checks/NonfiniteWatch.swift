import Parameters
import Tensors

/// Records the first non-finite activation or gradient of a step in debug mode.
struct NonfiniteWatch: Sendable {
  /// A non-finite value.
  struct Finding: Sendable, Equatable {
    let part: PassPart
    let what: String
    let row: Int
    let column: Int
    let value: Float

    /// `layer 1 forward, attention`.
    var place: String {
      let name =
        switch part.kind {
        case .embedding: "embedding"
        case .latents: "latents"
        case .layer: "layer \(part.layer ?? 0)"
        case .head: "head"
        case .diffusionLoss: "diffusion loss"
        }
      return "\(name) \(part.isBackward ? "backward, gradient of" : "forward,") \(what)"
    }
  }

  private(set) var first: Finding?
  private(set) var seconds = 0.0

  mutating func check(_ values: Matrix, _ what: StaticString, in part: PassPart) {
    guard first == nil else { return }
    let start = ContinuousClock.now
    defer { seconds += (ContinuousClock.now - start) / .seconds(1) }
    guard !Self.isFinite(values) else { return }
    for row in 0..<values.rows {
      for column in 0..<values.columns where !values.row(row)[column].isFinite {
        first = Finding(part: part, what: "\(what)", row: row, column: column, value: values.row(row)[column])
        return
      }
    }
  }

  /// The first non-finite weight, in words; nil if all are finite.
  static func weight(_ masters: ParameterStore) -> String? {
    for id in masters.held {
      let values = masters.values(id)
      let whole = Matrix(masters.pointer(id), rows: 1, columns: values.count)
      if !isFinite(whole), let index = values.firstIndex(where: { !$0.isFinite }) {
        return "the weight \(masters.table[id].name)[\(index)] is \(values[index])"
      }
    }
    return nil
  }

  /// Clears the recorded value.
  mutating func reset() { first = nil }

  /// Whether all values are finite: no exponent has all bits set.
  private static func isFinite(_ values: Matrix) -> Bool {
    let mask: UInt32 = 0x7f80_0000
    var found: UInt32 = 0
    for index in 0..<values.count {
      found |= values.pointer[index].bitPattern & mask == mask ? 1 : 0
    }
    return found == 0
  }
}
