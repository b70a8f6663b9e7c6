import Foundation
import MPI
import Synchronization

/// Communicators for tests: one of all ranks, and one of each rank alone.
///
/// Tests run concurrently in one process, so each call returns a new communicator.
package enum Ranks {
  private struct Base: @unchecked Sendable {
    let world: Communicator
    let alone: Communicator
  }

  /// A failure outside of MPI.
  package struct Failure: Error {}

  private static let base = Result {
    let world = try MPI.Environment.initialize()
    atexit { try? MPI.Environment.finalize() }
    guard let alone = try world.split(color: world.rank, key: 0) else { throw Failure() }
    return Base(world: world, alone: alone)
  }
  private static let lock = Mutex(())

  /// All ranks. Collective.
  package static func together() throws -> Communicator { try lock.withLock { _ in try base.get().world.duplicate() } }

  /// Groups per step: at least one per rank, and not the same number on all ranks.
  package static func groups() throws -> Int { try max(5, base.get().world.size + 1) }

  /// This rank alone.
  package static func alone() throws -> Communicator { try lock.withLock { _ in try base.get().alone.duplicate() } }
}
