import Tensors

/// One layer's keys and values of one sequence, as attention reads them.
///
/// Keys: [head, block of 16 positions, feature, 16], so that one vector holds a feature of sixteen keys.
/// Values: [head, position, feature].
public struct KeyValueView: BitwiseCopyable, @unchecked Sendable {
  let keys: UnsafeMutablePointer<Float>
  let values: UnsafeMutablePointer<Float>
  let heads: Int
  let headDim: Int
  /// Capacity in positions; a multiple of sixteen.
  let capacity: Int

  static func count(heads: Int, headDim: Int, positions: Int) -> Int {
    heads * headDim * VectorLanes.padded(positions)
  }

  init(
    keys: UnsafeMutablePointer<Float>, values: UnsafeMutablePointer<Float>, heads: Int, headDim: Int, positions: Int
  ) {
    self.keys = keys
    self.values = values
    self.heads = heads
    self.headDim = headDim
    capacity = VectorLanes.padded(positions)
  }

  func headKeys(_ head: Int) -> UnsafeMutablePointer<Float> { keys + head * capacity * headDim }
  func headValues(_ head: Int) -> UnsafeMutablePointer<Float> { values + head * capacity * headDim }

  /// Stores the key and value rows [heads · headDim] of one position.
  func store(position: Int, key: UnsafePointer<Float>, value: UnsafePointer<Float>) {
    precondition(position < capacity, "position \(position) of a cache for \(capacity)")
    for head in 0..<heads {
      Self.spread(key + head * headDim, into: headKeys(head), position: position, headDim: headDim)
      (headValues(head) + position * headDim).update(from: value + head * headDim, count: headDim)
    }
  }

  static func spread(
    _ row: UnsafePointer<Float>, into blocks: UnsafeMutablePointer<Float>, position: Int, headDim: Int
  ) {
    let block = blocks + (position / 16) * headDim * 16 + position % 16
    for index in 0..<headDim { block[index * 16] = row[index] }
  }
}

/// The keys and values of one sequence in all layers, kept during generation.
public final class KeyValueCache: @unchecked Sendable {
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
      count: 2 * layers * KeyValueView.count(heads: heads, headDim: headDim, positions: positions))
  }

  func layer(_ index: Int) -> KeyValueView {
    let count = KeyValueView.count(heads: heads, headDim: headDim, positions: capacity)
    return KeyValueView(
      keys: storage.pointer + 2 * index * count, values: storage.pointer + (2 * index + 1) * count, heads: heads,
      headDim: headDim, positions: capacity)
  }

  /// Copies the first `positions` positions from the cache of another sequence: a group shares the prefill of its
  /// prompt.
  public func copyPrefix(_ positions: Int, from other: KeyValueCache) {
    precondition(
      layers == other.layers && heads == other.heads && headDim == other.headDim && positions <= capacity
        && positions <= other.capacity, "a prefix of \(positions) positions does not fit a cache of \(capacity)")
    let whole = VectorLanes.padded(positions) * headDim
    for layer in 0..<layers {
      let target = self.layer(layer)
      let source = other.layer(layer)
      for head in 0..<heads {
        target.headKeys(head).update(from: source.headKeys(head), count: whole)
        target.headValues(head).update(from: source.headValues(head), count: positions * headDim)
      }
    }
  }
}
