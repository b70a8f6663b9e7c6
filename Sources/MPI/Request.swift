internal import CMPI
import Synchronization

/// A transfer under way. It owns the memory that MPI reads or writes, and gives it back from `wait()`.
///
/// Dropped before `wait()`, it waits all the same, since memory in flight cannot be freed, and says so on stderr. It
/// does not wait forever: the cause may be an error on its way out, and the other ranks may be stuck until that ends
/// them. After 4 s it leaves the memory to MPI.
/// Open MPI 4.1 makes progress only inside MPI calls: call `test()` between computations, or wait in another thread.
public struct Request<Payload: ~Copyable>: ~Copyable {
  /// One MPI request; a transfer that was split consists of several.
  private struct Part {
    var handle: MPI_Request?
    /// The length that a message received must have.
    var expected: (count: Int, type: TransferType)?
  }

  /// Everything that must outlive the transfer.
  private final class Cargo {
    var payload: Payload?
    /// What MPI may read besides the payload.
    var arguments: [AnyObject] = []
    let communicator: Communicator

    init(_ communicator: Communicator, _ payload: consuming Payload) {
      self.communicator = communicator
      self.payload = consume payload
    }
  }

  /// A collective that was started, as the recorder knows it.
  private struct Start {
    let operation: CollectiveOperation
    let count: Int
    let type: TransferType?
    let site: CallSite
    /// Which of the communicator's collectives it is.
    let place: UInt64
  }

  private let call: StaticString
  private let collective: Start?
  private var parts: [Part] = []
  private let cargo: Cargo

  /// A message between two ranks.
  init(_ communicator: Communicator, call: StaticString, payload: consuming Payload) {
    self.call = call
    collective = nil
    cargo = Cargo(communicator, payload)
  }

  /// A collective; in debug mode, all ranks first compare what they are about to start.
  init(
    _ communicator: Communicator, _ operation: CollectiveOperation, _ count: Int, _ type: TransferType?,
    _ site: CallSite, call: StaticString, payload: consuming Payload
  ) throws(MPIError) {
    let place = FlightRecorder.start(communicator.log)
    if CollectiveCheck.isOn { try CollectiveCheck.compare(communicator, operation, count, type, site) }
    self.call = call
    collective = Start(operation: operation, count: count, type: type, site: site, place: place)
    cargo = Cargo(communicator, payload)
  }

  /// Starts one part of the transfer. Where it throws, dropping the request waits for the parts before it.
  mutating func start(
    expecting expected: (count: Int, type: TransferType)? = nil, keeping objects: [AnyObject] = [],
    _ body: (UnsafeMutablePointer<MPI_Request?>) -> Int32
  ) throws(MPIError) {
    var handle: MPI_Request?
    try check(body(&handle), call)
    parts.append(Part(handle: handle, expected: expected))
    cargo.arguments.append(contentsOf: objects)
  }

  /// Whether the transfer is over, so that `wait()` returns at once. Lets MPI make progress.
  public mutating func test() throws(MPIError) -> Bool {
    while let part = parts.last {
      var handle = part.handle
      var done: Int32 = 0
      var status = MPI_Status()
      let code = MPI_Test(&handle, &done, &status)
      if code == MPI_SUCCESS, done == 0 { return false }
      parts.removeLast()
      try finish(part, code, &status)
    }
    return true
  }

  /// Waits for the end of the transfer and returns its memory.
  ///
  /// - Throws: where the transfer failed; its memory is then freed.
  public consuming func wait() throws(MPIError) -> Payload {
    try finishAll()
    guard let payload = cargo.payload.take() else { preconditionFailure("a request (\(call)) was waited for twice") }
    return payload
  }

  /// Waits for all parts, also after one has failed, and throws the first failure.
  private mutating func finishAll() throws(MPIError) {
    var failure: MPIError?
    if let collective {
      _ = FlightRecorder.enter(
        collective.operation, collective.count, collective.type, collective.site, cargo.communicator.log,
        started: collective.place)
    }
    defer { if collective != nil { FlightRecorder.leave() } }
    while let part = parts.popLast() {
      var handle = part.handle
      var status = MPI_Status()
      let code = MPI_Wait(&handle, &status)
      do throws(MPIError) {
        try finish(part, code, &status)
      } catch {
        failure = failure ?? error
      }
    }
    if let failure { throw failure }
  }

  private func finish(_ part: Part, _ code: Int32, _ status: inout MPI_Status) throws(MPIError) {
    try check(code, call)
    if let expected = part.expected { try requireLength(expected.count, of: &status, expected.type, call) }
  }

  deinit {
    guard !parts.isEmpty, Environment.isRunning else { return }
    if DroppedRequests.end(parts.map(\.handle)) {
      Environment.report("a request (\(call)) was dropped in flight; it was waited for: keep requests and call wait()")
    } else {
      _ = Unmanaged.passRetained(cargo)
      Environment.report("a request (\(call)) was dropped in flight and does not end: keep requests and call wait()")
    }
  }
}

/// What becomes of requests that are dropped in flight.
private enum DroppedRequests {
  static let patience = 4.0
  /// Whether one did not end, so that no time is spent on others.
  private static let gaveUp = Atomic(false)

  /// Whether all requests end in time.
  static func end(_ handles: [MPI_Request?]) -> Bool {
    let deadline = gaveUp.load(ordering: .relaxed) ? 0 : MPI_Wtime() + patience
    for handle in handles {
      var handle = handle
      var done: Int32 = 0
      while MPI_Test(&handle, &done, cmpi_status_ignore()) == MPI_SUCCESS, done == 0 {
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
