internal import CMPI

/// A transfer under way. It owns the memory that MPI reads or writes, and gives it back from `wait()`.
///
/// Dropped before `wait()`, it waits all the same, since memory in flight cannot be freed, and says so on stderr.
/// Open MPI 4.1 makes progress only inside MPI calls: call `test()` between computations, or wait in another thread.
public struct Request<Payload: ~Copyable>: ~Copyable {
  /// One MPI request; a transfer that was split consists of several.
  private struct Part {
    var handle: MPI_Request?
    /// The length that a message received must have.
    var expected: (count: Int, type: TransferType)?
  }

  private let communicator: Communicator
  private let call: StaticString
  private var parts: [Part] = []
  /// What MPI may read until the transfer is over, besides the payload.
  private var kept: [AnyObject] = []
  private var payload: Payload?

  init(_ communicator: Communicator, call: StaticString, payload: consuming Payload) {
    self.communicator = communicator
    self.call = call
    self.payload = consume payload
  }

  /// Starts one part of the transfer. Where it throws, dropping the request waits for the parts before it.
  mutating func start(
    expecting expected: (count: Int, type: TransferType)? = nil, keeping objects: [AnyObject] = [],
    _ body: (UnsafeMutablePointer<MPI_Request?>) -> Int32
  ) throws(MPIError) {
    var handle: MPI_Request?
    try check(body(&handle), call)
    parts.append(Part(handle: handle, expected: expected))
    kept.append(contentsOf: objects)
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
    guard let payload = payload.take() else { preconditionFailure("a request (\(call)) was waited for twice") }
    return payload
  }

  /// Waits for all parts, also after one has failed, and throws the first failure.
  private mutating func finishAll() throws(MPIError) {
    var failure: MPIError?
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
    Environment.report("a request (\(call)) was dropped in flight; it was waited for: keep requests and call wait()")
    for part in parts {
      var handle = part.handle
      MPI_Wait(&handle, cmpi_status_ignore())
    }
  }
}

extension Request: @unchecked Sendable where Payload: Sendable & ~Copyable {}
