import Objectives
import Rollouts
import TestSupport
import Testing
import Training
import TrainingSupport

/// How work is divided among 2 to 128 ranks, by simulation.
@Suite struct WorkDivisionTests {
  private static let ranks = [2, 3, 4, 8, 16, 31, 64, 128]

  /// Ragged lengths as of completions: most are short, some reach the limit.
  private static func lengths(_ count: Int, seed: UInt64, limit: Int = 1024) -> [Int] {
    var numbers = RandomNumbers(seed: seed)
    return (0..<count).map { _ in
      let share = Double(numbers.uniform())
      return share > 0.92 ? limit : 32 + Int(share * share * Double(limit - 32))
    }
  }

  private static func loads(_ costs: [Int], _ division: [Int], _ ranks: Int) -> [Int] {
    var loads = [Int](repeating: 0, count: ranks)
    for (cost, rank) in zip(costs, division) { loads[rank] += cost }
    return loads
  }

  /// The work of the slowest rank relative to the mean.
  private static func excess(_ loads: [Int]) -> Double {
    Double(loads.max() ?? 0) * Double(loads.count) / Double(loads.reduce(0, +))
  }

  @Test(
    "With eight trajectories per rank, the slowest rank has at most 5 % more tokens than the mean", arguments: ranks)
  func balance(ranks: Int) {
    for seed in 1...20 {
      let costs = Self.lengths(8 * ranks, seed: UInt64(seed))
      let loads = Self.loads(costs, WorkDivision.balanced(costs, among: ranks), ranks)
      #expect(loads.reduce(0, +) == costs.reduce(0, +))
      #expect(Self.excess(loads) <= 1.05, "seed \(seed)")
    }
  }

