/// The role of a stored tensor.
public enum TensorKind: String, Sendable, Codable, CaseIterable, Comparable {
  /// A parameter or balance bias: what training changes.
  case master
  /// AdamW's moments, and their scales if the moments are stored as blocks of codes.
  case firstMoment = "first_moment"
  case firstMomentScales = "first_moment_scales"
  case secondMoment = "second_moment"
  case secondMomentScales = "second_moment_scales"
  /// π_old in packed form, if it differs from the packed masters: codes (or fp32 values), and scales.
  case policy
  case policyScales = "policy_scales"
  /// The frozen reference of the KL term in packed form.
  case reference
  case referenceScales = "reference_scales"
  /// The moving average of the parameters (`rl.ema_decay`).
  case average
  /// The parameters with the best held-out measure so far, to which `rl.guard` returns.
  case best
  /// Rollouts that no step has trained on yet.
  case rollout

  public static func < (left: Self, right: Self) -> Bool { left.order < right.order }
  private var order: Int { Self.allCases.firstIndex(of: self) ?? 0 }
}

/// The identity of a stored tensor: the parameter's global name, and the kind.
public struct TensorKey: Hashable, Sendable, Codable, Comparable, CustomStringConvertible {
  public let name: String
  public let kind: TensorKind

  public init(_ name: String, _ kind: TensorKind) {
    self.name = name
    self.kind = kind
  }

  /// By name in byte order, then by kind.
  public static func < (left: Self, right: Self) -> Bool {
    if left.name != right.name { return left.name.utf8.lexicographicallyPrecedes(right.name.utf8) }
    return left.kind < right.kind
  }

  public var description: String { kind == .master ? name : "\(name) (\(kind.rawValue))" }

  /// The number m of a name `mini_moes.m.…`, which decides the expert file.
  var miniMoE: Int? {
    guard name.hasPrefix("mini_moes.") else { return nil }
    let digits = name.dropFirst(10).prefix { $0 != "." }
    return digits.count <= 9 ? Int(digits) : nil
  }
}
