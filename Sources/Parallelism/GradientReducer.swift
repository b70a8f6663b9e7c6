import Layers
import MPI
import Parameters
import Tensors

/// Accumulates gradients over reduction units and sums them over ranks.
///
/// A reduction unit is a part of the batch that no layout divides (a GRPO group). If `reproducible`, the gradient of
/// each unit is added as fixed point with quantum 2⁻⁵⁰ (`FixedPointSums`), so the sum does not depend on which rank
/// computed which unit. That costs 8 bytes per owned parameter. With mixed precision, weight-gradient products of
/// stacks are added as they are computed, all other gradients at the end of a unit. Otherwise gradients are fp32 sums,
/// in an order that is fixed for a given layout.
///
/// Replicated parameters are summed over all ranks, mini-MoEs over the ranks that hold the same mini-MoEs. fp32
/// all-reduces start during the last backward pass of a step, as soon as gradients are final (`lastPassGradients`).
/// Fixed-point sums start after the last unit.
public final class GradientReducer {
  /// Gradients of the parameters that this rank holds: of one unit while it is computed, of the batch after `reduce`.
  public let gradients: ParameterStore
  /// Seconds spent in reductions so far, including the wait for other ranks.
  public private(set) var seconds = 0.0
  private let sums: FixedPointSums?
  private let topology: Topology
  private let pool: WorkerPool
  /// Elements of the mini-MoEs in the stores: one range, because the store is in name order.
  private let council: Range<Int>
  /// This rank's unit. If units of the expert group must not mix, also the units of the group's other ranks, in rank
  /// order.
  private let units: [Unit]
  /// Index of this rank's unit in `units`.
  private let ownUnit: Int
  /// 1 if a rank has carried into the high words of its sums, else 0; allocated once for the all-reduce.
  private let hasCarried = AlignedBuffer<Int32>(count: 1)
  /// `sent`: for each unit, the first tensor that could not be added on this rank. `received`: the first such tensor of
  /// this rank's unit, from each rank of the expert group.
  private let failures: (sent: AlignedBuffer<Int>, received: AlignedBuffer<Int>)
  private let order: [ParameterID]
  /// Created by the first reduction, which every rank enters.
  private var strategy: Strategy?

  /// How gradients are summed over ranks: after the last pass, or during it.
  private enum Strategy {
    case blocking(world: HierarchicalSum, data: HierarchicalSum)
    case overlapped(OverlappedSums)
  }

  /// Destination of the gradients of one rank's unit.
  private struct Unit {
    let gradients: Gradients
    /// Gradients that the unit accumulates in fp32 before they are added to the fixed-point sums.
    let runs: [TensorRun]
  }

  /// A run of neighbouring tensors: the elements in a unit's store, and the first element in the sums.
  private struct TensorRun {
    var unit: Range<Int>
    let sum: Int
  }

