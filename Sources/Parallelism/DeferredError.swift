import MPI

/// The first communication error of code that cannot throw.
///
/// A pass calls communication from inside layers, which cannot throw. The contract:
///
/// 1. `attempt` keeps the first error and runs no later body, because the calls of this rank would no longer match the
///    calls of the other ranks.
/// 2. The pass continues with meaningless but harmless numbers: zeros instead of received rows, gradients that are not
///    summed.
/// 3. The caller of the pass calls `check` before it uses any number of the pass. Every call of `check` throws the error:
///    communication does not recover, so the run must end.
package struct DeferredError {
  private var first: MPIError?

  package init() {}

  /// Runs `body`, unless an earlier body failed.
  ///
  /// - Returns: whether `body` ran and succeeded.
  package mutating func attempt(_ body: () throws(MPIError) -> Void) -> Bool {
    guard first == nil else { return false }
    do throws(MPIError) {
      try body()
      return true
    } catch {
      first = error
      return false
    }
  }

  /// - Throws: the first error of any `attempt`.
  package func check() throws(MPIError) { if let first { throw first } }
}
