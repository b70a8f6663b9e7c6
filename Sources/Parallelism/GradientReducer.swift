import CKernels
import MPI
import Parameters
import Tensors

/// Adds gradients over units of work and over ranks.
///
/// A unit is a piece of the batch that no layout cuts (a GRPO group). With `reproducible`, each unit's gradient is
/// added as 64-bit fixed point with quantum 2⁻⁵⁰, so the sum does not depend on which rank computed which unit; it
/// costs 8 bytes per owned parameter. Otherwise gradients are fp32 sums, in a fixed order for a fixed layout.
///
/// Replicated parameters are summed over the world, mini-MoEs over the ranks that hold the same ones.
public final class GradientReducer {
  /// Gradients of what this rank holds: of the unit while it is computed, of the batch after `reduce`.
  public let gradients: ParameterStore
  /// For each rank of the expert group, gradients of this rank's mini-MoEs by that rank's unit; the own place is empty.
  /// Nil where units may mix.
  public let sources: [ParameterStore]?
  /// Seconds in reductions so far, waiting for other ranks included.
  public private(set) var seconds = 0.0
  private let sums: AlignedBuffer<Int64>?
  private let topology: Topology
  private let pool: WorkerPool
  /// Where in the stores the mini-MoEs lie: one range, since names order the store.
  private let council: Range<Int>
  /// Made at the first reduction, which all ranks enter.
  private var worldSum: HierarchicalSum?
  private var dataSum: HierarchicalSum?

  public init(_ table: ParameterTable, topology: Topology, reproducible: Bool, pool: WorkerPool) {
    self.topology = topology
    self.pool = pool
    gradients = ParameterStore(table, holding: topology.ownership.held(in: table))
    sums = reproducible ? AlignedBuffer(count: gradients.buffer.count) : nil
    let group = topology.expertGroup
    let own = gradients.held.filter { table[$0].miniMoE != nil }
    sources =
      reproducible && group.size > 1
      ? (0..<group.size).map { ParameterStore(table, holding: $0 == group.rank ? [] : own) } : nil
    council = gradients.councilRange
  }

  public var isReproducible: Bool { sums != nil }

  /// Forgets all gradients; call before the first unit of a step.
  public func begin() {
    gradients.buffer.clear(pool)
    for source in sources ?? [] { source.buffer.clear(pool) }
    sums?.clear(pool)
  }

  /// Ends a unit: with fixed point, folds the gradients into the sums and clears them. Collective in the expert group,
  /// whose ranks end their units together.
  ///
  /// - Returns: the first tensor of this rank's unit, on whichever rank, whose gradient cannot be added (not finite, or
  ///   beyond ±2⁶¹ quanta), or nil.
  public func endUnit() throws(MPIError) -> ParameterID? {
    guard let sums else { return nil }
    let own = add(gradients, to: sums)
    guard let sources else { return own }
    let group = topology.expertGroup
    let none = gradients.table.count
    let failed = try group.allToAll(
      sources.enumerated().map { rank, source in
        (rank == group.rank ? own : add(source, to: sums))?.index ?? none
      })
    let first = failed.min() ?? none
    return first < none ? ParameterID(first) : nil
  }

  private func add(_ unit: ParameterStore, to sums: AlignedBuffer<Int64>) -> ParameterID? {
    guard let first = unit.held.first else { return nil }
    // The tensors of a unit lie side by side, in the sums as in the unit's own buffer.
    let start = sums.pointer + gradients.offset(first)
    let failure = pool.firstFailure(unit.buffer.count) { range in
      ck_fixed_add(Int64(range.count), unit.buffer.pointer + range.lowerBound, start + range.lowerBound)
    }
    if let failure { return unit.held.last { unit.offset($0) <= failure } }
    unit.buffer.clear(pool)
    return nil
  }

  /// Sums over the ranks; afterwards `gradients` holds the totals of what this rank holds. Collective.
  public func reduce() throws(MPIError) {
    if let sums {
      try reduce(sums)
      pool.split(sums.count, grain: 16, least: 1 << 16) { _, range in
        ck_fixed_read(
          Int64(range.count), sums.pointer + range.lowerBound, gradients.buffer.pointer + range.lowerBound)
      }
    } else {
      try reduce(gradients.buffer)
    }
  }

  private func reduce<Element: SummedElement>(_ buffer: AlignedBuffer<Element>) throws(MPIError) {
    let start = ContinuousClock.now
    defer { seconds += (ContinuousClock.now - start) / .seconds(1) }
    let (world, data) = (topology.world, topology.dataGroup)
    guard world.size > 1 else { return }
    let sumWorld = try sum(over: world, &worldSum)
    if world.size == data.size { return try sumWorld(buffer.bufferPointer) }
    let sumData = try sum(over: data, &dataSum)
    try sumWorld(buffer[0..<council.lowerBound])
    try sumData(buffer[council])
    try sumWorld(buffer[council.upperBound..<buffer.count])
  }

  private func sum(over ranks: Communicator, _ made: inout HierarchicalSum?) throws(MPIError) -> HierarchicalSum {
    if let made { return made }
    let new = try HierarchicalSum(ranks, pool: pool)
    made = new
    return new
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
