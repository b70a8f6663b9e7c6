internal import CMPI
import Synchronization
import Telemetry

/// A non-blocking transfer. It owns the memory that MPI reads or writes, and returns the memory from `wait()`.
///
/// A request that is dropped before `wait()` still waits, because memory in flight cannot be freed, and reports the
/// mistake on stderr. After 4 s it gives up and never frees the memory: an error may be on its way out of this rank,
/// and the other ranks may be blocked until this rank ends them.
///
/// Open MPI 4.1 makes progress only inside MPI calls: call `test()` between computations, or wait in another thread.
public struct Request<Payload: ~Copyable>: ~Copyable {
  /// Everything that must outlive the transfer.
  private final class Cargo {
    var payload: Payload?
    /// Arguments that MPI may read in addition to the payload.
    var arguments: [AnyObject] = []
    let communicator: Communicator

    init(_ communicator: Communicator, _ payload: consuming Payload) {
      self.communicator = communicator
      self.payload = consume payload
    }
  }

  private let call: StaticString
  /// Nil for a message between two ranks.
  private let collective: StartedCollective?
  /// The parts that have not ended; a transfer that was split has several.
  private var parts: [TransferHandle] = []
  private let cargo: Cargo

  /// A message between two ranks.
  init(_ communicator: Communicator, call: StaticString, payload: consuming Payload) {
    self.call = call
    collective = nil
    cargo = Cargo(communicator, payload)
  }

  /// A collective. In debug mode, all ranks first compare the calls that they are about to start.
  init(
    _ communicator: Communicator, _ operation: CollectiveOperation, _ count: Int, _ type: TransferType?,
    _ site: CallSite, call: StaticString, payload: consuming Payload
  ) throws(MPIError) {
    collective = try StartedCollective(communicator, operation, count, type, site)
    self.call = call
    cargo = Cargo(communicator, payload)
  }

  /// Starts one part of the transfer. If it throws, dropping the request waits for the earlier parts.
  mutating func start(
    expecting expected: (count: Int, type: TransferType)? = nil, keeping objects: [AnyObject] = [],
    _ body: (UnsafeMutablePointer<MPI_Request?>) -> Int32
  ) throws(MPIError) {
    parts.append(try TransferHandle(call, expecting: expected, body))
    cargo.arguments.append(contentsOf: objects)
  }

  /// Lets MPI make progress, and returns whether the transfer has ended, so that `wait()` returns immediately.
  public mutating func test() throws(MPIError) -> Bool {
    while var part = parts.popLast() {
      guard try part.test() else {
        parts.append(part)
        return false
      }
    }
    return true
  }

  /// Waits for the end of the transfer and returns its memory.
  ///
  /// - Throws: if the transfer failed; its memory is then freed.
  public consuming func wait() throws(MPIError) -> Payload {
    try finishAll()
    guard let payload = cargo.payload.take() else { preconditionFailure("a request (\(call)) was waited for twice") }
    return payload
  }

  /// Waits for all parts, even if one has failed, and throws the first failure.
  private mutating func finishAll() throws(MPIError) {
    let parts = self.parts
    self.parts = []
    func waitForParts() throws(MPIError) {
      var failure: MPIError?
      for part in parts.reversed() {
        var part = part
        do throws(MPIError) { try part.wait() } catch { failure = failure ?? error }
      }
      if let failure { throw failure }
    }
    if let collective { try collective.wait(waitForParts) } else { try waitForParts() }
  }

  deinit {
    guard !parts.isEmpty, Environment.isRunning else { return }
    if DroppedRequests.end(parts) {
      Environment.report(
        "a request (\(call)) was dropped before its end, so this rank waited for it; keep requests and call wait()")
    } else {
      _ = Unmanaged.passRetained(cargo)
      Environment.report(
        "a request (\(call)) was dropped before its end and does not end; keep requests and call wait()")
    }
  }
}

/// Ends requests that were dropped before their end.
private enum DroppedRequests {
  /// Seconds.
  static let patience = 4.0
  /// Whether a request did not end in time; no time is spent on later ones.
  private static let gaveUp = Atomic(false)

  /// Returns whether all transfers end in time.
  static func end(_ transfers: [TransferHandle]) -> Bool {
    let deadline = gaveUp.load(ordering: .relaxed) ? 0 : MPI_Wtime() + patience
    for transfer in transfers {
      var transfer = transfer
      while (try? transfer.test()) == false {
        if MPI_Wtime() > deadline {
          gaveUp.store(true, ordering: .relaxed)
          return false
        }
      }
    }
    return true
  }
}

extension Request: @unchecked Sendable where Payload: Sendable & ~Copyable {}
