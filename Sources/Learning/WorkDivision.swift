/// Divides items of work among ranks. The result follows from the costs alone, so all ranks compute the same division.
package enum WorkDivision {
  /// The rank of each item: items are assigned from the largest to the smallest, each to the rank with the least work so
  /// far. Ties go to the first item and the lowest rank.
  ///
  /// No rank has more than the mean plus one item (longest processing time first: Graham, "Bounds on multiprocessing
  /// timing anomalies", 1969).
  package static func balanced(_ costs: [Int], among ranks: Int) -> [Int] {
    var result = [Int](repeating: 0, count: costs.count)
    var loads = [Int](repeating: 0, count: ranks)
    for item in costs.indices.sorted(by: { (-costs[$0], $0) < (-costs[$1], $1) }) {
      var idlest = 0
      for rank in 1..<max(1, ranks) where loads[rank] < loads[idlest] { idlest = rank }
      result[item] = idlest
      loads[idlest] += costs[item]
    }
    return result
  }

  /// The rank of each item: ranks get consecutive items of nearly equal total cost.
  ///
  /// An item belongs to the rank in whose part of the total its middle lies.
  package static func consecutive(_ costs: [Int], among ranks: Int) -> [Int] {
    let total = costs.reduce(0, +)
    var done = 0
    return costs.map { cost in
      defer { done += cost }
      return total > 0 ? min(ranks - 1, (2 * done + cost) * ranks / (2 * total)) : 0
    }
  }
}
