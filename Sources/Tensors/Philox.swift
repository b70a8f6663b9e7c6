import Foundation

/// Philox4x32-10, a counter-based random number generator without state: every word is a pure function of the seed, the
/// stream, the sequence, the position and the step, so it is the same on every rank, thread or batch that computes it.
///
/// Layout, for block b:
///
///     key     = (seed low 32,  seed high 32 XOR sequence high 32)
///     counter = (b,  position,  sequence low 32,  stream·2²⁴ + step)
///
/// and block b yields the words 4b … 4b+3 of its (stream, step, sequence, position).
///
/// Source: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).
public struct Philox: Sendable, Equatable {
  public let seed: UInt64

  @inlinable
  public init(seed: UInt64) { self.seed = seed }

  /// One application of the ten-round bijection.
  @inlinable
  public static func bijection(counter: SIMD4<UInt32>, key: SIMD2<UInt32>) -> SIMD4<UInt32> {
    var (c0, c1, c2, c3) = (counter[0], counter[1], counter[2], counter[3])
    var (k0, k1) = (key[0], key[1])
    for _ in 0..<10 {
      let product0 = UInt64(0xD251_1F53) &* UInt64(c0)
      let product1 = UInt64(0xCD9E_8D57) &* UInt64(c2)
      (c0, c1, c2, c3) = (
        UInt32(truncatingIfNeeded: product1 >> 32) ^ c1 ^ k0,
        UInt32(truncatingIfNeeded: product1),
        UInt32(truncatingIfNeeded: product0 >> 32) ^ c3 ^ k1,
        UInt32(truncatingIfNeeded: product0)
      )
      k0 &+= 0x9E37_79B9
      k1 &+= 0xBB67_AE85
    }
    return SIMD4(c0, c1, c2, c3)
  }

  /// The words 4·`block` … 4·`block` + 3.
  ///
  /// - Precondition: `step` < 2²⁴.
  @inlinable
  public func block(
    stream: RandomStream, step: UInt32 = 0, sequence: UInt64, position: UInt32, block: UInt32
  ) -> SIMD4<UInt32> {
    precondition(step < 1 << 24, "step \(step) does not fit the 24 bits that the counter has for it")
    let key = SIMD2(
      UInt32(truncatingIfNeeded: seed),
      UInt32(truncatingIfNeeded: seed >> 32) ^ UInt32(truncatingIfNeeded: sequence >> 32))
    let counter = SIMD4(block, position, UInt32(truncatingIfNeeded: sequence), stream.rawValue << 24 | step)
    return Self.bijection(counter: counter, key: key)
  }

  /// Writes words 0, 1, 2 … until `words` is full; allocates nothing.
  @inlinable
  public func fill(
    words: UnsafeMutableBufferPointer<UInt32>,
    stream: RandomStream, step: UInt32 = 0, sequence: UInt64, position: UInt32
  ) {
    var index = 0
    var number: UInt32 = 0
    while index < words.count {
      let four = block(stream: stream, step: step, sequence: sequence, position: position, block: number)
      let filled = min(4, words.count - index)
      for lane in 0..<filled { words[index + lane] = four[lane] }
      index += filled
      number += 1
    }
  }

  /// The first `count` words.
  @inlinable
  public func words(
    stream: RandomStream, step: UInt32 = 0, sequence: UInt64, position: UInt32, count: Int
  ) -> [UInt32] {
    [UInt32](unsafeUninitializedCapacity: count) { buffer, initialized in
      let target = UnsafeMutableBufferPointer(rebasing: buffer[..<count])
      fill(words: target, stream: stream, step: step, sequence: sequence, position: position)
      initialized = count
    }
  }

  /// Word 0 alone.
  @inlinable
  public func word(stream: RandomStream, step: UInt32 = 0, sequence: UInt64, position: UInt32) -> UInt32 {
    block(stream: stream, step: step, sequence: sequence, position: position, block: 0)[0]
  }

  /// Writes `count` random bits, least significant bit of word 0 first, eight to a byte (first bit lowest); bits
  /// past `count` in the last byte are 0. Allocates nothing.
  ///
  /// - Precondition: `packed` holds exactly ⌈`count`/8⌉ bytes.
  @inlinable
  public func bits(
    into packed: UnsafeMutableBufferPointer<UInt8>, count: Int,
    stream: RandomStream, step: UInt32 = 0, sequence: UInt64, position: UInt32
  ) {
    precondition(packed.count == (count + 7) / 8, "\(count) bits need \((count + 7) / 8) bytes, got \(packed.count)")
    var index = 0
    var number: UInt32 = 0
    while index < packed.count {
      let four = block(stream: stream, step: step, sequence: sequence, position: position, block: number)
      for byte in 0..<min(16, packed.count - index) {
        packed[index + byte] = UInt8(truncatingIfNeeded: four[byte >> 2] >> UInt32(8 * (byte & 3)))
      }
      index += 16
      number += 1
    }
    if count % 8 != 0 { packed[packed.count - 1] &= (1 << UInt8(count % 8)) - 1 }
  }

  /// A number in [0, 1): (word >> 8)·2⁻²⁴, exact in fp32.
  @inlinable
  public static func uniform(_ word: UInt32) -> Float {
    Float(word >> 8) * 0x1p-24
  }

  /// A standard normal deviate in double (Box–Muller): sqrt(−2 ln u1)·cos(2π u2) with
  /// u1 = ((word0 >> 8) + 1)·2⁻²⁴ in (0, 1] and u2 = (word1 >> 8)·2⁻²⁴.
  public static func normal(_ word0: UInt32, _ word1: UInt32) -> Double {
    let u1 = Double((word0 >> 8) + 1) * 0x1p-24
    let u2 = Double(word1 >> 8) * 0x1p-24
    return (-2 * log(u1)).squareRoot() * cos(2 * Double.pi * u2)
  }

  /// `normal` of words 2i and 2i + 1, times `deviation`, in fp32, for every i of `range`: writes element i of `values`.
  ///
  /// The bits are those of `normal` one by one.
  ///
  /// - Precondition: `range` begins at an even number, and its words lie below 2³².
  public func normals(
    _ range: Range<Int>, stream: RandomStream, sequence: UInt64, position: UInt32, deviation: Double,
    into values: UnsafeMutablePointer<Float>
  ) {
    precondition(range.lowerBound.isMultiple(of: 2) && range.upperBound <= 1 << 33, "normals \(range)")
    let key = (
      UInt32(truncatingIfNeeded: seed),
      UInt32(truncatingIfNeeded: seed >> 32) ^ UInt32(truncatingIfNeeded: sequence >> 32)
    )
    let counter = (position, UInt32(truncatingIfNeeded: sequence), stream.rawValue << 24)
    withUnsafeBytes(of: key) { key in
      withUnsafeBytes(of: counter) { counter in
        Kernels.table.pointee.memory.pointee.normals(
          Int64(range.count), UInt32(range.lowerBound / 2), key.baseAddress?.assumingMemoryBound(to: UInt32.self),
          counter.baseAddress?.assumingMemoryBound(to: UInt32.self), deviation, values + range.lowerBound)
      }
    }
  }
}
