import Rollouts
import Testing

@Suite("Format patterns")
struct FormatPatternTests {
  private func outcome(_ pattern: String, _ completion: String) throws -> RewardOutcome {
    let item = RewardItem(
      id: 0, prompt: Prompt(id: 0, text: "q", answer: "a", origin: "test"), completion: completion,
      completionTokens: 1, finished: true)
    return try FormatReward(pattern: pattern).outcomes([item])[0]
  }

  private func matches(_ pattern: String, _ completion: String) throws -> Bool? {
    switch try outcome(pattern, completion) {
    case .scored(let value, _): value == 1
    case .unscored, .notApplicable: nil
    }
  }

  private static let patterns = [
    "", "a", "^a", "a$", "^a$", "ab|cd|", "a*b", "a+b", "a?b", "a{2}", "a{1,2}b", "a{2,}", "(ab)+c", "(?:a|b)*c",
    "[abc]+$",
    "[^a]", "[a-c0-9]+", #"\d+"#, #"\D"#, #"\w+ \w+"#, #"\W"#, #"\s"#, #"\S+$"#, #"^\s*$"#, ".", "^.$", "a.c",
    "(?s)a.c",
    "(?i)AB", "(?i:A)b", "(?m)^b$", "a(?=b)", "a(?!b)", "(?>a+)b", "(?>a+)ab", "a++b", "a++ab", "a*?b", "^(a+)+$",
    #"(a)(b)\2"#, #"(?<x>a|b)\k<x>"#, #"(\w)\1"#, "(a|ab)(c|bcd)", "(a*)*b", "(a*)+$", #"[\d\-x]"#, #"[\]a]"#, "[]a]",
    #"\."#, #"\x61\u0062"#, #"\Qa.c\E"#, "[[:alpha:]]+[[:digit:]]", #"\p{L}\p{Nd}"#, #"\P{L}"#, #"^<t>[\s\S]*</t>$"#,
    "x{,2}y", "a{", "{a}", "(?x) a b # comment", #"\h+\S"#, "((a)|b)*c", "a|(b|(c|d))e", "[a-c&]", "(?:)", "()",
  ]
  private static let texts = [
    "", "a", "b", "ab", "abc", "abcd", "aab", "aaab", "aabb", "a b", "a\nb", "a\nc", "b\na", "AB", "aB", "c", "abab",
    "ababc",
    "a.c", "axc", "12", "a1", "é1", "日本", " ", "  \n", "<t>x\ny</t>", "<t>", "-", "]", "xxy", "a{", "{a}", "aa", "bb",
    "ba", "de", "ce", "x\ty", "٣",
  ]

  @Test("A pattern matches where Swift's own expression does")
  func likeRegex() throws {
    for pattern in Self.patterns {
      let regex = try? Regex(pattern)
      let own = try? FormatReward(pattern: pattern)
      guard let regex, own != nil else {
        #expect(own != nil, "\(pattern)")
        continue
      }
      for text in Self.texts {
        let expected = try regex.firstMatch(in: text) != nil
        #expect(try matches(pattern, text) == expected, "'\(pattern)' in '\(text)'")
      }
    }
  }

  @Test("Carriage returns, combining marks and look-arounds are matched scalar by scalar")
  func scalars() throws {
    #expect(try matches(#"a\r?\nb"#, "a\r\nb") == true)
    #expect(try matches(#"^a\Rb$"#, "a\r\nb") == true)
    #expect(try matches("^e.$", "e\u{301}") == true)
    #expect(try matches(#"\bword\b"#, "a word.") == true)
    #expect(try matches(#"\bword\b"#, "swords") == false)
    #expect(try matches(#"x\Z"#, "x\n") == true)
    #expect(try matches("^(?=.*a)(?=.*b).{3}$", "bca") == true)
    #expect(try matches("^(?=.*a)(?=.*b).{3}$", "bcc") == false)
  }

  @Test(
    "Nested repetition takes at most instructions times positions steps",
    arguments: [
      #"^(\S+\s?)+\.END$"#, "(a+)+$", "(a|aa)+$", "^(a*)*$", "(.*)*x", "^(([a-z])+.)+[A-Z]([a-z])+$", "(a|a)*b",
    ])
  func nested(pattern: String) throws {
    #expect(try matches(pattern, String(repeating: "a", count: 20_000) + "!") == false)
  }

  @Test("A pattern with too many steps leaves the same completion unscored every time")
  func limit() throws {
    let text = String(repeating: "a", count: 60)
    for _ in 0..<2 { #expect(try outcome(#"^(a*)*(a*)*(a*)*(b)\4$"#, text) == .unscored(.patternLimit)) }
    // The table of a large pattern and a long text would exceed the limit.
    #expect(try outcome("(abcdefgh){1000}", String(repeating: "ab", count: 200_000)) == .unscored(.patternLimit))
    #expect(
      try FormatReward(pattern: #"^(a*)*(a*)*(a*)*(b)\4$"#)
        .score(
          prompt: Prompt(id: 0, text: "q", answer: "", origin: ""), completion: text, completionTokens: 1,
          finished: true
        ).isNaN)
  }

  @Test(
    "An invalid or too large pattern is refused with the character",
    arguments: [
      ("(a", "a '(' is not closed at character 3"), ("a)", "a ')' without its '(' at character 2"),
      ("[a", "a '[' is not closed"), ("*a", "'*' has nothing to repeat at character 1"),
      ("a**", "'*' has nothing to repeat"),
      ("a{3,2}", "at least 3 and at most 2"), ("a{2000}", "a repetition of more than 1000"), (#"a\"#, "ends with '\\'"),
      (#"\y"#, "'\\y' is not supported"), ("(?<=a)b", "a lookbehind is not supported"),
      (#"(a)\2"#, "group 2, which does not exist"),
      ("[z-a]", "from a lower to a higher"), ("((a{1000}){1000}){1000}", "more than 20000 parts"),
      ("((){1000}){1000}", "more than 20000 parts"),
    ])
  func refused(pattern: String, problem: String) {
    let error = #expect(throws: RewardError.self) { try FormatReward(pattern: pattern) }
    #expect(error?.description.contains(problem) == true, "\(error?.description ?? "")")
  }

  @Test(
    "Nested brackets of any kind are refused beyond a depth",
    arguments: ["(", "[", "(?:", "(?=", "(?>"])
  func deep(bracket: String) throws {
    for count in [101, 5000, 1_000_000] {
      let error = #expect(throws: RewardError.self) {
        try FormatReward(pattern: String(repeating: bracket, count: count) + "a")
      }
      #expect(error?.description.contains("more than 100") == true)
      #expect((error?.description.count ?? 0) < 400)
    }
    let whole = String(repeating: "(", count: 100) + "a" + String(repeating: ")", count: 100)
    #expect(try matches(whole, "a") == true)
  }
}
