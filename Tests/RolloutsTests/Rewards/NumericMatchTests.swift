import Rollouts
import Testing

@Suite("Numeric match")
struct NumericMatchTests {
  private func score(_ answer: String, _ completion: String) -> Double {
    NumericMatchReward().score(
      prompt: Prompt(id: 0, text: "q", answer: answer, origin: "test"), completion: completion, completionTokens: 1,
      finished: true)
  }

  @Test(
    "Forms of one number are equal",
    arguments: [
      [
        "1000", "1e3", "1E+3", "1,000", "1 000", "1\u{A0}000", "1\u{202F}000", "1'000", "1_000", #"1{,}000"#,
        #"1\,000"#, "10^3",
        "10^{3}", "1 × 10^3", #"1\times 10^{3}"#, "1.0e3", "10**3",
      ],
      ["0.5", ".5", "1/2", #"\frac{1}{2}"#, #"\dfrac12"#, "5e-1", "2/4", "0.50", #"\frac{ 1 }{ 2 }"#],
      ["-0.5", "-1/2", "−1/2", #"-\frac{1}{2}"#, #"\frac{-1}{2}"#, #"\frac{1}{-2}"#],
      ["1/3", "2/6", #"\frac{1}{3}"#, "01/3"],
      ["1.5", "1 1/2", #"1\frac{1}{2}"#, "3/2", "15e-1"],
      ["1000000", "1.000.000", "1,000,000", "10,00,000", "1e6"], ["100000", "1,00,000"],
      ["-5", "-5", "-$5", "−5.00", #"-\$5"#, "-€5"], ["50", "50%", #"50\%"#, "50kg", "(50)", "+50"],
      ["0", "-0", "0.000", "0e5", "0/7", "00"],
      ["123456789012345678901234567890", "123,456,789,012,345,678,901,234,567,890"],
    ])
  func equal(forms: [String]) {
    for answer in forms {
      for completion in forms { #expect(score(answer, completion) == 1, "\(answer) and \(completion)") }
    }
  }

  @Test(
    "Part of a number is not a number",
    arguments: [
      ("3", "1e3"), ("3", "1.5e-3"), (#"\frac{3}{2}"#, #"\frac{1}{2}"#), ("0", "10 000"), ("2", "1/2"),
      ("0", "1.000.000"),
      ("0", "1'000"), ("0", "1_000"), ("0", #"10{,}000"#), ("0", "1,00,000"), ("3", "10^3"), ("10", "2^10"),
      ("2", "2^10"),
      ("5", "5²"), ("2", "2½"), ("3", "1.2.3"), ("3", "1/2/3"), ("2024", "1/2/2024"), ("1", "192.168.0.1"),
      ("0", "1/0"),
      ("1", "0x1"), ("31", "0x1F"), ("2", #"\frac{x}{2}"#), ("2", #"\frac{\sqrt{3}}{2}"#), ("0.333", "1/3"),
      ("3", "2**3"),
      ("1", "1 1/2"), ("0.5", "1 1/2"),
    ])
  func whole(answer: String, completion: String) {
    #expect(score(answer, completion) == 0, "\(answer) and \(completion)")
  }

  @Test("The result is the number after ####, else that in the last box, else the last number")
  func result() {
    let right = [
      ("3", "1 and 2 #### 3 of 4"), ("5", #"\boxed{4} so \boxed{5} in 6 steps"#), ("5", #"\boxed{x = 5}, 7"#),
      ("1/2", #"it is \boxed{\frac{1}{2}}."#), ("5", #"\boxed 5 or 6"#), ("8", #"#### 8 \boxed{9}"#),
      ("4", "2 + 2 = 4"),
      ("12.8", "[8.1,12.8]"), ("7", "it is 7."), ("18", "#### 18 of 3"), ("2", "1 or 2"), ("3", "0 100 3"),
      ("100", "0 100"), ("500", "in 2024 500"), ("56", "1,234,56"), ("1.5", "$1.50."),
    ]
    for (answer, completion) in right { #expect(score(answer, completion) == 1, "\(answer) and \(completion)") }
    let wrong = [("3", "#### 1.2.3 or 3"), ("7", #"7 \boxed{}"#), ("4", "4 = 2^2"), ("1", "####"), ("1", "")]
    for (answer, completion) in wrong { #expect(score(answer, completion) == 0, "\(answer) and \(completion)") }
  }

  @Test("An answer without a number has no score", arguments: ["none", "", "1.2.3", "#### n/a", #"\boxed{x}"#])
  func noNumber(answer: String) {
    #expect(score(answer, "1").isNaN)
  }

  @Test("Scanning numbers of any length, and texts that imitate numbers, takes bounded time")
  func hostile() {
    let digits = String(repeating: "9", count: 50_000)
    #expect(score(digits, digits) == 1)
    #expect(score(digits, digits + "e1") == 0)
    #expect(score("1", "1e" + digits) == 0)
    #expect(score("1", digits + "/" + digits) == 0)
    for text in [#"\frac{"#, "1,", "####", "10^{", "1/", "-", #"\boxed{"#, "1e"] {
      let score = score("1", String(repeating: text, count: 10_000))
      #expect(score == 0 || score == 1)
    }
  }
}
