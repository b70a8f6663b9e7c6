import Foundation
import Testing

@Suite("Compare with damaged files", .serialized)
struct CompareDamageTests {
  /// A file of the case, and how it is damaged.
  struct Damage: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let part: String
    let body: @Sendable (inout Data) -> Void

    init(_ description: String, _ part: String, _ body: @escaping @Sendable (inout Data) -> Void) {
      testDescription = description
      self.part = part
      self.body = body
    }

    static let weights = "weights.safetensors"
    static let expected = "expected.safetensors"

    static let all = [
      Damage("truncated weights", weights) { $0.removeLast(10) },
      Damage("truncated expectations", expected) { $0.removeLast($0.count / 2) },
      Damage("a header without an end", weights) {
        $0.replaceSubrange(0..<8, with: [UInt8](repeating: 0xff, count: 8))
      },
      Damage("five bytes", expected) { $0 = Data($0.prefix(5)) },
      Damage("no bytes", weights) { $0 = Data() },
      Damage("a header that is not an object", weights) { $0.replaceSubrange(8..<9, with: Data("[".utf8)) },
      Damage("surplus bytes", expected) { $0.append(contentsOf: [1, 2, 3]) },
      Damage("an overlapping tensor", expected) { replace("\"data_offsets\":[0,", "\"data_offsets\":[1,", in: &$0) },
      Damage("a tensor of negative size", weights) { replace("\"shape\":[", "\"shape\":[-", in: &$0) },
      Damage("half a description", "json") { $0.removeLast($0.count / 2) },
      Damage("an empty description", "json") { $0 = Data("{\"model\": {}}".utf8) },
      Damage("an unknown size", "json") { replace("\"dim\":", "\"dmi\":", in: &$0) },
    ]

    /// Replaces the first occurrence in binary data.
    private static func replace(_ old: String, _ new: String, in data: inout Data) {
      if let range = data.range(of: Data(old.utf8)) { data.replaceSubrange(range, with: Data(new.utf8)) }
    }
  }

  @Test("A damaged file gives one line that names it, exit code 3, and no output file", arguments: Damage.all)
  func damaged(damage: Damage) throws {
    let copy = try GoldenCopy("fp32")
    let before = try Data(contentsOf: copy.url(damage.part))
    try copy.change(damage.part, damage.body)
    #expect(try Data(contentsOf: copy.url(damage.part)) != before)
    let outcome = try Program.run("debug", "compare", "--case", copy.path, "--output", copy.folder.path("results"))
    #expect(outcome.status == 3, "\(outcome.status) \(outcome.errors)")
    #expect(outcome.output.isEmpty)
    #expect(outcome.errors.split(separator: "\n").count == 1, "\(outcome.errors)")
    #expect(outcome.errors.hasPrefix("quillan: \(copy.url(damage.part).path)"), "\(outcome.errors)")
    #expect(try copy.folder.names.count == 3)
  }

  @Test("Weights that are NaN or of another shape are reported once, also on 2 ranks, with exit code 3")
  func mismatched() throws {
    let broken = try GoldenCopy("fp32")
    try broken.change("weights.safetensors", tensor: "overseer.norm.weight", to: .nan)
    let wrong = try GoldenCopy("fp32")
    try wrong.change("json") { data in
      let text = String(decoding: data, as: UTF8.self)
      data = Data(text.replacingOccurrences(of: "\"overseer_dim\":", with: "\"overseer_dim\": 1").utf8)
    }
    for (outcome, part) in [
      (try broken.run(), "'overseer.norm.weight'"),
      (try Program.run(ranks: 2, "debug", "compare", "--case", broken.path), "'overseer.norm.weight'"),
      (try wrong.run(), ""),
    ] {
      #expect(outcome.status == 3, "\(outcome.errors)")
      #expect(outcome.output.isEmpty)
      #expect(outcome.messages.count == 1, "\(outcome.errors)")
      if !part.isEmpty { #expect(outcome.messages.first?.contains(part) == true, "\(outcome.errors)") }
    }
  }
}
