import Formats

/// The figures of a step that was made again, held against those on record.
public struct StepComparison: Sendable {
  /// A figure that differs.
  public struct Difference: Sendable {
    public let name: String
    /// As JSON; nil where only the other has the figure.
    public let recorded: String?
    public let replayed: String?
    /// |replayed − recorded| / |recorded|, where both are numbers.
    public let relative: Double?
  }

  /// How many figures both were asked for.
  public let compared: Int
  /// By name.
  public let differences: [Difference]

  /// Whether there was something to compare, and all of it is the same bits.
  public var isSame: Bool { compared > 0 && differences.isEmpty }

  /// The figure with the largest relative difference.
  public var largest: Difference? {
    differences.filter { $0.relative != nil }.max { ($0.relative ?? 0) < ($1.relative ?? 0) }
  }

  /// Figures that tell of the machine and the layout rather than of the step.
  private static func isIncidental(_ name: String) -> Bool {
    ["step", "step_time", "tokens_per_second"].contains(name)
      || ["time/", "memory/", "publication/", "eval/"].contains(where: name.hasPrefix)
  }

  /// - Parameter recorded: nil where the step has no line of metrics.
  init(recorded: [String: JSONValue]?, replayed: [String: JSONValue]) {
    guard let recorded else {
      (compared, differences) = (0, [])
      return
    }
    // Loads are on record for some steps only.
    let own = replayed.filter { $0.key != "loads" || recorded["loads"] != nil }
    let names = Set(recorded.keys).union(own.keys).filter { !Self.isIncidental($0) }.sorted()
    compared = names.count
    differences = names.compactMap { name in
      // Numbers have the fewest digits that read back to the same bits; what is not finite is null.
      let (before, now) = (recorded[name]?.serialized, own[name]?.serialized)
      guard before != now else { return nil }
      var relative: Double?
      if let old = recorded[name]?.numberValue, let new = own[name]?.numberValue {
        relative = old == 0 ? abs(new) : abs(new - old) / abs(old)
      }
      return Difference(name: name, recorded: before, replayed: now, relative: relative)
    }
  }
}
