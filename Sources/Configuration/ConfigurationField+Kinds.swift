import Rollouts

/// The range of a real-valued key. All ranges exclude infinities and NaN.
enum RealBound: String, Sendable {
  case finite = "a finite number"
  case nonNegative = "a number of at least 0"
  case positive = "a number above 0"
  case fraction = "a number from 0 to 1"
  case properFraction = "a number from 0 to below 1"
  case positiveFraction = "a number above 0 and at most 1"
  case temperature = "a number from 1e-5 to 1e6"
  /// Large enough to divide by in single precision.
  case divisor = "a number of at least 1e-30"

  func allows(_ value: Double) -> Bool {
    guard value.isFinite else { return false }
    return switch self {
    case .finite: true
    case .nonNegative: value >= 0
    case .positive: value > 0
    case .fraction: value >= 0 && value <= 1
    case .properFraction: value >= 0 && value < 1
    case .positiveFraction: value > 0 && value <= 1
    case .temperature: value >= SamplingOptions.minimumTemperature && value <= 1e6
    case .divisor: value >= 1e-30
    }
  }
}

/// The maximum of sizes and counts, so that products of a few of them with small factors fit in 64 bits.
let largestConfigurationCount = 1 << 40

extension ConfigurationField {
  /// An integer in a range.
  static func whole(
    _ key: String, _ path: WritableKeyPath<Root, Int> & Sendable,
    in range: ClosedRange<Int> = 1...largestConfigurationCount, _ documentation: String
  ) -> Self {
    let bound =
      range.upperBound == largestConfigurationCount
      ? "of at least \(range.lowerBound)" : "from \(range.lowerBound) to \(range.upperBound)"
    return field(key, path, kind: "whole number \(bound)", documentation) { node in
      guard let text = node.plainText, isDecimal(text), let value = Int(text) else {
        return .mismatch("a whole number")
      }
      return range.contains(value) ? .value(value) : .mismatch("a whole number \(bound)")
    } write: {
      String($0)
    }
  }

  /// A seed: any unsigned 64-bit integer.
  static func seed(
    _ key: String, _ path: WritableKeyPath<Root, UInt64> & Sendable, _ documentation: String
  ) -> Self {
    let kind = "whole number from 0 to \(UInt64.max)"
    return field(key, path, kind: kind, documentation) { node in
      guard let text = node.plainText, isDecimal(text), let value = UInt64(text) else { return .mismatch("a \(kind)") }
      return .value(value)
    } write: {
      String($0)
    }
  }

  /// A real number in double precision.
  static func real(
    _ key: String, _ path: WritableKeyPath<Root, Double> & Sendable, _ bound: RealBound, _ documentation: String
  ) -> Self {
    field(key, path, kind: String(bound.rawValue.dropFirst(2)), documentation) { node in
      guard let text = node.plainText, isReal(text), let value = Double(text) else { return .mismatch("a number") }
      return bound.allows(value) ? .value(value) : .mismatch(bound.rawValue)
    } write: {
      String($0)
    }
  }

  /// A real number in single precision.
  static func single(
    _ key: String, _ path: WritableKeyPath<Root, Float> & Sendable, _ bound: RealBound, _ documentation: String
  ) -> Self {
    field(key, path, kind: String(bound.rawValue.dropFirst(2)), documentation) { node in
      guard let text = node.plainText, isReal(text), let value = Float(text) else { return .mismatch("a number") }
      return bound.allows(Double(value)) ? .value(value) : .mismatch(bound.rawValue)
    } write: {
      String($0)
    }
  }

  /// true or false.
  static func flag(
    _ key: String, _ path: WritableKeyPath<Root, Bool> & Sendable, _ documentation: String
  ) -> Self {
    field(key, path, kind: "true or false", documentation) { node in
      switch node.plainText {
      case "true": .value(true)
      case "false": .value(false)
      default: .mismatch("true or false")
      }
    } write: {
      String($0)
    }
  }

