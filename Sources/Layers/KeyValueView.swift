import Tensors

/// One layer's keys and values of one sequence, as attention reads them, in blocks of sixteen positions.
///
/// A block has, for each layer, keys [head, feature, 16], so that one vector holds a feature of sixteen keys, and values
/// [head, 16, feature].
public struct KeyValueView: BitwiseCopyable, Sendable {
  private let blocks: ArrayView<UnsafeMutablePointer<Float>>
  /// Where the layer begins in a block.
  private let first: Int
  private let heads: Int
  private let headDim: Int

  /// Numbers of one layer of a block.
  static func count(heads: Int, headDim: Int) -> Int { 2 * heads * headDim * VectorLanes.count }

  init(_ blocks: ArrayView<UnsafeMutablePointer<Float>>, first: Int, heads: Int, headDim: Int) {
    self.blocks = blocks
    self.first = first
    self.heads = heads
    self.headDim = headDim
  }

  /// Memory for `positions` positions of one layer.
  init(heads: Int, headDim: Int, positions: Int, in arena: Arena) {
    let size = Self.count(heads: heads, headDim: headDim)
    let blocks = arena.view(UnsafeMutablePointer<Float>.self, VectorLanes.panels(positions))
    let numbers = arena.vector(blocks.count * size)
    for block in blocks.indices { blocks[block] = numbers.pointer + block * size }
    self.init(blocks, first: 0, heads: heads, headDim: headDim)
  }

  /// The keys and values of one head.
  func blocks(_ head: Int) -> AttentionHead.Blocks {
    AttentionHead.Blocks(blocks, keys: keys(head), values: values(head))
  }

  private func keys(_ head: Int) -> Int { first + head * headDim * VectorLanes.count }
  private func values(_ head: Int) -> Int { first + (heads + head) * headDim * VectorLanes.count }

  /// Stores the key and value rows [heads · headDim] of one position.
  func store(position: Int, key: Vector, value: Vector) {
    let block = blocks[position / VectorLanes.count]
    let offset = position % VectorLanes.count
    for head in 0..<heads {
      let features = head * headDim..<(head + 1) * headDim
      Self.spread(
        key.part(features), into: Vector(block + keys(head), count: headDim * VectorLanes.count), position: offset)
      Vector(block + values(head) + offset * headDim, count: headDim).copy(from: value.part(features))
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
