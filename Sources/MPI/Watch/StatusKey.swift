/// The secret that the ranks of a run share, created by rank 0 and sent by MPI, and the tags that prove knowledge of
/// it.
package struct StatusKey: Sendable {
  package static let byteCount = SHA256.byteCount

  package let bytes: [UInt8]

  /// - Precondition: `bytes` has `byteCount` bytes.
  package init(_ bytes: [UInt8]) {
    precondition(bytes.count == Self.byteCount, "a status key has \(Self.byteCount) bytes, got \(bytes.count)")
    self.bytes = bytes
  }

  /// A new secret from the system's random number generator.
  package static func random() -> StatusKey { StatusKey(randomBytes(byteCount)) }

  static func randomBytes(_ count: Int) -> [UInt8] {
    var source = SystemRandomNumberGenerator()
    return (0..<count).map { _ in .random(in: .min ... .max, using: &source) }
  }

  /// The tag of `parts`, which nobody can compute without the secret. All calls with one purpose pass parts of the same
  /// lengths, so no two different messages are the same bytes.
  func tag(_ purpose: StaticString, _ parts: [UInt8]...) -> [UInt8] {
    let name = purpose.withUTF8Buffer { Array($0) }
    return SHA256.authenticate([UInt8(name.count)] + name + parts.flatMap { $0 }, key: bytes)
  }

  /// Whether two tags are equal, in a time that does not depend on where they differ.
  static func matches(_ tag: [UInt8], _ other: [UInt8]) -> Bool {
    tag.count == other.count && zip(tag, other).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
  }
}
