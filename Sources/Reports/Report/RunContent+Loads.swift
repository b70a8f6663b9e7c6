import Formats

/// Loads of the council over the steps for which metrics.jsonl has them.
extension RunContent {
  /// A group of rows of a heat map with their names.
  struct LoadGroup {
    let name: String
    let rows: [String]
    /// [row][step]
    let values: [[Double]]
  }

  private var loads: [[String: JSONValue]] { lines.compactMap { $0.members["loads"]?.objectValue } }

  /// The steps with loads.
  var loadSteps: [Int] { lines.filter { $0.members["loads"]?.objectValue != nil }.map(\.step) }

  /// Slots of each mini-MoE over all layers, relative to an even distribution (1).
  var miniMoELoads: [LoadGroup] {
    let columns = loads.map { loads in
      let layers = Self.counts(loads["mini_moes"])
      let sums = layers.reduce([Double](repeating: 0, count: layers.first?.count ?? 0)) { zip($0, $1).map(+) }
      return Self.relative(sums)
    }
    return Self.group("", "mini-MoE", columns)
  }

  /// Slots of each expert, relative to an even distribution within the mini-MoE (1).
  var expertLoads: [LoadGroup] {
    let columns = loads.map { Self.counts($0["experts"]).map(Self.relative) }
    return (0..<(columns.first?.count ?? 0)).flatMap { mini in
      Self.group("mini-MoE \(mini)", "expert", columns.map { mini < $0.count ? $0[mini] : [] })
    }
  }

  /// The fraction of the micro agents of each mini-MoE that a step chose.
  var microAgentsUsed: [LoadGroup] {
    Self.group("", "mini-MoE", loads.map { ($0["micro_agents_used"]?.listValue ?? []).compactMap(\.numberValue) })
  }

  private static func counts(_ value: JSONValue?) -> [[Double]] {
    (value?.listValue ?? []).map { ($0.listValue ?? []).compactMap(\.numberValue) }
  }

  /// One group from one column per step; none if there are no values.
  private static func group(_ name: String, _ row: String, _ columns: [[Double]]) -> [LoadGroup] {
    guard let first = columns.first, !first.isEmpty else { return [] }
    return [
      LoadGroup(
        name: name, rows: first.indices.map { "\(row) \($0)" },
        values: first.indices.map { index in columns.map { index < $0.count ? $0[index] : 0 } })
    ]
  }

  private static func relative(_ counts: [Double]) -> [Double] {
    let sum = counts.reduce(0, +)
    return counts.map { sum > 0 ? $0 * Double(counts.count) / sum : 0 }
  }
}
