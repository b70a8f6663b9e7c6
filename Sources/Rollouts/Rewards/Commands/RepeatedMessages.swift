/// Admits the first of similar messages and counts the others, and limits the total rate.
///
/// Messages are similar if they differ only in digits. The tenth, hundredth, … of a kind reports the number so far.
package struct RepeatedMessages {
  /// The maximum number of characters shown of a message.
  package static let longest = 1000
  /// The maximum number of distinct kinds.
  private static let maximumKinds = 1000
  /// The number of lines that may be shown at once, and the seconds until one more may be shown.
  private static let burst = 40.0
  private static let refillSeconds = 10.0

  private var counts: [String: Int] = [:]
  private var allowance = burst
  private var since: ContinuousClock.Instant
  private var withheld = 0

  package init(now: ContinuousClock.Instant = .now) { since = now }

  /// What to log for a message; nil if it is only counted.
  package mutating func admit(_ message: String, now: ContinuousClock.Instant = .now) -> String? {
    let shown = LogText.plain(message, limit: Self.longest)
    let kind = Self.kind(of: shown)
    guard counts[kind] != nil || counts.count < Self.maximumKinds else { return withhold() }
    let count = counts[kind, default: 0] + 1
    counts[kind] = count
    guard Self.isMilestone(count) else { return nil }
    allowance = min(Self.burst, allowance + (now - since) / .seconds(1) / Self.refillSeconds)
    since = now
    guard allowance >= 1 else { return withhold() }
    allowance -= 1
    return count == 1 ? shown : "\(shown) (\(count) lines like this so far)"
  }

  private mutating func withhold() -> String? {
    withheld += 1
    return Self.isMilestone(withheld) ? "too many different lines: \(withheld) not shown so far" : nil
  }

  /// 1, 10, 100, …
  static func isMilestone(_ count: Int) -> Bool {
    var milestone = 1
    while milestone < count { milestone = milestone.multipliedReportingOverflow(by: 10).partialValue }
    return milestone == count
  }

  private static func kind(of message: String) -> String {
    var kind = ""
    var wasDigit = false
    for byte in message.utf8.prefix(200) {
      let isDigit = (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
      if !isDigit { kind.unicodeScalars.append(Unicode.Scalar(byte)) } else if !wasDigit { kind += "#" }
      wasDigit = isDigit
    }
    return kind
  }
}
