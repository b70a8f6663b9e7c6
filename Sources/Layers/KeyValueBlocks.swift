import Tensors

/// The memory of key-value caches: blocks of sixteen positions of all layers, which sequences take as they grow and give
/// back when they end.
///
/// Sequences with a common beginning share its blocks. Memory is obtained in chunks that double up to `chunkBytes`, and
/// kept for later sequences. One thread at a time may change caches.
public final class KeyValueBlocks: @unchecked Sendable {
  /// Positions of a block: one vector of keys.
  public static let positions = VectorLanes.count
  /// The maximum size of a chunk of several blocks.
  public static let chunkBytes = 2 << 20

  let layers: Int
  let heads: Int
  let headDim: Int
  private var chunks: [AlignedBuffer<Float>] = []
  private var addresses: [UnsafeMutablePointer<Float>] = []
  /// How many caches use each block.
  private var users: [Int] = []
  private var unused: [Int] = []

  public init(layers: Int, heads: Int, headDim: Int) {
    self.layers = layers
    self.heads = heads
    self.headDim = headDim
  }

  /// Numbers of a block.
  private var size: Int { layers * KeyValueView.count(heads: heads, headDim: headDim) }

  /// Bytes obtained from the system.
  public var reservedBytes: Int { chunks.reduce(0) { $0 + 4 * $1.count } }

  /// Blocks that caches use now; a shared block counts once.
  public var usedBlocks: Int { addresses.count - unused.count }

  /// Maximum bytes that the system gives for `blocks` blocks: the last chunk may have more than are used.
  public static func bytes(layers: Int, dim: Int, blocks: Int) -> Int {
    let size = 4 * layers * KeyValueView.count(heads: 1, headDim: dim)
    let (bytes, overflow) = size.multipliedReportingOverflow(by: blocks)
    let (sum, exceeds) = bytes.addingReportingOverflow(min(bytes, max(size, chunkBytes)))
    return overflow || exceeds ? .max : sum
  }

  /// An empty cache.
  public func makeCache() -> KeyValueCache { KeyValueCache(self) }

  func address(_ block: Int) -> UnsafeMutablePointer<Float> { addresses[block] }
  func isShared(_ block: Int) -> Bool { users[block] > 1 }

  /// A block for one user, with any contents.
  func take() -> Int {
    if unused.isEmpty { grow() }
    let block = unused.removeLast()
    users[block] = 1
    return block
  }

  /// A block with the contents of `other`.
  func copy(of other: Int) -> Int {
    let block = take()
    addresses[block].update(from: addresses[other], count: size)
    return block
  }

  func addUser(_ block: Int) { users[block] += 1 }

  func removeUser(_ block: Int) {
    users[block] -= 1
    if users[block] == 0 { unused.append(block) }
  }

  private func grow() {
    let count = max(1, min(addresses.count, Self.chunkBytes / (4 * size)))
    let chunk = AlignedBuffer<Float>(count: count * size)
    chunks.append(chunk)
    // The first of the chunk is taken first.
    unused += (addresses.count..<addresses.count + count).reversed()
    users += [Int](repeating: 0, count: count)
    addresses += (0..<count).map { chunk.pointer + $0 * size }
  }
}
