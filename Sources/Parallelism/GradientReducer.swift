import Layers
import MPI
import Parameters
import Tensors

/// Adds gradients over units of work and over ranks.
///
/// A unit is a piece of the batch that no layout cuts (a GRPO group). With `reproducible`, each unit's gradient is
/// added as fixed point with quantum 2⁻⁵⁰ (`FixedPointSums`), so the sum does not depend on which rank computed which
/// unit; it costs 8 bytes per owned parameter. With mixed precision, products of stacks are added as they are computed, the rest
/// as a unit ends. Otherwise gradients are fp32 sums, in a fixed order for a fixed layout.
///
/// Replicated parameters are summed over the world, mini-MoEs over the ranks that hold the same ones. fp32 sums begin in the
/// step's last backward pass, as soon as gradients are final (`last`); fixed-point sums end with a unit.
public final class GradientReducer {
  /// Gradients of what this rank holds: of the unit while it is computed, of the batch after `reduce`.
  public let gradients: ParameterStore
  /// Seconds in reductions so far, waiting for other ranks included.
  public private(set) var seconds = 0.0
  private let sums: FixedPointSums?
  private let topology: Topology
  private let pool: WorkerPool
  /// Where in the stores the mini-MoEs lie: one range, since names order the store.
  private let council: Range<Int>
  /// This rank's unit and, where units of the expert group must not mix, those of its other ranks, in rank order.
  private let units: [Unit]
  /// The place of this rank's among them.
  private let own: Int
  /// For each unit, and of this rank's on each rank of the group, the first tensor that could not be added.
  private let failures: (mine: AlignedBuffer<Int>, received: AlignedBuffer<Int>)
  /// Whether a rank has carried, in memory that is there already.
  private let carries = AlignedBuffer<Int32>(count: 1)
  private let order: [ParameterID]
  /// Made at the first reduction, which all ranks enter.
  private var ways: Ways?

  /// How gradients are summed.
  private enum Ways {
    case together(world: HierarchicalSum, data: HierarchicalSum)
    case overlapped(OverlappedSums)
  }

  /// Where a rank's unit is added.
  private struct Unit {
    let gradients: Gradients
    /// What it leaves in fp32.
    let folds: [Fold]
  }

  /// Neighbouring tensors: where they lie in a unit's store, and from where in the sums.
  private struct Fold {
    var unit: Range<Int>
    let sum: Int
  }

  /// - Parameter order: all tensors in about the order in which backward ends their gradients, the same on all ranks.
  public init(
    _ table: ParameterTable, order: [ParameterID]? = nil, topology: Topology, mixedPrecision: Bool,
    reproducible: Bool, pool: WorkerPool
  ) {
    self.order = order ?? table.ids
    let gradients = ParameterStore(table, holding: topology.ownership.held(in: table))
    let sums =
      reproducible ? FixedPointSums(count: gradients.buffer.count, ranks: topology.world.size) : nil
    let direct = mixedPrecision ? sums : nil
    func folded(_ id: ParameterID) -> Bool { direct == nil || !UnitSums.takes(table[id]) }
    func unit(_ store: ParameterStore) -> Unit {
      Unit(
        gradients: Gradients(
          store, mixedPrecision: mixedPrecision, sums: direct.map { UnitSums($0, layout: gradients) }),
        folds: Self.folds(store.held.filter(folded), of: store, into: gradients))
    }
    let group = topology.expertGroup
    let others = gradients.held.filter { table[$0].miniMoE != nil && folded($0) }
    own = reproducible ? group.rank : 0
    units =
      reproducible
      ? (0..<group.size).map { unit($0 == group.rank ? gradients : ParameterStore(table, holding: others)) }
      : [unit(gradients)]
    failures = (AlignedBuffer(count: units.count), AlignedBuffer(count: units.count))
    self.topology = topology
    self.pool = pool
    self.gradients = gradients
    self.sums = sums
    council = gradients.councilRange
  }

  private static func folds(_ ids: [ParameterID], of unit: ParameterStore, into sums: ParameterStore) -> [Fold] {
    var folds: [Fold] = []
    for id in ids {
      let (start, sum) = (unit.offset(id), sums.offset(id))
      let end = start + (unit.table[id].count + 15) & ~15
      if let last = folds.last, last.unit.upperBound == start, last.sum + last.unit.count == sum {
        folds[folds.count - 1].unit = last.unit.lowerBound..<end
      } else {
        folds.append(Fold(unit: start..<end, sum: sum))
      }
    }
    return folds
  }

  public var isReproducible: Bool { sums != nil }

  /// Where this rank's unit is added.
  public var unit: Gradients { units[own].gradients }

  /// For each rank of the expert group, where gradients of this rank's mini-MoEs by that rank's unit are added. Nil where
  /// units may mix.
  public var separate: [Gradients]? { units.count > 1 ? units.map(\.gradients) : nil }

  /// `unit`, for the step's last backward pass: sums of its gradients begin as they become final. Nothing but that pass
  /// may touch gradients until `reduce`.
  public func last() -> Gradients {
    guard case .overlapped(let sums) = ways else { return unit }
    sums.begin()
    return unit.last(sums)
  }

