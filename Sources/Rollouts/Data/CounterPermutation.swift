import Tensors

/// A permutation of 0 ..< count whose elements can be computed independently: a Feistel network of eight rounds keyed
/// by Philox (sequence = epoch), walked until it lands below the count.
///
/// Sources: Luby and Rackoff (1988); Black and Rogaway, Ciphers with arbitrary finite domains (2002), cycle walking.
public struct CounterPermutation: Sendable {
  /// From 1 to 2⁶⁰.
  public let count: Int
  public let epoch: UInt64
  private let stream: RandomStream
  private let generator: Philox
  private let halfBits: UInt64

  public init(count: Int, seed: UInt64, epoch: UInt64, stream: RandomStream = .shuffling) {
    precondition((1...1 << 60).contains(count), "a permutation of \(count) elements; give 1 to 2^60")
    self.count = count
    self.epoch = epoch
    self.stream = stream
    generator = Philox(seed: seed)
    let bits = UInt64(Int.bitWidth - (count - 1).leadingZeroBitCount)
    halfBits = max(1, (bits + 1) / 2)
  }

  /// The element at an index in 0 ..< count.
  public subscript(index: Int) -> Int {
    precondition((0..<count).contains(index), "index \(index) of a permutation of \(count) elements")
    var value = UInt64(index)
    // The domain is less than four times the count (or four), so a walk is short. It ends because the network is a
    // permutation.
    repeat { value = network(value) } while value >= UInt64(count)
    return Int(value)
  }

  private func network(_ value: UInt64) -> UInt64 {
    let mask = UInt64(1) << halfBits - 1
    var left = value >> halfBits
    var right = value & mask
    for round in 0..<8 {
      let words = generator.words(stream: stream, sequence: epoch, position: UInt32(right), count: 8)
      (left, right) = (right, left ^ (UInt64(words[round]) & mask))
    }
    return left << halfBits | right
  }
}
