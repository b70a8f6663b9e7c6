import Errors
import Learning
import MPI

extension Communicator {
  /// Runs collective work. Collective.
  ///
  /// - Throws: `AgreedError` if every rank threw the same `TrainingError`, so that all ranks leave together.
  func together<Result>(_ body: () throws -> Result) throws -> Result {
    do {
      return try body()
    } catch let error as TrainingError where error.isAgreed {
      throw AgreedError(status: error.status, cause: rank == 0 ? error : nil)
    }
  }

  /// Runs each rank's local work (reading and checking files), which must not communicate. Collective.
  ///
  /// - Throws: `AgreedError` on every rank if `body` threw on any rank, so that all ranks leave together.
  func agree<Result>(_ body: () throws -> Result) throws -> Result {
    var result: Result?
    var failure: (any Error)?
    do { result = try body() } catch { failure = error }
    let first = try allReduce(failure == nil ? size : rank, .minimum)
    if first == size, let result { return result }
    let code = try broadcast(failure.map { ErrorStatus(of: $0).rawValue } ?? 0, from: first)
    throw AgreedError(status: ErrorStatus(rawValue: code) ?? .failure, cause: rank == first ? failure : nil)
  }
}
