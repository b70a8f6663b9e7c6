import Foundation
import TestSupport
import Testing

/// The article on the settings of TRL and verl, whose names are in Tests/Fixtures/keys.
@Suite("Settings of TRL and verl")
struct ForeignKeysTests {
  private static let articles = Fixtures.directory.deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Sources/Training/Training.docc")

  private static func article(_ name: String) throws -> String {
    try String(contentsOf: articles.appendingPathComponent("\(name).md"), encoding: .utf8)
  }

  /// The texts in code voice.
  private static func code(_ text: some StringProtocol) -> [String] {
    text.split(separator: "`", omittingEmptySubsequences: false).enumerated().filter { $0.offset % 2 == 1 }
      .map { String($0.element) }
  }

  /// The cells of a section's table, without its first two lines.
  private static func rows(_ section: String) throws -> [[String]] {
    let text = try #require(
      try article("FromTRLAndVerl").components(separatedBy: "\n## \(section)\n").last?.components(separatedBy: "\n## ")[
        0])
    return text.split(separator: "\n").filter { $0.hasPrefix("|") }.dropFirst(2).map {
      $0.split(separator: "|", omittingEmptySubsequences: false).dropFirst().dropLast().map {
        $0.trimmingCharacters(in: .whitespaces)
      }
    }
  }

  @Test("Each GRPO setting of the project is in its table once", arguments: [("TRL", "trl"), ("verl", "verl")])
  func complete(section: String, file: String) throws {
    let rows = try Self.rows(section)
    #expect(rows.allSatisfy { $0.count == 3 && !$0[0].isEmpty && !$0[1].isEmpty })
    let named = rows.flatMap { Self.code($0[0]) }
    #expect(Set(named).count == named.count)
    let settings = try Fixtures.text("keys/\(file)-grpo.txt").split(separator: "\n").map(String.init)
    #expect(settings.count > 70)
    #expect(settings.filter { !named.contains($0) } == [])
  }

  @Test("Each key that the tables name exists here")
  func keys() throws {
    let reference = try Self.article("Configuration")
    var keys: Set<String> = []
    for section in reference.components(separatedBy: "\n## `").dropFirst() {
      let name = section.prefix { $0 != "`" }
      for row in section.split(separator: "\n") where row.hasPrefix("| `") {
        keys.insert("\(name)." + row.dropFirst(3).prefix { $0 != "`" })
      }
    }
    #expect(keys.count > 100)
    let sections = Set(keys.map { $0.prefix { $0 != "." } })
    let named = try ["TRL", "verl"].flatMap(Self.rows).flatMap { Self.code($0[1]) }
    let unknown = named.map { $0.prefix { $0 != ":" } }.filter {
      $0.contains(".") && sections.contains($0.prefix { $0 != "." }) && !keys.contains(String($0))
    }
    #expect(unknown == [])
  }
}
