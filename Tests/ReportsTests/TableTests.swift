import Reports
import Testing

@Suite struct TableTests {
  private func table(_ text: String) -> Table {
    var table = Table(["prompt", "completion", "reward"], alignments: [.left, .left, .right])
    table.add([text, text, "1.000"])
    table.add(["short", "", "0.500"])
    return table
  }

  @Test("A table with a maximum width truncates only text, with a mark", arguments: [40, 80, 120])
  func width(limit: Int) {
    let text = table(String(repeating: "word ", count: 100)).text(width: limit)
    let lines = text.split(separator: "\n")
    #expect(lines.count == 4 && lines.allSatisfy { $0.count <= limit } && lines.contains { $0.count == limit })
    #expect(lines[2].contains("…") && lines[2].hasSuffix("  1.000") && lines[3].hasPrefix("short "))
  }

  @Test("A table that fits is unchanged, and numbers are never truncated")
  func unchanged() {
    let narrow = table("a few words")
    #expect(narrow.text(width: 60) == narrow.text)
    var numbers = Table(["a", "b"], alignments: [.right, .right])
    numbers.add(["123456789012", "345678901234"])
    #expect(numbers.text(width: 10) == numbers.text)
  }

  @Test("Line breaks and control characters in a cell cannot break the table or move the cursor")
  func control() {
    let text = table("a\nb\r\nc\u{1B}[2Jd\u{7}\u{9B}e").text
    #expect(text.split(separator: "\n").count == 4)
    #expect(text.contains("a⏎b⏎c␛[2Jd␇\u{FFFD}e"))
  }

  @Test("Wide characters count as two columns, so that the following columns stay aligned")
  func wide() {
    let lines = table("二十").text.split(separator: "\n")
    #expect(lines[2] == "二十    二十         1.000" && lines[3] == "short                0.500")
  }
}
