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
  /// A place in the configuration that names a file.
  public struct Input: Hashable, Sendable {
    /// The name in a manifest's counters.
    let name: String
    /// The key in messages.
    let key: String
    /// The file's path in a configuration.
    let path: @Sendable (RunConfiguration) -> String?

    static let prompts = Self(name: "prompts") { $0.data.prompts }
    static let trajectories = Self(name: "trajectories") { $0.data.trajectories }
    static let text = Self(name: "text") { $0.data.text }
    static let tokenizerFile = Self(name: "tokenizer_file") { $0.data.tokenizerFile }
    static let mergesFile = Self(name: "merges_file") { $0.data.mergesFile }
    static let keys = [prompts, trajectories, text, tokenizerFile, mergesFile]

    /// A source of `data.sources`.
    static func source(_ name: String) -> Self {
      Self(name: "sources.\(name)", key: "data.sources '\(name)'.prompts") { configuration in
        configuration.data.sources.first { $0.name == name }?.prompts
      }
    }

    /// A source of `evaluation.sources`.
    static func evaluationSource(_ name: String) -> Self {
      Self(name: "evaluation.\(name)", key: "evaluation.sources '\(name)'.prompts") { configuration in
        configuration.evaluation.sources.first { $0.name == name }?.prompts
      }
    }

    /// All places of a configuration.
    static func all(in configuration: RunConfiguration) -> [Self] {
      keys + configuration.data.sources.map { source($0.name) }
        + configuration.evaluation.sources.map { evaluationSource($0.name) }
    }

    private init(
      name: String, key: String? = nil, path: @escaping @Sendable (RunConfiguration) -> String?
    ) {
      self.name = name
      self.key = key ?? "data.\(name)"
      self.path = path
    }

    public static func == (a: Self, b: Self) -> Bool { a.name == b.name }
    public func hash(into hasher: inout Hasher) { hasher.combine(name) }
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
  mutating func readTokenizer(_ configuration: RunConfiguration) throws {
    for input in [Input.tokenizerFile, .mergesFile] {
      guard let path = input.path(configuration) else { continue }
      let content = try Data(contentsOf: URL(fileURLWithPath: path))
      content.withUnsafeBytes { add($0, of: input) }
    }
  }

  /// The counters of a manifest.
  var counters: [String: Int] {
    var counters: [String: Int] = [:]
    for (input, digest) in digests {
      counters["input.\(input.name).bytes"] = digest.byteCount
      counters["input.\(input.name).xxh64.high"] = Int(digest.hash >> 32)
      counters["input.\(input.name).xxh64.low"] = Int(digest.hash & 0xFFFF_FFFF)
    }
    return counters
  }

  /// The digests in a manifest's counters; empty for version 0.1, which kept none.
  ///
  /// - Parameter configuration: that of the manifest.
  init(counters: [String: Int], _ configuration: RunConfiguration) {
    for input in Input.all(in: configuration) {
      let name = "input.\(input.name)"
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
  /// Sources that only one of the configurations has are compared elsewhere.
  ///
  /// - Parameter configuration: the current one.
  /// - Throws: `TrainingError` if the content of a file has changed (`data`), or if the path has changed and the
  ///   content differs or cannot be compared (`configuration`).
  func changes(
    since manifest: Manifest, path checkpoint: String, _ configuration: RunConfiguration, accepting: Bool
  ) throws -> [String] {
    let before = try RunConfiguration.parse(yaml: manifest.configuration, file: checkpoint)
    let saved = InputDigests(counters: manifest.counters, before).digests
    let remedy =
      "restore it, resume with --accept-changed-data, or start a new run from the checkpoint's weights with "
      + "--weights \(checkpoint)"
    var changes: [String] = []
    for input in Input.all(in: configuration) {
      let (old, new) = (input.path(before), input.path(configuration))
      let (was, now) = (saved[input], digests[input])
      guard let old, let new else {
        if old == new || !Input.keys.contains(input) { continue }
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
