import Formats

/// The figures of a replayed step compared with the recorded ones.
public struct StepComparison: Sendable {
  /// A figure that differs.
  public struct Difference: Sendable {
    public let name: String
    /// As JSON; nil if only `replayed` has the figure.
    public let recorded: String?
    public let replayed: String?
    /// |replayed − recorded| / |recorded|, or |replayed| if `recorded` is 0; nil unless both are numbers.
    public let relative: Double?
  }

  /// The number of figures compared.
  public let compared: Int
  /// Sorted by name.
  public let differences: [Difference]

  /// Whether at least one figure was compared and all are bit-identical.
  public var isSame: Bool { compared > 0 && differences.isEmpty }

  /// The figure with the largest relative difference.
  public var largest: Difference? {
    differences.filter { $0.relative != nil }.max { ($0.relative ?? 0) < ($1.relative ?? 0) }
  }

  /// Whether a figure depends on the machine and the layout rather than on the step.
  private static func isIncidental(_ name: String) -> Bool {
    ["step", "step_time", "tokens_per_second"].contains(name)
      || ["time/", "reward/wait", "memory/", "publication/", "eval/"].contains(where: name.hasPrefix)
  }

  /// - Parameter recorded: nil if the step has no line of metrics.
  init(recorded: [String: JSONValue]?, replayed: [String: JSONValue]) {
    guard let recorded else {
      (compared, differences) = (0, [])
      return
    }
    // Loads are recorded for some steps only.
    let comparable = replayed.filter { $0.key != "loads" || recorded["loads"] != nil }
    let names = Set(recorded.keys).union(comparable.keys).filter { !Self.isIncidental($0) }.sorted()
    compared = names.count
    differences = names.compactMap { name in
      // JSON numbers have the fewest digits that restore all bits; non-finite numbers are null.
      let (before, now) = (recorded[name]?.serialized, comparable[name]?.serialized)
      guard before != now else { return nil }
      var relative: Double?
      if let old = recorded[name]?.numberValue, let new = comparable[name]?.numberValue {
        relative = old == 0 ? abs(new) : abs(new - old) / abs(old)
      }
      return Difference(name: name, recorded: before, replayed: now, relative: relative)
    }
  }
}