  /// One word of a fixed set.
  static func choice<Choice: RawRepresentable & CaseIterable & Sendable>(
    _ key: String, _ path: WritableKeyPath<Root, Choice> & Sendable, _ documentation: String
  ) -> Self where Choice.RawValue == String {
    let words = Choice.allCases.map(\.rawValue).joined(separator: ", ")
    return field(key, path, kind: words, documentation) { node in
      guard let text = node.text, let value = Choice(rawValue: text) else { return .mismatch("one of \(words)") }
      return .value(value)
    } write: {
      ConfigurationText.quoted($0.rawValue)
    }
  }

  /// Non-empty text.
  static func text(
    _ key: String, _ path: WritableKeyPath<Root, String> & Sendable, _ documentation: String
  ) -> Self {
    field(key, path, kind: "text", documentation) { node in
      guard let text = node.text, !text.isEmpty else { return .mismatch("text") }
      return .value(text)
    } write: {
      ConfigurationText.quoted($0)
    }
  }

  /// Text or `null`.
  static func optionalText(
    _ key: String, _ path: WritableKeyPath<Root, String?> & Sendable, _ documentation: String
  ) -> Self {
    field(key, path, kind: "text or null", documentation) { node in
      if node.isNull { return .value(nil) }
      guard let text = node.text, !text.isEmpty else { return .mismatch("text or null") }
      return .value(text)
    } write: {
      $0.map(ConfigurationText.quoted) ?? "null"
    }
  }

  /// A list of texts.
  static func texts(
    _ key: String, _ path: WritableKeyPath<Root, [String]> & Sendable, _ documentation: String
  ) -> Self {
    field(key, path, kind: "list of texts", documentation) { node in
      guard case .list(let items) = node.content else { return .mismatch("a list of texts") }
      let texts = items.compactMap(\.text)
      return texts.count == items.count ? .value(texts) : .mismatch("a list of texts")
    } write: {
      "[" + $0.map(ConfigurationText.quoted).joined(separator: ", ") + "]"
    }
  }

  /// A real number or `null`.
  static func optionalReal(
    _ key: String, _ path: WritableKeyPath<Root, Double?> & Sendable, _ bound: RealBound, _ documentation: String
  ) -> Self {
    let kind = "\(bound.rawValue.dropFirst(2)) or null"
    return field(key, path, kind: kind, documentation) { node in
      if node.isNull { return .value(nil) }
      guard let text = node.plainText, isReal(text), let value = Double(text) else { return .mismatch("a number") }
      return bound.allows(value) ? .value(value) : .mismatch(bound.rawValue)
    } write: {
      $0.map { String($0) } ?? "null"
    }
  }

  /// An integer of at least 1, or `null`.
  static func optionalWhole(
    _ key: String, _ path: WritableKeyPath<Root, Int?> & Sendable, _ documentation: String
  ) -> Self {
    field(key, path, kind: "whole number of at least 1 or null", documentation) { node in
      if node.isNull { return .value(nil) }
      guard let text = node.plainText, isDecimal(text), let value = Int(text) else {
        return .mismatch("a whole number")
      }
      return (1...largestConfigurationCount).contains(value) ? .value(value) : .mismatch("a whole number of at least 1")
    } write: {
      $0.map { String($0) } ?? "null"
    }
  }
}

/// Whether `text` consists of decimal digits with an optional sign.
private func isDecimal(_ text: String) -> Bool {
  let digits = text.first == "-" || text.first == "+" ? text.dropFirst() : text[...]
  return !digits.isEmpty && digits.utf8.allSatisfy { (48...57).contains($0) }
}

/// Whether `text` has only characters of a decimal number, so that "nan", "inf" and hexadecimal remain text.
private func isReal(_ text: String) -> Bool {
  text.utf8.contains { (48...57).contains($0) } && text.utf8.allSatisfy { "0123456789+-.eE".utf8.contains($0) }
}