  /// Forgets all gradients; call before the first unit of a step.
  public func begin() {
    guard let sums else { return gradients.buffer.clear(pool) }
    for unit in units {
      for fold in unit.folds { unit.gradients.store.buffer.clear(fold.unit, pool) }
      _ = unit.gradients.takeFailure()
    }
    sums.clear(pool)
  }

  /// Ends a unit: with fixed point, folds what is left in fp32 into the sums and clears it. Collective in the expert
  /// group, whose ranks end their units together.
  ///
  /// - Returns: the first tensor of this rank's unit, on whichever rank, whose gradient cannot be added (not finite, or
  ///   not below ±2⁴⁰), or nil.
  public func endUnit() throws(MPIError) -> ParameterID? {
    guard let sums else { return nil }
    guard units.count > 1 else { return fold(units[own], into: sums) }
    let none = gradients.table.count
    for (index, unit) in units.enumerated() { failures.mine.pointer[index] = fold(unit, into: sums)?.index ?? none }
    try topology.expertGroup.allToAll(
      UnsafeBufferPointer(failures.mine.bufferPointer), into: failures.received.bufferPointer)
    let first = failures.received.bufferPointer.min() ?? none
    return first < none ? ParameterID(first) : nil
  }

  private func fold(_ unit: Unit, into sums: FixedPointSums) -> ParameterID? {
    let store = unit.gradients.store
    let failed = unit.gradients.takeFailure()
    for fold in unit.folds {
      let problem = pool.firstFailure(fold.unit.count) { range in
        Self.add(
          store.buffer.pointer + fold.unit.lowerBound + range.lowerBound, range.count,
          to: sums, at: fold.sum + range.lowerBound)
      }
      guard let problem else { continue }
      let first = store.held.last { store.offset($0) <= fold.unit.lowerBound + problem }
      return [failed, first].compactMap { $0 }.min { $0.index < $1.index }
    }
    return failed
  }

  /// Adds a range to its sums and clears it, a cache's worth at a time.
  private static func add(
    _ values: UnsafeMutablePointer<Float>, _ count: Int, to sums: FixedPointSums, at place: Int
  ) -> Int64 {
    let chunk = 4096
    for first in stride(from: 0, to: count, by: chunk) {
      let length = min(chunk, count - first)
      if let problem = sums.add(values + first, count: length, at: place + first) { return Int64(first + problem) }
      (values + first).update(repeating: 0, count: length)
    }
    return -1
  }

  /// Sums over the ranks; afterwards `gradients` holds the totals of what this rank holds. Collective.
  public func reduce() throws(MPIError) {
    if let sums {
      try reduce(sums.low)
      // What one rank has carried all ranks add.
      carries[0] = sums.high == nil ? 0 : 1
      try topology.world.allReduce(carries.bufferPointer, .maximum)
      if carries[0] != 0 { try reduce(sums.makeHigh()) }
      pool.split(sums.count, grain: 16, least: 1 << 16) { _, range in
        sums.read(range, into: gradients.buffer.pointer + range.lowerBound)
      }
    } else {
      try reduce(gradients.buffer)
    }
  }

  private func reduce<Element: SummedElement>(_ buffer: AlignedBuffer<Element>) throws(MPIError) {
    let start = ContinuousClock.now
    defer { seconds += (ContinuousClock.now - start) / .seconds(1) }
    guard topology.world.size > 1 else { return }
    switch try madeWays() {
    case .overlapped(let sums): try sums.end()
    case .together(let world, _) where topology.dataGroup.size == topology.world.size:
      try world(buffer.bufferPointer)
    case .together(let world, let data):
      try world(buffer[0..<council.lowerBound])
      try data(buffer[council])
      try world(buffer[council.upperBound..<buffer.count])
    }
  }

  private func madeWays() throws(MPIError) -> Ways {
    if let ways { return ways }
    func sum(_ ranks: Communicator, _ chunkBytes: Int) throws(MPIError) -> HierarchicalSum {
      guard let machine = try ranks.split(color: topology.machine, key: ranks.rank) else {
        preconditionFailure("MPI_Comm_split returned no communicator for a color")
      }
      return try HierarchicalSum(ranks, machine: machine, chunkBytes: chunkBytes, pool: pool)
    }
    let (world, data) = (topology.world, topology.dataGroup)
    let made: Ways
    if sums == nil {
      let size = HierarchicalSum.chunkBytes.stepwise
      made = .overlapped(
        OverlappedSums(
          gradients, order: order, world: try sum(world.duplicate(), size), data: try sum(data.duplicate(), size)))
    } else {
      let size = HierarchicalSum.chunkBytes.whole
      made = .together(world: try sum(world, size), data: try sum(data, size))
    }
    ways = made
    return made
  }
}

extension AlignedBuffer {
  fileprivate subscript(range: Range<Int>) -> UnsafeMutableBufferPointer<Element> {
    UnsafeMutableBufferPointer(rebasing: bufferPointer[range])
  }
}

extension ParameterStore {
  /// The part of `buffer` that belongs to mini-MoEs; their common prefix keeps them together.
  public var councilRange: Range<Int> {
    let council = parts.filter { table[$0.id].miniMoE != nil }
    guard let first = council.first, let last = council.last else { return 0..<0 }
    return offset(first.id)..<offset(last.id) + (last.elements.count + 15) & ~15
  }
}
