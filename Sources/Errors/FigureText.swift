import Foundation

/// Numbers as people read them, the same in every locale.
public enum FigureText {
  /// A fixed number of decimals: 0.250.
  public static func fixed(_ value: Double, _ decimals: Int) -> String {
    value.isFinite ? String(format: "%.\(decimals)f", value) : "\(value)"
  }

  /// A whole number in groups of three: 511,500,289.
  public static func grouped(_ value: Int) -> String {
    let digits = String(value.magnitude)
    var result = ""
    for (index, digit) in digits.enumerated() {
      if index > 0, (digits.count - index).isMultiple(of: 3) { result += "," }
      result.append(digit)
    }
    return value < 0 ? "-" + result : result
  }

  /// A real number rounded to a whole one, in groups of three.
  public static func grouped(_ value: Double) -> String {
    Int(exactly: value.rounded()).map { grouped($0) } ?? "\(value)"
  }

  /// A number in four significant digits: 0.9617, 12.35, 36,489, 1.667e-5.
  public static func short(_ value: Double) -> String {
    guard value.isFinite else { return "\(value)" }
    if value == 0 { return "0" }
    let exponent = Int(log10(value.magnitude).rounded(.down))
    if exponent >= 4, exponent < 15 { return grouped(value) }
    guard (-3..<4).contains(exponent) else {
      let parts = String(format: "%.3e", value).split(separator: "e")
      let digits = parts[0].reversed().drop { $0 == "0" }.drop { $0 == "." }.reversed()
      return String(digits) + "e\(parts.count == 2 ? Int(parts[1]) ?? exponent : exponent)"
    }
    let text = fixed(value, 3 - exponent)
    guard text.contains(".") else { return text }
    return String(text.reversed().drop { $0 == "0" }.drop { $0 == "." }.reversed())
  }

  /// A count with its noun: 1 rank, 2 ranks.
  public static func count(_ number: Int, _ noun: String, plural: String? = nil) -> String {
    "\(grouped(number)) \(number == 1 ? noun : plural ?? noun + "s")"
  }

  /// Seconds as 42s, 3m05s, 2h07m or 3d04h.
  public static func duration(_ seconds: Double) -> String {
    guard let whole = Int(exactly: seconds.rounded()), whole >= 0 else { return "?" }
    func padded(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
    switch whole {
    case ..<60: return "\(whole)s"
    case ..<3600: return "\(whole / 60)m\(padded(whole % 60))s"
    case ..<86400: return "\(whole / 3600)h\(padded(whole % 3600 / 60))m"
    default: return "\(whole / 86400)d\(padded(whole % 86400 / 3600))h"
    }
  }

  /// Bytes in binary units: 49.1 MiB.
  public static func bytes(_ count: Int) -> String {
    var value = Double(count)
    var unit = "B"
    for next in ["KiB", "MiB", "GiB", "TiB", "PiB"] where value.magnitude >= 1024 {
      value /= 1024
      unit = next
    }
    return unit == "B" ? "\(count) B" : "\(fixed(value, value.magnitude >= 100 ? 0 : 1)) \(unit)"
  }
}
