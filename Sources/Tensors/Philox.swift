/// The counter-based generator Philox4x32-10: every word is a function of (seed, stream, step, sequence, position, index),
/// with no state, so any rank can compute any number.
///
/// key = (seed low 32, seed high 32 XOR sequence high 32); counter = (block, position, sequence low 32, stream·2²⁴ + step).
///
/// Source: Salmon et al., Parallel random numbers: as easy as 1, 2, 3 (SC 2011).
public struct Philox: Sendable {
  public let seed: UInt64

  public init(seed: UInt64) { self.seed = seed }

  /// The first `count` words at a place: blocks 0, 1, 2… give words 4·block … 4·block + 3.
  public func words(stream: UInt32, step: UInt32 = 0, sequence: UInt64, position: UInt32, count: Int) -> [UInt32] {
    let key = SIMD2(
      UInt32(truncatingIfNeeded: seed),
      UInt32(truncatingIfNeeded: seed >> 32) ^ UInt32(truncatingIfNeeded: sequence >> 32))
    var words: [UInt32] = []
    words.reserveCapacity(count + 3)
    var block: UInt32 = 0
    while words.count < count {
      let output = Self.block(
        counter: SIMD4(block, position, UInt32(truncatingIfNeeded: sequence), stream << 24 + step), key: key)
      for lane in 0..<4 where words.count < count { words.append(output[lane]) }
      block += 1
    }
    return words
  }

  /// (word >> 8) · 2⁻²⁴, uniform in [0, 1).
  public static func uniform(_ word: UInt32) -> Float { Float(word >> 8) * 0x1p-24 }

  /// One block of four words.
  public static func block(counter: SIMD4<UInt32>, key: SIMD2<UInt32>) -> SIMD4<UInt32> {
    var counter = counter
    var key = key
    for _ in 0..<10 {
      let first = UInt64(counter[0]) * 0xD251_1F53
      let second = UInt64(counter[2]) * 0xCD9E_8D57
      counter = SIMD4(
        UInt32(truncatingIfNeeded: second >> 32) ^ counter[1] ^ key[0], UInt32(truncatingIfNeeded: second),
        UInt32(truncatingIfNeeded: first >> 32) ^ counter[3] ^ key[1], UInt32(truncatingIfNeeded: first))
      key = SIMD2(key[0] &+ 0x9E37_79B9, key[1] &+ 0xBB67_AE85)
    }
    return counter
  }
}
