import Tensors

/// Deterministic numbers for tests, drawn in order from one sequence of Philox.
public struct RandomNumbers: Sendable {
  private let generator: Philox
  private var position: UInt32 = 0

  public init(seed: UInt64) { generator = Philox(seed: seed) }

  private mutating func words() -> SIMD4<UInt32> {
    defer { position += 1 }
    return generator.block(stream: .taskGeneration, sequence: 0, position: position, block: 0)
  }

  /// A standard normal deviate times `scale`.
  public mutating func normal(_ scale: Double = 1) -> Float {
    let words = words()
    return Float(Philox.normal(words[0], words[1]) * scale)
  }

  /// `count` normal deviates.
  public mutating func normals(_ count: Int, scale: Double = 1) -> [Float] { (0..<count).map { _ in normal(scale) } }

  /// A number in [0, 1).
  public mutating func uniform() -> Double { Double(Philox.uniform(words()[0])) }

  /// An integer in 0..<bound.
  public mutating func integer(below bound: Int) -> Int { Int(words()[0]) % bound }

  public mutating func tokens(_ count: Int, vocabulary: Int) -> [Int32] {
    (0..<count).map { _ in Int32(integer(below: vocabulary)) }
  }

  public mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(integer(below: 256)) } }
}
