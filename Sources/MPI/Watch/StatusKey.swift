/// The secret that the ranks of a run share, made by rank 0 and sent by MPI, and what they prove with it.
package struct StatusKey: Sendable {
  package static let byteCount = SHA256.byteCount

  package let bytes: [UInt8]

  /// - Precondition: `bytes` has `byteCount` of them.
  package init(_ bytes: [UInt8]) {
    precondition(bytes.count == Self.byteCount, "a status key has \(Self.byteCount) bytes, got \(bytes.count)")
    self.bytes = bytes
  }

  /// A new secret from the system's source of random numbers.
  package static func random() -> StatusKey { StatusKey(randomBytes(byteCount)) }

  static func randomBytes(_ count: Int) -> [UInt8] {
    var source = SystemRandomNumberGenerator()
    return (0..<count).map { _ in .random(in: .min ... .max, using: &source) }
  }

  /// What only who has the secret can say about `parts`. Whoever calls with one purpose gives parts of fixed lengths, so
  /// that no two messages read alike.
  func tag(_ purpose: StaticString, _ parts: [UInt8]...) -> [UInt8] {
    let name = purpose.withUTF8Buffer { Array($0) }
    return SHA256.authenticate([UInt8(name.count)] + name + parts.flatMap { $0 }, key: bytes)
  }

  /// Whether two tags are equal; the time that it takes does not tell where they differ.
  static func matches(_ tag: [UInt8], _ other: [UInt8]) -> Bool {
    tag.count == other.count && zip(tag, other).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
  }
}
