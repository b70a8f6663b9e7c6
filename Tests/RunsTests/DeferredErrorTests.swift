import MPI
import Parallelism
import Testing

@Suite("Errors inside passes") struct DeferredErrorTests {
  private func error(_ call: String) -> MPIError {
    MPIError(call: call, kind: .truncated, text: "the message is too long", remedy: "send less")
  }

  @Test("After the first error nothing more runs, and every check throws that error")
  func keepsFirstError() throws {
    var deferred = DeferredError()
    var runs = 0
    #expect(deferred.attempt { runs += 1 })
    try deferred.check()
    #expect(!deferred.attempt { () throws(MPIError) in throw error("MPI_Alltoallw") })
    #expect(!deferred.attempt { runs += 1 })
    #expect(!deferred.attempt { () throws(MPIError) in throw error("MPI_Ibarrier") })
    #expect(runs == 1)
    for _ in 0..<2 {
      let thrown = #expect(throws: MPIError.self) { try deferred.check() }
      #expect(thrown?.call == "MPI_Alltoallw")
    }
  }
}
