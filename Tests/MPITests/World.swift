import Foundation
import MPI
import Testing

/// All tests of this module: they enter collectives, so they run one after another and in the same order on all ranks.
/// `swift test` runs them on one rank; `mpirun -n 4 <test bundle> --testing-library swift-testing --no-parallel
/// --filter MPITests` on four.
@Suite(.serialized) struct MPITests {}

/// The ranks that run the tests.
enum World {
  private static let started = Result { () throws(MPIError) in
    let world = try MPI.Environment.initialize()
    atexit { try? MPI.Environment.finalize() }
    return world
  }

  static func communicator() throws -> Communicator { try started.get() }

  /// Counts that few block sizes divide, including 0.
  static let awkwardCounts = [0, 1, 2, 7, 31, 129, 1000]

  /// The communicator itself, and versions that split transfers of `awkwardCounts` into one, two and many parts.
  static func splittings() throws -> [Communicator] {
    let world = try communicator()
    return [world, world.splittingTransfers(above: 1), world.splittingTransfers(above: 10)]
  }

  /// Values that differ by rank and index, and are small enough for exact sums in every type.
  static func values<Element: Transferable & Numeric>(_ rank: Int, count: Int, _: Element.Type) -> [Element] {
    (0..<count).map { Element(exactly: (rank * 3 + $0) % 11) ?? .zero }
  }

  static func values(_ rank: Int, count: Int) -> [Int32] { (0..<count).map { Int32(rank * 100_000 + $0) } }

  /// A length that differs by rank, 0 for some.
  static func unequalCount(_ rank: Int, _ count: Int) -> Int { rank.isMultiple(of: 3) ? count : count * (rank % 3 - 1) }
}
