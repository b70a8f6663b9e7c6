internal import CMPI

/// One MPI request. `Request` and `PolledTransfer` consist of these: every request is tested, waited for and checked
/// here.
struct TransferHandle {
  private let call: StaticString
  private var handle: MPI_Request?
  /// The length that a received message must have; nil for other transfers.
  private let expected: (count: Int, type: TransferType)?

  /// Starts a transfer by the MPI function `call`, which `start` calls.
  init(
    _ call: StaticString, expecting expected: (count: Int, type: TransferType)? = nil,
    _ start: (UnsafeMutablePointer<MPI_Request?>) -> Int32
  ) throws(MPIError) {
    self.call = call
    self.expected = expected
    try check(start(&handle), call)
  }

  /// Lets MPI make progress, and returns whether the transfer has ended.
  mutating func test() throws(MPIError) -> Bool {
    var done: Int32 = 0
    var status = MPI_Status()
    let code = MPI_Test(&handle, &done, &status)
    if code == MPI_SUCCESS, done == 0 { return false }
    try finish(code, &status)
    return true
  }

  /// Waits for the end of the transfer.
  mutating func wait() throws(MPIError) {
    var status = MPI_Status()
    let code = MPI_Wait(&handle, &status)
    try finish(code, &status)
  }

  private func finish(_ code: Int32, _ status: inout MPI_Status) throws(MPIError) {
    try check(code, call)
    if let expected { try requireLength(expected.count, of: &status, expected.type, call) }
  }
}