  /// - Parameter order: all tensors, approximately in the order in which the backward pass finishes their gradients;
  ///   the same on all ranks.
  public init(
    _ table: ParameterTable, order: [ParameterID]? = nil, topology: Topology, mixedPrecision: Bool,
    reproducible: Bool, pool: WorkerPool
  ) {
    self.order = order ?? table.ids
    let gradients = ParameterStore(table, holding: topology.ownership.held(in: table))
    let sums =
      reproducible ? FixedPointSums(count: gradients.buffer.count, ranks: topology.world.size) : nil
    let direct = mixedPrecision ? sums : nil
    // Weight-gradient products of stacks go into the sums directly; all other gradients are fp32 until the unit ends.
    func isAddedAtEnd(_ id: ParameterID) -> Bool { direct == nil || !UnitSums.takes(table[id]) }
    func unit(_ store: ParameterStore) -> Unit {
      Unit(
        gradients: Gradients(
          store, mixedPrecision: mixedPrecision, sums: direct.map { UnitSums($0, layout: gradients) }),
        runs: Self.runs(store.held.filter(isAddedAtEnd), of: store, into: gradients))
    }
    let group = topology.expertGroup
    let others = gradients.held.filter { table[$0].miniMoE != nil && isAddedAtEnd($0) }
    ownUnit = reproducible ? group.rank : 0
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

  private static func runs(_ ids: [ParameterID], of unit: ParameterStore, into sums: ParameterStore) -> [TensorRun] {
    var runs: [TensorRun] = []
    for id in ids {
      let (start, sum) = (unit.offset(id), sums.offset(id))
      let end = start + VectorLanes.padded(unit.table[id].count)
      if let last = runs.last, last.unit.upperBound == start, last.sum + last.unit.count == sum {
        runs[runs.count - 1].unit = last.unit.lowerBound..<end
      } else {
        runs.append(TensorRun(unit: start..<end, sum: sum))
      }
    }
    return runs
  }

  public var isReproducible: Bool { sums != nil }

  /// Destination of the gradients of this rank's unit.
  public var unit: Gradients { units[ownUnit].gradients }

  /// For each rank of the expert group, the destination of the gradients that the rank's unit contributes to this
  /// rank's mini-MoEs. Nil if units may mix.
  public var separate: [Gradients]? { units.count > 1 ? units.map(\.gradients) : nil }

  /// `unit`, for the last backward pass of a step: the all-reduce of a gradient starts as soon as the gradient is
  /// final. Only that pass may touch gradients until `reduce` returns.
  public func lastPassGradients() -> Gradients {
    guard case .overlapped(let sums) = strategy else { return unit }
    sums.begin()
    return unit.last(sums)
  }

  /// Clears all gradients. Call before the first unit of a step.
  public func begin() {
    guard let sums else { return gradients.buffer.clear(pool) }
    for unit in units {
      for run in unit.runs { unit.gradients.store.buffer.clear(run.unit, pool) }
      _ = unit.gradients.takeFailure()
    }
    sums.clear(pool)
  }

  /// Ends a unit: in fixed point, adds the gradients that are still in fp32 to the sums and clears them. Collective in
  /// the expert group, whose ranks end their units together.
  ///
  /// - Returns: the first tensor whose gradient cannot be added (not finite, or not below ±2⁴⁰) in this rank's unit, on
  ///   any rank of the group; nil if all were added.
  public func finishUnit() throws(MPIError) -> ParameterID? {
    guard let sums else { return nil }
    guard units.count > 1 else { return add(units[ownUnit], to: sums) }
    let none = gradients.table.count
    for (index, unit) in units.enumerated() { failures.sent.pointer[index] = add(unit, to: sums)?.index ?? none }
    try topology.expertGroup.allToAll(
      UnsafeBufferPointer(failures.sent.bufferPointer), into: failures.received.bufferPointer)
    let first = failures.received.bufferPointer.min() ?? none
    return first < none ? ParameterID(first) : nil
  }

  private func add(_ unit: Unit, to sums: FixedPointSums) -> ParameterID? {
    let store = unit.gradients.store
    let failed = unit.gradients.takeFailure()
    for run in unit.runs {
      let problem = pool.firstFailure(run.unit.count) { range in
        Self.add(
          store.buffer.pointer + run.unit.lowerBound + range.lowerBound, range.count,
          to: sums, at: run.sum + range.lowerBound)
      }
      guard let problem else { continue }
      let first = store.held.last { store.offset($0) <= run.unit.lowerBound + problem }
      return [failed, first].compactMap { $0 }.min { $0.index < $1.index }
    }
    return failed
  }

  /// Adds a range to the sums and clears the range, in blocks that fit in the first-level cache.
  private static func add(
    _ values: UnsafeMutablePointer<Float>, _ count: Int, to sums: FixedPointSums, at element: Int
  ) -> Int64 {
    let chunk = 4096
    for first in stride(from: 0, to: count, by: chunk) {
      let length = min(chunk, count - first)
      if let problem = sums.add(values + first, count: length, at: element + first) { return Int64(first + problem) }
      (values + first).update(repeating: 0, count: length)
    }
    return -1
  }

  /// Sums over the ranks. Afterwards `gradients` holds the totals of this rank's parameters. Collective.
  public func reduce() throws(MPIError) {
    if let sums {
      try reduce(sums.low)
      // The high words exist only on ranks that carried, but all ranks must take part in their sum.
      hasCarried.pointer[0] = sums.high == nil ? 0 : 1
      try topology.world.allReduce(hasCarried.bufferPointer, .maximum)
      if hasCarried.pointer[0] != 0 { try reduce(sums.makeHigh()) }
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
    switch try makeStrategy() {
    case .overlapped(let sums): try sums.end()
    case .blocking(let world, _) where topology.dataGroup.size == topology.world.size:
      try world(buffer.bufferPointer)
    case .blocking(let world, let data):
      try world(buffer[0..<council.lowerBound])
      try data(buffer[council])
      try world(buffer[council.upperBound..<buffer.count])
    }
  }

  private func makeStrategy() throws(MPIError) -> Strategy {
    if let strategy { return strategy }
    func sum(_ ranks: Communicator, _ chunkBytes: Int) throws(MPIError) -> HierarchicalSum {
      guard let machine = try ranks.split(color: topology.machine, key: ranks.rank) else {
        preconditionFailure("MPI_Comm_split returned no communicator for a color")
      }
      return try HierarchicalSum(ranks, machine: machine, chunkBytes: chunkBytes, pool: pool)
    }
    let (world, data) = (topology.world, topology.dataGroup)
    let new: Strategy
    if sums == nil {
      let size = HierarchicalSum.chunkBytes.polled
      new = .overlapped(
        OverlappedSums(
          gradients, order: order, world: try sum(world.duplicate(), size), data: try sum(data.duplicate(), size)))
    } else {
      let size = HierarchicalSum.chunkBytes.blocking
      new = .blocking(world: try sum(world, size), data: try sum(data, size))
    }
    strategy = new
    return new
  }
}

extension AlignedBuffer {
  fileprivate subscript(range: Range<Int>) -> UnsafeMutableBufferPointer<Element> {
    UnsafeMutableBufferPointer(rebasing: bufferPointer[range])
  }
}

extension ParameterStore {
  /// The elements of `buffer` that belong to mini-MoEs: one range, because their names share a prefix.
  public var councilRange: Range<Int> {
    let council = parts.filter { table[$0.id].miniMoE != nil }
    guard let first = council.first, let last = council.last else { return 0..<0 }
    return offset(first.id)..<offset(last.id) + VectorLanes.padded(last.elements.count)
  }
}
