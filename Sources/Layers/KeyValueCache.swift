import Tensors

/// The keys and values of one sequence in all layers, kept during generation, in as many blocks as its positions need.
public final class KeyValueCache: @unchecked Sendable {
  private let memory: KeyValueBlocks
  /// The blocks in the order of positions, and their addresses for attention.
  private var blocks: [Int] = []
  private var addresses: UnsafeMutablePointer<UnsafeMutablePointer<Float>>
  private var capacity = 8

  /// An empty cache.
  init(_ memory: KeyValueBlocks) {
    self.memory = memory
    addresses = .allocate(capacity: capacity)
  }

  /// A cache that begins with the first `positions` positions of `other`, without a copy: a group shares the prefill of
  /// its prompt.
  public convenience init(sharing positions: Int, of other: KeyValueCache) {
    let count = VectorLanes.panels(positions)
    precondition(count <= other.blocks.count, "\(positions) positions of a cache of \(other.blocks.count) blocks")
    self.init(other.memory)
    for block in other.blocks[..<count] {
      memory.addUser(block)
      append(block)
    }
  }

  deinit {
    for block in blocks { memory.removeUser(block) }
    addresses.deallocate()
  }

  /// Makes `positions` ready to be written: adds blocks for new positions, and copies blocks that another cache uses.
  public func prepare(_ positions: Range<Int>) {
    while blocks.count * KeyValueBlocks.positions < positions.upperBound { append(memory.take()) }
    guard !positions.isEmpty else { return }
    let first = positions.lowerBound / KeyValueBlocks.positions
    let last = (positions.upperBound - 1) / KeyValueBlocks.positions
    for index in first...last where memory.isShared(blocks[index]) {
      let copy = memory.copy(of: blocks[index])
      memory.removeUser(blocks[index])
      blocks[index] = copy
      addresses[index] = memory.address(copy)
    }
  }

  private func append(_ block: Int) {
    if blocks.count == capacity {
      let larger = UnsafeMutablePointer<UnsafeMutablePointer<Float>>.allocate(capacity: 2 * capacity)
      larger.moveInitialize(from: addresses, count: blocks.count)
      addresses.deallocate()
      addresses = larger
      capacity *= 2
    }
    (addresses + blocks.count).initialize(to: memory.address(block))
    blocks.append(block)
  }

  /// The keys and values of one layer, valid until the cache changes.
  func layer(_ index: Int) -> KeyValueView {
    let size = KeyValueView.count(heads: memory.heads, headDim: memory.headDim)
    return KeyValueView(
      ArrayView(addresses, count: blocks.count), first: index * size, heads: memory.heads, headDim: memory.headDim)
  }
}
