/// Parses quantities with units.
public enum QuantityText {
  private static let rates: [(String, Double)] = [
    ("gbit", 1e9 / 8), ("mbit", 1e6 / 8), ("kbit", 1e3 / 8), ("gb", 1e9), ("mb", 1e6), ("kb", 1e3),
  ]
  private static let times: [(String, Double)] = [("ns", 1e-9), ("us", 1e-6), ("µs", 1e-6), ("ms", 1e-3), ("s", 1)]
  private static let sizes: [(String, Double)] = [
    ("tib", 0x1p40), ("gib", 0x1p30), ("mib", 0x1p20), ("tb", 1e12), ("gb", 1e9), ("mb", 1e6),
  ]

  /// Bytes per second: `10Gbit`, `25 Gbit/s`, `1.2GB`.
  public static func rate(_ text: String) -> Double? {
    value(text.hasSuffix("/s") ? String(text.dropLast(2)) : text, rates)
  }

  /// Seconds: `20us`, `0.5ms`.
  public static func seconds(_ text: String) -> Double? { value(text, times) }

  /// Bytes: `64GiB`, `512GB`.
  public static func bytes(_ text: String) -> Int? { value(text, sizes).flatMap { Int(exactly: $0.rounded()) } }

  private static func value(_ text: String, _ units: [(String, Double)]) -> Double? {
    let text = text.lowercased()
    guard let (unit, factor) = units.first(where: { text.hasSuffix($0.0) }),
      let number = Double(text.dropLast(unit.count).filter { $0 != " " }), number > 0, number.isFinite
    else { return nil }
    return number * factor
  }
}
