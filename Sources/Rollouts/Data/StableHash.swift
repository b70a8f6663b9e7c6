import Foundation
import Tensors

/// Decides by content, not by position, which part a problem belongs to, so that repetitions stay in one part.
enum StableHash {
  /// FNV-1a of 64 bits: the same on every machine and in every run.
  static func hash(_ bytes: some Sequence<UInt8>) -> UInt64 {
    bytes.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
  }

  /// Whether a text belongs to the held-out part. Canonically equivalent texts (NFC and NFD) count as one text.
  static func isHeldOut(_ text: String, share: Double, version: SplitVersion) -> Bool {
    let isNormal = version == .byNumber || text.utf8.allSatisfy { $0 < 0x80 }
    return isHeldOut((isNormal ? text : text.precomposedStringWithCanonicalMapping).utf8, share: share)
  }

  /// Whether content belongs to the held-out part: Philox's uniform of its hash is below the share. The seed is fixed,
  /// so that runs with other seeds, and the pre-training before them, hold out the same content.
  static func isHeldOut(_ bytes: some Sequence<UInt8>, share: Double) -> Bool {
    let sequence = hash(bytes) | 1 << 63
    let word = Philox(seed: 0).words(stream: .taskGeneration, sequence: sequence, position: 0, count: 1)[0]
    return Double(Philox.uniform(word)) < share
  }
}
