internal import CMPI

extension Communicator {
  /// Returns when all ranks have called it. Collective.
  public func barrier() throws(MPIError) {
    try check(MPI_Barrier(handle), "MPI_Barrier")
  }

  /// Starts a barrier; `wait()` returns when all ranks have started it. Collective.
  public func iBarrier() throws(MPIError) -> Request<Void> {
    var request = Request(self, call: "MPI_Ibarrier", payload: ())
    try request.start { MPI_Ibarrier(handle, $0) }
    return request
  }
}
