import Formats
import Testing

@Suite("JSON values")
struct JSONValueTests {
  @Test("Values are read as written")
  func values() throws {
    let text =
      #" {"a": [1, -2.5e1, true, null], "b": {"c": "x\n\"\\\u00e9\ud83d\ude42/é"}, "n": 12345678901234567168} "#
    let expected = JSONValue.object([
      "a": .list([.integer(1), .number(-25), .bool(true), .null]),
      "b": .object(["c": .text("x\n\"\\é🙂/é")]),
      "n": .number(12_345_678_901_234_567_168),
    ])
    #expect(try JSONValue.parse(text.utf8) == expected)
    #expect(try JSONValue.parse("[]".utf8) == .list([]))
    #expect(try JSONValue.parse("{}".utf8) == .object([:]))
    #expect(try JSONValue.parse("-0".utf8) == .integer(0))
  }

  @Test(
    "What is not JSON is refused",
    arguments: [
      "", "{", "[1,]", "{\"a\":1,}", "{a:1}", "01", "1.", "-", "+1", "nul", "\"a", "\"\u{01}\"", #""\x""#, #""\ud800""#,
      #""\udc00""#, #""\u12g4""#, "1 2", "{\"a\":1,\"a\":2}", "1e999", "[1 2]", "{\"a\" 1}",
      String(repeating: "[", count: 300),
    ])
  func malformed(text: String) {
    #expect(throws: JSONSyntaxError.self) { try JSONValue.parse(text.utf8) }
  }

  @Test("A syntax error names its byte")
  func position() {
    let error = #expect(throws: JSONSyntaxError.self) { try JSONValue.parse("{\"a\": x}".utf8) }
    #expect(error?.description == "expected a value, found 'x' at byte 7")
  }
}
