import Tensors

/// One layer's keys and values of one sequence, as attention reads them.
///
/// Keys: [head, block of 16 positions, feature, 16], so that one vector holds a feature of sixteen keys.
/// Values: [head, position, feature].
public struct KeyValueView: BitwiseCopyable, Sendable {
  /// All keys, then all values.
  private let numbers: Vector
  private let heads: Int
  private let headDim: Int
  /// Capacity in positions; a multiple of sixteen.
  private let capacity: Int

  static func count(heads: Int, headDim: Int, positions: Int) -> Int {
    2 * heads * headDim * VectorLanes.padded(positions)
  }

  init(_ numbers: Vector, heads: Int, headDim: Int, positions: Int) {
    precondition(
      numbers.count == Self.count(heads: heads, headDim: headDim, positions: positions),
      "keys and values of \(positions) positions in \(numbers.count) numbers")
    self.numbers = numbers
    self.heads = heads
    self.headDim = headDim
    capacity = VectorLanes.padded(positions)
  }

  /// The keys of one head [block, feature, 16].
  func keys(_ head: Int) -> Vector {
    let count = capacity * headDim
    return numbers.part(head * count..<(head + 1) * count)
  }

  /// The values of one head [position, feature].
  func values(_ head: Int) -> Matrix {
    let count = capacity * headDim
    return Matrix(
      numbers.part((heads + head) * count..<(heads + head + 1) * count).pointer, rows: capacity, columns: headDim)
  }

  /// Stores the key and value rows [heads · headDim] of one position.
  func store(position: Int, key: Vector, value: Vector) {
    precondition(position < capacity, "position \(position) of a cache for \(capacity)")
    for head in 0..<heads {
      let features = head * headDim..<(head + 1) * headDim
      Self.spread(key.part(features), into: keys(head), position: position)
      values(head)[position].copy(from: value.part(features))
    }
  }

  /// Writes the features of one position into the blocks of one head, as keys are stored.
  static func spread(_ row: Vector, into blocks: Vector, position: Int) {
    let lanes = VectorLanes.count
    precondition((position / lanes + 1) * row.count * lanes <= blocks.count, "position \(position) beyond the blocks")
    let block = blocks.pointer + (position / lanes) * row.count * lanes + position % lanes
    for index in 0..<row.count { block[index * lanes] = row.pointer[index] }
  }
}

/// The keys and values of one sequence in all layers, kept during generation.
public final class KeyValueCache: Sendable {
  public let capacity: Int
  private let layers: Int
  private let heads: Int
  private let headDim: Int
  private let storage: AlignedBuffer<Float>

  public init(layers: Int, heads: Int, headDim: Int, positions: Int) {
    self.layers = layers
    self.heads = heads
    self.headDim = headDim
    capacity = VectorLanes.padded(positions)
    storage = AlignedBuffer(
      count: layers * KeyValueView.count(heads: heads, headDim: headDim, positions: positions))
  }

  func layer(_ index: Int) -> KeyValueView {
    let count = KeyValueView.count(heads: heads, headDim: headDim, positions: capacity)
    return KeyValueView(
      storage.view.part(index * count..<(index + 1) * count), heads: heads, headDim: headDim, positions: capacity)
  }

  /// Copies the first `positions` positions from the cache of another sequence: a group shares the prefill of its
  /// prompt.
  public func copyPrefix(_ positions: Int, from other: KeyValueCache) {
    precondition(
      layers == other.layers && heads == other.heads && headDim == other.headDim && positions <= capacity
        && positions <= other.capacity, "a prefix of \(positions) positions does not fit a cache of \(capacity)")
    let blocks = VectorLanes.padded(positions) * headDim
    for layer in 0..<layers {
      let target = self.layer(layer)
      let source = other.layer(layer)
      for head in 0..<heads {
        target.keys(head).copy(from: source.keys(head).part(0..<blocks))
        target.values(head).vector.copy(from: source.values(head).rows(0..<positions).vector)
      }
    }
  }
}