  @Test("No rank has more than the mean and the longest trajectory, however few there are", arguments: ranks)
  func bound(ranks: Int) {
    for count in [1, ranks - 1, ranks, ranks + 1, 3 * ranks] {
      let costs = Self.lengths(count, seed: UInt64(count))
      let loads = Self.loads(costs, WorkDivision.balanced(costs, among: ranks), ranks)
      let mean = Double(costs.reduce(0, +)) / Double(ranks)
      #expect(Double(loads.max() ?? 0) <= mean + Double(costs.max() ?? 0))
      if count <= ranks { #expect(loads.max() == costs.max()) }
    }
  }

  @Test("Equal lengths are divided in order, and nothing to divide gives nothing")
  func ties() {
    #expect(WorkDivision.balanced([5, 5, 5, 5, 5], among: 2) == [0, 1, 0, 1, 0])
    #expect(WorkDivision.balanced([1, 9, 2, 9], among: 3) == [2, 0, 2, 1])
    #expect(WorkDivision.balanced([], among: 4).isEmpty)
    #expect(WorkDivision.balanced([3, 1], among: 1) == [0, 0])
    #expect(WorkDivision.consecutive([], among: 4).isEmpty)
    #expect(WorkDivision.consecutive([0, 0], among: 4) == [0, 0])
  }

  @Test("Consecutive shares are in order; of equal items, no rank has two more than another", arguments: ranks)
  func consecutive(ranks: Int) {
    for count in [1, 5, ranks, 4 * ranks, 1000] {
      let equal = WorkDivision.consecutive([Int](repeating: 3, count: count), among: ranks)
      #expect(equal == equal.sorted())
      let numbers = Self.loads([Int](repeating: 1, count: count), equal, ranks)
      #expect((numbers.max() ?? 0) - (numbers.min() ?? 0) <= 1, "\(count) items")
    }
    let costs = Self.lengths(40 * ranks, seed: 7)
    let division = WorkDivision.consecutive(costs, among: ranks)
    #expect(division == division.sorted())
    #expect(Self.excess(Self.loads(costs, division, ranks)) <= 1.2)
  }

  private static func heads(_ groups: Int, of size: Int, seed: UInt64) -> [StepGroup] {
    let lengths = lengths(groups * size, seed: seed)
    return (0..<groups).map { group in
      let members = (0..<size).map { index in
        let tokens = lengths[group * size + index]
        return StepGroup.Member(tokens: tokens, generated: tokens - 16, reward: Double((group + index) % 3))
      }
      return StepGroup(StepGroup.Head(id: UInt64(group), members: members))
    }
  }

  @Test("The trajectories of a step are divided within 5 %, also into units of reproducible sums", arguments: ranks)
  func step(ranks: Int) throws {
    for isReproducible in [false, true] {
      let groups = Self.heads((isReproducible ? 2 : 1) * ranks, of: 16, seed: UInt64(ranks))
      let division = try StepGroup.division(
        of: groups, objective: ObjectiveConfiguration(), RunConfiguration(), isReproducible: isReproducible,
        ranks: ranks)
      var loads = [Int](repeating: 0, count: ranks)
      for (group, members) in zip(groups, division) {
        for (member, rank) in zip(group.members, members) { loads[rank] += member.tokens }
      }
      #expect(Self.excess(loads) <= 1.05, "reproducible: \(isReproducible)")
      if isReproducible {
        for (group, members) in zip(groups, division) {
          for unit in MicroBatches.units(group.members.map(\.tokens)) { #expect(Set(members[unit]).count == 1) }
        }
      }
    }
  }

  @Test("Trajectories without an advantage are divided by themselves if they are not trained on")
  func skipped() throws {
    var configuration = RunConfiguration()
    configuration.rl.zeroAdvantage = .skip
    var objective = ObjectiveConfiguration()
    objective.advantage = .clip01
    let groups = Self.heads(32, of: 8, seed: 3)
    let division = try StepGroup.division(
      of: groups, objective: objective, configuration, isReproducible: false, ranks: 4)
    var (trained, others) = ([Int](repeating: 0, count: 4), [Int](repeating: 0, count: 4))
    for (group, members) in zip(groups, division) {
      let mean = group.members.reduce(0) { $0 + $1.reward } / 8
      for (member, rank) in zip(group.members, members) {
        if member.reward > mean { trained[rank] += member.tokens } else { others[rank] += member.tokens }
      }
    }
    #expect(Self.excess(trained) <= 1.05 && Self.excess(others) <= 1.05)
  }

  @Test("Units of a group have a quarter of its tokens, but at least 256; a longer sequence is a unit by itself")
  func units() {
    #expect(MicroBatches.units([32, 32, 32, 32, 32, 32, 32, 32]) == [0..<8])
    #expect(MicroBatches.units([100, 100, 100, 100, 100]) == [0..<2, 2..<4, 4..<5])
    #expect(MicroBatches.units([600, 600, 600, 600, 600, 600, 600, 600]) == [0..<2, 2..<4, 4..<6, 6..<8])
    #expect(MicroBatches.units([300, 10, 10, 400]) == [0..<1, 1..<3, 3..<4])
    #expect(MicroBatches.units([]).isEmpty)
    #expect(MicroBatches.unitSequences(8, length: 600) == 2)
    #expect(MicroBatches.unitSequences(8, length: 16) == 8)
  }

  @Test("Trajectories keep their bits in columns, and columns that do not fit are refused")
  func columns() throws {
    let trainer = try TinyRun().trainer(Ranks.alone())
    let groups = try trainer.sampleGroups(step: 0).groups
    var placed = groups.flatMap { group in
      group.trajectories.enumerated().map { PlacedTrajectory(group: group.id, index: $0, $1) }
    }
    placed.append(PlacedTrajectory(group: 9, index: 3, groups[0].trajectories[0].withoutLoss))
    let columns = TrajectoryColumns(placed)
    let read = try #require(columns.trajectories)
    #expect(read.map(\.trajectory) == placed.map(\.trajectory))
    #expect(read.map(\.group) == placed.map(\.group) && read.map(\.index) == placed.map(\.index))
    #expect(TrajectoryColumns().trajectories?.isEmpty == true)
    func damaged(_ change: (inout [Int64]) -> Void) -> TrajectoryColumns {
      var heads = columns.heads
      change(&heads)
      return TrajectoryColumns(
        heads: heads, tokens: columns.tokens, mask: columns.mask, latents: columns.latents,
        logProbabilities: columns.logProbabilities)
    }
    #expect(damaged { _ in }.trajectories != nil)
    #expect(damaged { $0.removeLast() }.trajectories == nil)
    #expect(damaged { $0.removeLast(TrajectoryColumns.width) }.trajectories == nil)
    for (column, value) in [(1, -1), (4, 99), (4, -1), (5, 0), (5, -3), (5, 1 << 40), (6, -1), (6, 1 << 40)] {
      #expect(damaged { $0[column] = Int64(value) }.trajectories == nil, "column \(column) is \(value)")
    }
    #expect(damaged { $0[5] += 1 }.trajectories == nil)
  }
}
