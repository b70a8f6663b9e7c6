import Formats
import Testing

@Suite("Reading JSON numbers")
struct JSONReadingTests {
  @Test(
    "Exact numbers are written as they were read",
    arguments: [
      "0", "-0", "1", "-7", "9007199254740993", "18446744073709551615", "-9223372036854775809", "1.0", "1.50", "1e-7",
      "1E5",
      "0.1", "123456789.123456789123456789", "1e-400", "[1,2.50,{\"a\":1e2}]",
    ])
  func exact(text: String) throws {
    #expect(try JSONValue.parse(text.utf8, .exactNumbers).serialized == text)
  }

  @Test("An exact number has the value of its text, and is an integer only if it fits")
  func values() throws {
    #expect(try JSONValue.parse("1.50".utf8, .exactNumbers).numberValue == 1.5)
    #expect(try JSONValue.parse("18446744073709551615".utf8, .exactNumbers).integerValue == nil)
    #expect(try JSONValue.parse("12".utf8, .exactNumbers) == .integer(12))
    #expect(
      try JSONValue.parse(("1" + String(repeating: "0", count: 400)).utf8, .exactNumbers).numberValue == .infinity)
    #expect(try JSONValue.parse("1e-7".utf8, .exactNumbers).kind == "a number")
    #expect(throws: JSONSyntaxError.self) { try JSONValue.parse("1e999".utf8, .exactNumbers) }
  }

  @Test("NaN and infinities are numbers only on request")
  func nonFinite() throws {
    for (text, value) in [("Infinity", Double.infinity), ("-Infinity", -.infinity), ("1e999", .infinity)] {
      #expect(try JSONValue.parse(text.utf8, .nonFiniteNumbers) == .number(value))
      #expect(throws: JSONSyntaxError.self) { try JSONValue.parse(text.utf8) }
    }
    #expect(try JSONValue.parse("[NaN]".utf8, .nonFiniteNumbers).listValue?[0].numberValue?.isNaN == true)
    for text in ["NaN", "nan", "Inf", "+Infinity", "-NaN", "infinity"] {
      #expect(throws: JSONSyntaxError.self) { try JSONValue.parse(text.utf8) }
      if text != "NaN" { #expect(throws: JSONSyntaxError.self) { try JSONValue.parse(text.utf8, .nonFiniteNumbers) } }
    }
  }
}
