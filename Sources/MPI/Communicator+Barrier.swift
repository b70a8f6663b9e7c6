internal import CMPI
import Telemetry

extension Communicator {
  /// Returns when all ranks have called it. Collective.
  public func barrier(file: StaticString = #fileID, line: Int = #line) throws(MPIError) {
    try recorded(.barrier, 0, nil, CallSite(file, line)) { () throws(MPIError) in
      try check(MPI_Barrier(handle), "MPI_Barrier")
    }
  }

  /// Starts a barrier; `wait()` returns when all ranks have started it. Collective.
  public func iBarrier(file: StaticString = #fileID, line: Int = #line) throws(MPIError) -> Request<Void> {
    var request = try Request(self, .barrier, 0, nil, CallSite(file, line), call: "MPI_Ibarrier", payload: ())
    try request.start { MPI_Ibarrier(handle, $0) }
    return request
  }
}
