import MPI
import Training

/// An error that all ranks know of and throw together; the lowest rank that met it says so.
struct AgreedError: Error {
  let status: ExitStatus
  /// The error, on the one rank that reports it.
  let spoken: (any Error)?
}

extension Communicator {
  /// Runs what all ranks do together. Collective.
  ///
  /// - Throws: `AgreedError` where every rank threw the same `TrainingError`, so that all leave together.
  func together<Result>(_ body: () throws -> Result) throws -> Result {
    do {
      return try body()
    } catch let error as TrainingError where error.isAgreed {
      throw AgreedError(status: ExitStatus(error), spoken: rank == 0 ? error : nil)
    }
  }

  /// Runs each rank's own part (reading files, checking them), which must not communicate. Collective.
  ///
  /// - Throws: `AgreedError` on every rank where `body` threw on any of them, so that all leave together.
  func agree<Result>(_ body: () throws -> Result) throws -> Result {
    var result: Result?
    var failure: (any Error)?
    do { result = try body() } catch { failure = error }
    let first = try allReduce(failure == nil ? size : rank, .minimum)
    if first == size, let result { return result }
    let code = try broadcast(failure.map { ExitStatus($0).rawValue } ?? 0, from: first)
    throw AgreedError(status: ExitStatus(rawValue: code) ?? .failed, spoken: rank == first ? failure : nil)
  }
}
