import Checkpoints
import Configuration
import Foundation
import Learning
import Rollouts

/// Digests of the files that a run reads its data from, so that a resumed run detects changed content under the same
/// name.
///
/// A checkpoint keeps the length and XXH64 of each file as counters of its manifest: `input.prompts.bytes`, and the
/// hash in two halves because counters are 63-bit integers.
public struct InputDigests: Sendable, Equatable {
  /// A key of the section `data` that names a file.
  public enum Input: String, CaseIterable, Sendable {
    case prompts, trajectories, text
    case tokenizerFile = "tokenizer_file"
    case mergesFile = "merges_file"

    /// The key with its section.
    var key: String { "data.\(rawValue)" }

    /// The file's path in a configuration.
    func path(in data: DataConfiguration) -> String? {
      switch self {
      case .prompts: data.prompts
      case .trajectories: data.trajectories
      case .text: data.text
      case .tokenizerFile: data.tokenizerFile
      case .mergesFile: data.mergesFile
      }
    }
  }

  /// The length and hash of a file's content.
  struct Digest: Sendable, Equatable {
    let byteCount: Int
    /// XXH64 of the bytes.
    let hash: UInt64
  }

  private(set) var digests: [Input: Digest] = [:]

  /// No digests.
  public init() {}

  /// Adds the digest of a file's bytes.
  mutating func add(_ bytes: UnsafeRawBufferPointer, of input: Input) {
    digests[input] = Digest(byteCount: bytes.count, hash: Frame.hash(bytes))
  }

  /// Adds the digests of the tokenizer's files, which exist because the tokenizer has been loaded.
  mutating func readTokenizer(_ data: DataConfiguration) throws {
    for input in [Input.tokenizerFile, .mergesFile] {
      guard let path = input.path(in: data) else { continue }
      let content = try Data(contentsOf: URL(fileURLWithPath: path))
      content.withUnsafeBytes { add($0, of: input) }
    }
  }

  /// The counters of a manifest.
  var counters: [String: Int] {
    var counters: [String: Int] = [:]
    for (input, digest) in digests {
      counters["input.\(input.rawValue).bytes"] = digest.byteCount
      counters["input.\(input.rawValue).xxh64.high"] = Int(digest.hash >> 32)
      counters["input.\(input.rawValue).xxh64.low"] = Int(digest.hash & 0xFFFF_FFFF)
    }
    return counters
  }

  /// The digests in a manifest's counters; empty for version 0.1, which kept none.
  init(counters: [String: Int]) {
    for input in Input.allCases {
      let name = "input.\(input.rawValue)"
      guard let byteCount = counters["\(name).bytes"], let high = counters["\(name).xxh64.high"],
        let low = counters["\(name).xxh64.low"], let upper = UInt32(exactly: high), let lower = UInt32(exactly: low)
      else { continue }
      digests[input] = Digest(byteCount: byteCount, hash: UInt64(upper) << 32 | UInt64(lower))
    }
  }
}

extension InputDigests {
  /// Changes since a checkpoint, one line each: moved files and, if `accepting`, changed content.
  ///
  /// - Parameter data: the current section.
  /// - Throws: `TrainingError` if the content of a file has changed (`data`), or if the path has changed and the
  ///   content differs or cannot be compared (`configuration`).
  func changes(
    since manifest: Manifest, path checkpoint: String, _ data: DataConfiguration, accepting: Bool
  ) throws -> [String] {
    let before = try RunConfiguration.parse(yaml: manifest.configuration, file: checkpoint).data
    let saved = InputDigests(counters: manifest.counters).digests
    let remedy =
      "restore it, resume with --accept-changed-data, or start a new run from the checkpoint's weights with "
      + "--weights \(checkpoint)"
    var changes: [String] = []
    for input in Input.allCases {
      let (old, new) = (input.path(in: before), input.path(in: data))
      let (was, now) = (saved[input], digests[input])
      guard let old, let new else {
        if old == new { continue }
        throw TrainingError(
          .configuration,
          "\(input.key) is \(new ?? "null"), but the checkpoint \(checkpoint) was written with \(old ?? "null"); "
            + "restore it, or start a new run from its weights with --weights \(checkpoint)")
      }
      if let was, let now {
        let sizes =
          "\(now.byteCount) bytes, XXH64 \(Self.hexadecimal(now.hash)); at the checkpoint \(checkpoint) "
          + "\(was.byteCount) bytes, XXH64 \(Self.hexadecimal(was.hash))"
        switch (was == now, old == new) {
        case (true, true): break
        case (true, false): changes.append("\(input.key) \(old) → \(new), with the same content")
        case (false, _) where accepting: changes.append("\(input.key) \(new) has other content: \(sizes)")
        case (false, true):
          throw TrainingError(.data, "\(input.key): the content of \(new) has changed: \(sizes); \(remedy)")
        case (false, false):
          throw TrainingError(
            .configuration, "\(input.key) is \(new) instead of \(old), with other content: \(sizes); \(remedy)")
        }
      } else if old != new {
        guard accepting else {
          throw TrainingError(
            .configuration,
            "\(input.key) is \(new), but the checkpoint \(checkpoint) was written with \(old); \(remedy)")
        }
        changes.append("\(input.key) \(old) → \(new)")
      }
    }
    return changes
  }

  private static func hexadecimal(_ value: UInt64) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}
